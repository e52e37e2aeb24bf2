package builtin_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type listing struct {
	Total int              `json:"totalCount"`
	Items []map[string]any `json:"items"`
}

func (h *testHub) list(at string) listing {
	h.t.Helper()
	var l listing
	h.decode(at, &l)
	return l
}

func TestPaging(t *testing.T) {
	h := open(t, t.TempDir())
	for i := range 25 {
		a := h.call(http.MethodPost, "/api/projects", fmt.Sprintf(`{"name":"Project-%02d"}`, i))
		require.Equal(t, http.StatusCreated, a.status)
	}
	for name, row := range map[string]struct {
		query        string
		total, items int
		first        string
	}{
		"all":               {"", 25, 25, "Project-00"},
		"first page":        {"?limit=10", 25, 10, "Project-00"},
		"last page":         {"?limit=10&offset=20", 25, 5, "Project-20"},
		"beyond":            {"?offset=30", 25, 0, ""},
		"only the count":    {"?limit=0", 25, 0, ""},
		"part of the name":  {"?q=name:ject-1", 10, 10, "Project-10"},
		"another case":      {"?q=name:PROJECT-07", 1, 1, "Project-07"},
		"search and page":   {"?q=name:-1&limit=3&offset=9", 10, 1, "Project-19"},
		"nothing found":     {"?q=name:nothing", 0, 0, ""},
		"text with a colon": {"?q=name:a:b", 0, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := h.list("/api/projects" + row.query)
			require.Equal(t, row.total, l.Total)
			require.Len(t, l.Items, row.items)
			if row.first != "" {
				require.Equal(t, row.first, l.Items[0]["name"])
			}
		})
	}
	for _, query := range []string{"?limit=-1", "?offset=x", "?limit=1e3", "?q=noField"} {
		a := h.call(http.MethodGet, "/api/projects"+query, "")
		require.Equal(t, http.StatusBadRequest, a.status, query)
		require.NotEmpty(t, a.text("errorMessage"))
	}
}

// TestPageCap: more than 1000 are never on one page, however many are asked for.
func TestPageCap(t *testing.T) {
	h := open(t, t.TempDir())
	packages := make([]string, 1005)
	for i := range packages {
		packages[i] = fmt.Sprintf("pkg:npm/rotten-%04d@1.0.0", i)
	}
	records := make([]string, len(packages))
	for i := range records {
		records[i] = record(fmt.Sprintf("TEST-%d", i), "npm", fmt.Sprintf("rotten-%04d", i), "2.0.0", criticalVector)
	}
	h.load("replace", records...)
	h.scan(upload{project: "p", version: "v", scan: "many", document: document(packages...)})
	_, version := h.location("many")
	for _, suffix := range []string{"/components", "/vulnerable-bom-components"} {
		for _, limit := range []string{"2000000", "99999999999999999999"} {
			l := h.list(version + suffix + "?limit=" + limit)
			require.Equal(t, 1005, l.Total)
			require.Len(t, l.Items, 1000)
		}
		l := h.list(version + suffix + "?limit=1000&offset=1000")
		require.Len(t, l.Items, 5)
		require.Equal(t, "rotten-1000", l.Items[0]["componentName"])
		require.Len(t, h.list(version+suffix).Items, 100)
	}
	require.Len(t, h.list(version+"/components?q=componentName:0999").Items, 1)
}

// TestCodeLocationSearch: q=name: answers neighbours too, whatever their case.
func TestCodeLocationSearch(t *testing.T) {
	h := open(t, t.TempDir())
	for _, name := range []string{"ABC", "xabcx", "bc"} {
		h.scan(upload{project: "p", version: name, scan: name, document: document("pkg:npm/a@1.0.0")})
	}
	for query, want := range map[string]string{"abc": "ABC xabcx", "ABC": "ABC xabcx", "bc": "ABC bc xabcx", "ABCX": "xabcx", "none": ""} {
		var names []string
		for _, item := range h.list("/api/codelocations?q=name:" + query).Items {
			names = append(names, item["name"].(string))
		}
		require.Equal(t, want, strings.Join(names, " "), query)
	}
}
