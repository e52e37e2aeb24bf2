package builtin_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// document is a CycloneDX document of some package URLs; a text without "pkg:" is a component without one.
func document(packages ...string) string {
	components := []map[string]any{}
	for _, p := range packages {
		name, version, _ := strings.Cut(p[strings.LastIndexByte(p, '/')+1:], "@")
		one := map[string]any{"type": "library", "name": name, "version": version}
		if strings.HasPrefix(p, "pkg:") {
			one["purl"] = p
		}
		components = append(components, one)
	}
	raw, _ := json.Marshal(map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components})
	return string(raw)
}

const (
	criticalVector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" // 9.8
	mediumVector   = "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:L/I:L/A:N" // 5.4
)

// record is an OSV record of one package, affected below a fixed version.
func record(id, ecosystem, name, fixed, vector string) string {
	one := map[string]any{
		"schema_version": "1.7.0", "id": id, "modified": "2025-06-01T00:00:00Z", "published": "2025-05-01T00:00:00Z",
		"affected": []any{map[string]any{
			"package": map[string]any{"ecosystem": ecosystem, "name": name},
			"ranges":  []any{map[string]any{"type": "ECOSYSTEM", "events": []any{map[string]any{"introduced": "0"}, map[string]any{"fixed": fixed}}}},
		}},
	}
	if vector != "" {
		one["severity"] = []any{map[string]any{"type": "CVSS_V3", "score": vector}}
	}
	raw, _ := json.Marshal(one)
	return string(raw)
}

// dataAsOf is when the records of tests were last checked, shortly before the time at which newClock begins.
const dataAsOf = "2026-01-02T00:00:00Z"

// load loads complete data and waits until every version is judged by them.
func (h *testHub) load(mode string, records ...string) answer {
	h.t.Helper()
	a := h.call(http.MethodPut, "/internal/vulnerability-data?complete=true&asOf="+dataAsOf+"&mode="+mode, strings.Join(records, "\n"))
	require.Equal(h.t, http.StatusOK, a.status, "%s", a.body)
	h.awaitJudged()
	return a
}

func (h *testHub) awaitJudged() {
	h.t.Helper()
	require.Eventually(h.t, func() bool {
		return h.call(http.MethodGet, "/internal/vulnerability-data", "").text("rejudging") == "false"
	}, patience, 2*time.Millisecond)
}

func decodeInto(t *testing.T, raw []byte, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(raw, into), "%s", raw)
}

func jsonOf(value any) string {
	raw, _ := json.Marshal(value)
	return string(raw)
}
