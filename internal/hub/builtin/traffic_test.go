package builtin_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/fault"
	"github.com/perceptor/perceptor/internal/hub/builtin/rest"
)

// TestHighestRates counts the most requests within any second and any ten seconds, of a class and of all.
func TestHighestRates(t *testing.T) {
	h := open(t, t.TempDir())
	h.clock.Advance(time.Minute) // the login is out of every window
	ask := func(times int, at string) {
		for range times {
			h.get(at)
		}
	}
	ask(3, lookup)
	h.clock.Advance(999 * time.Millisecond)
	ask(2, "/api/projects")
	ask(1, lookup)
	h.clock.Advance(time.Millisecond) // the first three are now a whole second ago
	ask(1, lookup)
	h.clock.Advance(8 * time.Second)
	ask(4, "/api/projects")
	h.clock.Advance(time.Second) // the first three are now ten seconds ago
	ask(2, lookup)
	h.get("/internal/stats")
	stats, err := h.Stats()
	require.NoError(t, err)
	require.Equal(t, rest.Peak{In1s: 4, In10s: 5}, stats.Highest["lookup"])
	require.Equal(t, rest.Peak{In1s: 4, In10s: 6}, stats.Highest["verdict"])
	require.Equal(t, rest.Peak{In1s: 6, In10s: 11}, stats.Highest["all"])
	require.Equal(t, uint64(7), stats.Requests["lookup"])
}

func TestClassesOfRequests(t *testing.T) {
	h := scanned(t)
	location, version := h.location("0123456789abcdef")
	for name, row := range map[string]struct {
		method, at string
		class      rest.PathClass
	}{
		"upload":          {"POST", "/api/scan/data", "upload"},
		"search":          {"GET", "/api/codelocations?q=name:x", "lookup"},
		"code location":   {"GET", location, "lookup"},
		"latest scan":     {"GET", location + "/latest-scan-summary", "poll"},
		"scans":           {"GET", location + "/scan-summaries", "poll"},
		"scan":            {"GET", "/api/scan-summaries/x", "poll"},
		"place of a scan": {"GET", "/api/scans/x", "poll"},
		"bom status":      {"GET", version + "/bom-status", "poll"},
		"version":         {"GET", version, "verdict"},
		"policy":          {"GET", version + "/policy-status", "verdict"},
		"risk":            {"GET", version + "/risk-profile", "verdict"},
		"notifications":   {"GET", "/api/notifications", "refresh"},
		"token":           {"POST", "/api/tokens/authenticate", "login"},
		"password":        {"POST", "/j_spring_security_check", "login"},
		"hub's version":   {"GET", "/api/current-version", "login"},
		"health":          {"GET", "/api/health-checks/readiness", "control"},
		"readiness":       {"GET", "/api/scan-readiness", "control"},
		"rules":           {"GET", "/api/policy-rules", "other"},
		"nothing":         {"GET", "/nowhere", "other"},
		"deletion":        {"DELETE", "/api/codelocations/x", "other"},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := h.Stats()
			require.NoError(t, err)
			h.call(row.method, row.at, "")
			after, err := h.Stats()
			require.NoError(t, err)
			before.Requests[row.class]++
			require.Equal(t, before.Requests, after.Requests)
		})
	}
	before, err := h.Stats()
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, h.control(http.MethodGet, "/internal/stats", "").status)
	after, err := h.Stats()
	require.NoError(t, err)
	require.Equal(t, before.Traffic, after.Traffic, "asking the hub itself is no traffic")
}

// TestRefusedUploadsByReason: who refused, the hub itself or a switch.
func TestRefusedUploadsByReason(t *testing.T) {
	h := open(t, t.TempDir())
	u := uploadOf("name")
	u.attempt = "2-1"
	h.scan(u)
	u.attempt = "1-1"
	h.upload(u)
	bad := uploadOf("bad")
	bad.document = "bad"
	h.upload(bad)
	h.faults(`{"throttle":{"count":2,"on":["upload"]},"fail":{"count":1,"on":["upload"]}}`)
	for range 3 {
		h.upload(uploadOf("other"))
	}
	stats, err := h.Stats()
	require.NoError(t, err)
	require.Equal(t, map[string]uint64{"attempt": 1, "document": 1, "throttle": 2, "fail": 1}, stats.UploadsRefusedBy)
	require.Equal(t, []uint64{5, 3}, []uint64{stats.UploadsRefused, stats.UploadsStarted}, "a switch refuses before the login is checked")
	require.Equal(t, map[fault.Name]uint64{"throttle": 2, "fail": 1}, stats.FaultHits)
}
