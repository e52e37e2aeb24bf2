package builtin_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// except loads a document of exceptions and waits until every version is judged by it.
func (h *testHub) except(name, query, document string) answer {
	h.t.Helper()
	a := h.call(http.MethodPut, "/internal/exceptions/"+name+"?"+query, document)
	require.Equal(h.t, http.StatusOK, a.status, "%s", a.body)
	h.awaitJudged()
	return a
}

func (h *testHub) overall(version string) string {
	return h.get(version + "/policy-status").text("overallStatus")
}

// TestExceptionsOfEachForm: a violation is overridden without a scan, stays visible with the reason, and is back when the
// document is removed. The twin of each document is about another image and changes nothing.
func TestExceptionsOfEachForm(t *testing.T) {
	digest := strings.Repeat("a", 64)
	openVEX := func(product string) string {
		return `{"@context":"https://openvex.dev/ns/v0.2.0","author":"Olga","timestamp":"2026-01-01T00:00:00Z","statements":[{"vulnerability":{"name":"TEST-1"},
			"products":[{"@id":"` + product + `","subcomponents":[{"@id":"pkg:npm/rotten"}]}],"status":"not_affected","justification":"vulnerable_code_not_present"}]}`
	}
	cycloneDX := func(purl string) string {
		return `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"metadata":{"authors":[{"name":"Olga"}]},"vulnerabilities":[{"id":"TEST-1",
			"analysis":{"state":"not_affected","justification":"code_not_reachable"},"affects":[{"ref":"` + purl + `"}]}]}`
	}
	h := open(t, t.TempDir())
	h.load("replace", record("TEST-1", "npm", "rotten", "1.2.0", criticalVector))
	h.scan(upload{project: "registry.example/shop/web", version: "v", scan: digest, document: document("pkg:npm/rotten@1.0.0")})
	_, version := h.location(digest)
	require.Equal(t, "IN_VIOLATION", h.overall(version))
	for name, row := range map[string]struct{ document, twin, author, reason string }{
		"simple": {
			"exceptions: [{id: test-1, purl: pkg:npm/rotten, repository: '*/shop/*', reason: not reachable, author: Olga}]",
			"exceptions: [{id: test-1, purl: pkg:npm/rotten, repository: '*/bank/*', reason: not reachable, author: Olga}]", "Olga", "not reachable",
		},
		"openvex": {
			openVEX("pkg:oci/web@sha256:" + digest), openVEX("pkg:oci/web@sha256:" + strings.Repeat("b", 64)), "Olga", "not_affected: vulnerable_code_not_present",
		},
		"cyclonedx": {cycloneDX("pkg:npm/rotten@1.0.0"), cycloneDX("pkg:npm/rotten@1.0.1"), "Olga", "not_affected: code_not_reachable"},
	} {
		t.Run(name, func(t *testing.T) {
			scans := h.get("/internal/stats").text("uploadsStarted")
			h.except("doc", "", row.twin)
			require.Equal(t, "IN_VIOLATION", h.overall(version))
			h.clock.Advance(time.Minute)
			start := url.QueryEscape(h.clock.Now().Format(time.RFC3339Nano))
			h.except("doc", "", row.document)
			require.Equal(t, "IN_VIOLATION_OVERRIDDEN", h.overall(version))
			finding := h.list(version + "/vulnerable-bom-components").Items[0]["vulnerabilityWithRemediation"].(map[string]any)
			require.Equal(t, "IGNORED", finding["remediationStatus"])
			exception := finding["exception"].(map[string]any)
			require.Equal(t, []any{row.author, row.reason, "doc", nil}, []any{exception["author"], exception["reason"], exception["origin"], exception["until"]})
			require.Equal(t, "1", h.get(version+"/risk-profile").text("findingCount"), "it stays visible")
			require.Equal(t, 1, h.list("/api/notifications?filter=notificationType:POLICY_OVERRIDE&startDate="+start).Total)
			require.Equal(t, scans, h.get("/internal/stats").text("uploadsStarted"), "nothing is scanned again")

			require.Equal(t, http.StatusNoContent, h.call(http.MethodDelete, "/internal/exceptions/doc", "").status)
			h.awaitJudged()
			require.Equal(t, "IN_VIOLATION", h.overall(version))
		})
	}
}

