package builtin_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// put loads records as they are, without calling them complete.
func (h *testHub) put(query string, records ...string) {
	h.t.Helper()
	a := h.call(http.MethodPut, "/internal/vulnerability-data?"+query, strings.Join(records, "\n"))
	require.Equal(h.t, http.StatusOK, a.status, "%s", a.body)
	h.awaitJudged()
}

func (h *testHub) coverage(version string) map[string]any {
	h.t.Helper()
	var c map[string]any
	h.decode(version+"/coverage", &c)
	return c
}

// TestCoverageDecides: green needs every component assessed against complete data; with less the status is UNKNOWN, and the
// hub says what is missing. The same image is green once the data are there.
func TestCoverageDecides(t *testing.T) {
	fixed := record("TEST-1", "npm", "rotten", "1.2.0", criticalVector)
	for name, row := range map[string]struct {
		packages, status, reason string
		load                     func(h *testHub)
	}{
		"no data":         {"pkg:npm/rotten@1.3.0", "UNKNOWN", "no data", func(*testHub) {}},
		"loose records":   {"pkg:npm/rotten@1.3.0", "UNKNOWN", "incomplete data", func(h *testHub) { h.put("asOf="+dataAsOf, fixed) }},
		"other ecosystem": {"pkg:npm/rotten@1.3.0 pkg:pypi/a@1", "UNKNOWN", "1 of 2 not assessed", func(h *testHub) { h.load("replace", fixed) }},
		"old data": {"pkg:npm/rotten@1.3.0", "UNKNOWN", "expired", func(h *testHub) {
			h.put("complete=true&asOf=2025-12-01", fixed)
		}},
		"sample": {"pkg:npm/other@1.3.0", "UNKNOWN", "only sample data", func(h *testHub) { h.put("sample=true&asOf="+dataAsOf, fixed) }},
		"a sample is right about what it names": {"pkg:npm/rotten@1.3.0", "NOT_IN_VIOLATION", "", func(h *testHub) {
			h.put("sample=true&asOf="+dataAsOf, fixed)
		}},
		"complete data":      {"pkg:npm/rotten@1.3.0", "NOT_IN_VIOLATION", "", func(h *testHub) { h.load("replace", fixed) }},
		"found all the same": {"pkg:npm/rotten@1.0.0", "IN_VIOLATION", "incomplete data", func(h *testHub) { h.put("asOf="+dataAsOf, fixed) }},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, t.TempDir())
			row.load(h)
			h.scan(upload{project: "p", version: "v", scan: "name", document: document(strings.Fields(row.packages)...)})
			_, version := h.location("name")
			require.Equal(t, row.status, h.get(version+"/policy-status").text("overallStatus"))
			coverage := h.coverage(version)
			require.Equal(t, row.status, coverage["overallStatus"])
			require.Contains(t, coverageReason(coverage), row.reason)
			require.Equal(t, row.reason == "", coverage["satisfied"])
			require.Equal(t, coverageReason(coverage), h.get(version+"/policy-status").text("overallStatusReason"))
		})
	}
}

func coverageReason(c map[string]any) string {
	text, _ := c["reason"].(string)
	return text
}

// TestGreenExpires: without a new scan, when the data are too old; newer data make it green again and say so to clients.
func TestGreenExpires(t *testing.T) {
	h := open(t, t.TempDir())
	one := record("TEST-1", "npm", "rotten", "1.2.0", criticalVector)
	h.load("replace", one)
	h.scan(upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/rotten@1.3.0")})
	_, version := h.location("name")
	require.Equal(t, "NOT_IN_VIOLATION", h.get(version+"/policy-status").text("overallStatus"))
	h.clock.Advance(14 * 24 * time.Hour)
	require.NoError(t, h.login())
	require.Equal(t, "UNKNOWN", h.get(version+"/policy-status").text("overallStatus"))
	require.Contains(t, h.get(version+"/policy-status").text("overallStatusReason"), "expired")
	h.clock.Advance(time.Minute)
	h.put("complete=true&asOf="+h.clock.Now().Format(time.RFC3339), one)
	require.Equal(t, "NOT_IN_VIOLATION", h.get(version+"/policy-status").text("overallStatus"))
	edits := h.list("/api/notifications?filter=notificationType:BOM_EDIT").Items
	require.NotEmpty(t, edits)
	require.Equal(t, h.get(version+"/risk-profile").text("bomLastUpdatedAt"), edits[0]["createdAt"], "the newest one is about this verdict")
}

// TestUnratedWithAFixIsAViolation by the default policy; without a fix it needs a rating.
func TestUnratedWithAFixIsAViolation(t *testing.T) {
	h := open(t, t.TempDir())
	h.load("replace", record("TEST-1", "npm", "rotten", "1.2.0", ""))
	h.scan(upload{project: "p", version: "v", scan: "one", document: document("pkg:npm/rotten@1.0.0")})
	h.scan(upload{project: "p", version: "w", scan: "two", document: document("pkg:npm/rotten@1.2.0")})
	_, bad := h.location("one")
	_, good := h.location("two")
	require.Equal(t, "IN_VIOLATION", h.get(bad+"/policy-status").text("overallStatus"))
	require.Equal(t, "NOT_IN_VIOLATION", h.get(good+"/policy-status").text("overallStatus"))
}
