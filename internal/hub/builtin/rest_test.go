package builtin_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files again")

var uuids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// normal makes an answer the same in every run: ids are numbered as they appear.
func normal(t *testing.T, h *testHub, a answer) []byte {
	t.Helper()
	seen := map[string]string{}
	body := strings.ReplaceAll(string(a.body), h.base, "https://hub")
	body = uuids.ReplaceAllStringFunc(body, func(id string) string {
		if seen[id] == "" {
			seen[id] = fmt.Sprintf("id-%d", len(seen)+1)
		}
		return seen[id]
	})
	var pretty bytes.Buffer
	fmt.Fprintf(&pretty, "%d %s\n", a.status, a.header.Get("Content-Type"))
	if location := a.header.Get("Location"); location != "" {
		fmt.Fprintf(&pretty, "Location: %s\n", uuids.ReplaceAllString(strings.ReplaceAll(location, h.base, "https://hub"), "id"))
	}
	if body != "" {
		require.NoError(t, json.Indent(&pretty, []byte(body), "", "  "), "%s", body)
		pretty.WriteByte('\n')
	}
	return pretty.Bytes()
}

func golden(t *testing.T, h *testHub, name string, a answer) {
	t.Helper()
	file, got := filepath.Join("testdata", "golden", name+".txt"), normal(t, h, a)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

// scanned is a hub with one finished scan: a critical, a medium, an unrated, a clean and two packages that cannot be judged.
func scanned(t *testing.T) *testHub {
	t.Helper()
	h := open(t, t.TempDir())
	h.load("replace", record("TEST-1", "npm", "rotten", "1.2.0", criticalVector), record("TEST-2", "npm", "stale", "2.0.0", mediumVector),
		record("TEST-3", "PyPI", "odd", "3.0.0", ""))
	h.scan(upload{
		project: "registry.example/team/app", version: "v1-0123456789abcdef0123", scan: "0123456789abcdef", attempt: "1000-1",
		document: document("pkg:npm/rotten@1.0.0", "pkg:npm/stale@1.9.0", "pkg:npm/fresh@1.0.0", "pkg:pypi/odd@1.0.0", "pkg:cargo/unknown@1.0.0", "nameless@0.1"),
	})
	return h
}

// TestShapes holds every answer against its golden file: names, media types, links.
func TestShapes(t *testing.T) {
	h := scanned(t)
	location, version := h.location("0123456789abcdef")
	project := version[:strings.Index(version, "/versions/")]
	var latest struct {
		Meta struct {
			Href string `json:"href"`
		} `json:"_meta"`
	}
	h.decode(location+"/latest-scan-summary", &latest)
	for name, at := range map[string]string{
		"root":                      "/api/",
		"current-version":           "/api/current-version",
		"readiness":                 "/api/health-checks/readiness",
		"liveness":                  "/api/health-checks/liveness",
		"scan-readiness":            "/api/scan-readiness",
		"projects":                  "/api/projects?q=name:TEAM",
		"project":                   project,
		"versions":                  project + "/versions",
		"version":                   version,
		"codelocations":             "/api/codelocations?q=name:ABCDEF",
		"codelocation":              location,
		"version-codelocations":     version + "/codelocations",
		"scan-summaries":            location + "/scan-summaries",
		"latest-scan-summary":       location + "/latest-scan-summary",
		"scan-summary":              latest.Meta.Href,
		"bom-status":                version + "/bom-status",
		"bom-status-scan":           version + "/bom-status/" + latest.Meta.Href[strings.LastIndexByte(latest.Meta.Href, '/')+1:],
		"risk-profile":              version + "/risk-profile",
		"policy-status":             version + "/policy-status",
		"coverage":                  version + "/coverage",
		"components":                version + "/components",
		"vulnerable-bom-components": version + "/vulnerable-bom-components",
		"policy-rules":              "/api/policy-rules",
		"notifications":             "/api/notifications",
		"stats":                     "/internal/stats",
		"faults":                    "/internal/faults",
		"vulnerability-data":        "/internal/vulnerability-data",
		"no-endpoint":               "/api/none",
		"no-project":                "/api/projects/none",
		"no-version":                project + "/versions/none",
		"no-codelocation":           "/api/codelocations/none",
		"no-scan":                   "/api/scan-summaries/none",
		"no-component":              version + "/components/none/versions/none",
		"no-rule":                   "/api/policy-rules/none",
		"no-notification":           "/api/notifications/none",
		"bad-limit":                 "/api/projects?limit=many",
		"bad-query":                 "/api/projects?q=owner:me",
	} {
		t.Run(name, func(t *testing.T) {
			a := h.call(http.MethodGet, at, "")
			if name == "stats" { // the number of requests depends on the order of these rows
				a.body = regexp.MustCompile(`"requests_total":\d+`).ReplaceAll(a.body, []byte(`"requests_total":0`))
				a.body = regexp.MustCompile(`"(poll|all|login|lookup|verdict|refresh|control|other)":(\d+|{[^{}]*}),?`).ReplaceAll(a.body, nil)
				a.body = bytes.ReplaceAll(a.body, []byte(`,}`), []byte(`}`))
			}
			golden(t, h, name, a)
		})
	}
}

// TestLinks follows every link of every object from the root: a link that leads nowhere is a fault of the shape.
func TestLinks(t *testing.T) {
	h := scanned(t)
	link := regexp.MustCompile(`"(?:href|component|bomComponent|` +
		`componentVersion|mappedProjectVersion|projectVersion|codeLocation|scanSummary|policy|bomComponentVersionPolicyStatus)":"(https://127[^"]+)"`)
	seen, next := map[string]bool{}, []string{"/api/"}
	roots := regexp.MustCompile(`"(https://127[^"]+)"`).FindAllStringSubmatch(string(h.get("/api/").body), -1)
	for _, found := range roots {
		next = append(next, found[1])
	}
	for len(next) > 0 {
		at := next[0]
		next = next[1:]
		for _, found := range link.FindAllStringSubmatch(string(h.get(at).body), -1) {
			if !seen[found[1]] {
				seen[found[1]] = true
				next = append(next, found[1])
			}
		}
	}
	require.Greater(t, len(seen), 20)
}

func TestMediaTypes(t *testing.T) {
	h := open(t, t.TempDir())
	vendor := "application/vnd.blackducksoftware."
	for name, row := range map[string]struct {
		accept string
		status int
		answer string
	}{
		"nothing said":        {"", 200, vendor + "project-detail-4+json;charset=UTF-8"},
		"anything":            {"*/*", 200, vendor + "project-detail-4+json;charset=UTF-8"},
		"JSON":                {"application/json", 200, "application/json;charset=UTF-8"},
		"another number":      {vendor + "project-detail-7+json", 200, vendor + "project-detail-7+json;charset=UTF-8"},
		"a list":              {"text/html, application/json;q=0.5", 200, "application/json;charset=UTF-8"},
		"another family":      {vendor + "scan-4+json", 406, "application/json;charset=UTF-8"},
		"internal":            {vendor + "internal-1+json", 406, "application/json;charset=UTF-8"},
		"a page for a person": {"text/html", 406, "application/json;charset=UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.call(http.MethodGet, "/api/projects", "", "Accept", row.accept)
			require.Equal(t, row.status, a.status)
			require.Equal(t, row.answer, a.header.Get("Content-Type"))
		})
	}
}

func TestWrongMethodSaysWhichAreRight(t *testing.T) {
	h := open(t, t.TempDir())
	a := h.call(http.MethodDelete, "/api/projects", "")
	require.Equal(t, http.StatusMethodNotAllowed, a.status)
	require.Equal(t, "GET, POST", a.header.Get("Allow"))
	require.Contains(t, a.text("errorMessage"), "does not take DELETE")
}