// TestExceptionsEndByThemselves, also after a restart of the hub.
func TestExceptionsEndByThemselves(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir)
	h.load("replace", record("TEST-1", "npm", "rotten", "1.2.0", criticalVector))
	h.scan(upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/rotten@1.0.0")})
	_, version := h.location("name")
	h.except("doc", "until=2026-01-03T00:00:00Z&author=olga", "exceptions: [{id: TEST-1, purl: rotten, reason: a fix comes soon}]")
	require.Equal(t, "IN_VIOLATION_OVERRIDDEN", h.overall(version))
	h.stop()

	h = open(t, dir)
	h.awaitJudged()
	_, version = h.location("name")
	require.Equal(t, "IN_VIOLATION_OVERRIDDEN", h.overall(version), "it is in the file")
	exception := h.list(version + "/vulnerable-bom-components").Items[0]["vulnerabilityWithRemediation"].(map[string]any)["exception"].(map[string]any)
	require.Equal(t, "2026-01-03T00:00:00.000Z", exception["until"])
	require.Equal(t, "olga", exception["author"])
	end := time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC)
	require.Eventually(t, func() bool { return h.clock.Waits(end.Sub(h.clock.Now())) >= 1 }, patience, time.Millisecond)
	h.clock.Advance(end.Sub(h.clock.Now()))
	require.NoError(t, h.login())
	require.Eventually(t, func() bool {
		return h.call("GET", version+"/policy-status", "").text("overallStatus") == "IN_VIOLATION"
	}, patience, time.Millisecond)
	require.Nil(t, h.list(version + "/vulnerable-bom-components").Items[0]["vulnerabilityWithRemediation"].(map[string]any)["exception"])
}

// TestRefusedExceptions: what is refused changes nothing of what holds.
func TestRefusedExceptions(t *testing.T) {
	h := open(t, t.TempDir())
	h.load("replace", record("TEST-1", "npm", "rotten", "1.2.0", criticalVector))
	h.scan(upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/rotten@1.0.0")})
	_, version := h.location("name")
	const good = "exceptions: [{id: TEST-1, purl: rotten, reason: r}]"
	h.except("doc", "", good)
	for name, row := range map[string]struct {
		at, document, message string
		status                int
	}{
		"broken": {"doc", "exceptions: [", "read exceptions", http.StatusBadRequest},
		"names no product": {
			"doc", `{"@context":"https://openvex.dev/ns","statements":[{"vulnerability":"TEST-1","products":[],"status":"fixed"}]}`,
			"it names no product", http.StatusBadRequest,
		},
		"empty":       {"doc", "", "empty", http.StatusBadRequest},
		"no time":     {"doc?until=soon", good, "is not a time", http.StatusBadRequest},
		"too large":   {"doc", strings.Repeat("#", 9<<20), "larger than", http.StatusRequestEntityTooLarge},
		"a long name": {strings.Repeat("n", 600), good, "name has 600 bytes", http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.call(http.MethodPut, "/internal/exceptions/"+row.at, row.document)
			require.Equal(t, row.status, a.status, "%s", a.body)
			require.Contains(t, a.text("errorMessage"), row.message)
			require.Equal(t, "IN_VIOLATION_OVERRIDDEN", h.overall(version))
		})
	}
	require.Equal(t, http.StatusNotFound, h.call(http.MethodDelete, "/internal/exceptions/other", "").status)
	require.Equal(t, http.StatusUnauthorized, h.call(http.MethodPut, "/internal/exceptions/doc", good, "Authorization", "").status)
	require.Equal(t, http.StatusUnauthorized, h.call(http.MethodGet, "/internal/exceptions", "", "Authorization", "token wrong").status)
	var list struct {
		Documents []struct{ Name, Format string }
	}
	h.decode("/internal/exceptions", &list)
	require.Len(t, list.Documents, 1)
	require.Equal(t, "exceptions", list.Documents[0].Format)
}
