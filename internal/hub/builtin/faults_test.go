package builtin_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/fault"
	"github.com/perceptor/perceptor/internal/hub/builtin/rest"
)

// control sends to the hub's own part with the API token alone.
func (h *testHub) control(method, at, body string) answer {
	h.t.Helper()
	return h.call(method, at, body, "Authorization", "token "+h.token(), "X-CSRF-TOKEN", "")
}

// faults sets the switches, given as the JSON of "switches", with the seed 7.
func (h *testHub) faults(switches string) {
	h.t.Helper()
	a := h.control(http.MethodPut, "/internal/faults", `{"seed":7,"switches":`+switches+`}`)
	require.Equal(h.t, http.StatusOK, a.status, "%s", a.body)
}

// statuses sends a request that many times and counts the answers by status; 0 is no answer.
func (h *testHub) statuses(times int, at string) map[int]int {
	h.t.Helper()
	seen := map[int]int{}
	for range times {
		request, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.base+at, nil)
		require.NoError(h.t, err)
		request.Header.Set("Authorization", "Bearer "+h.bearer)
		reply, err := h.client.Do(request)
		if err != nil {
			seen[0]++
			continue
		}
		require.NoError(h.t, reply.Body.Close())
		seen[reply.StatusCode]++
	}
	return seen
}

const lookup = "/api/codelocations"

func TestRefusalFaults(t *testing.T) {
	for name, row := range map[string]struct {
		switches, retryAfter string
		status               int
	}{
		"429":                       {`{"throttle":{}}`, "", 429},
		"429 with seconds":          {`{"throttle":{"retryAfter":"90s"}}`, "90", 429},
		"429 with a date":           {`{"throttle":{"retryAfter":"90s","asDate":true}}`, "Fri, 02 Jan 2026 03:05:35 GMT", 429},
		"429 for a very long time":  {`{"throttle":{"retryAfter":"1000h"}}`, "3600000", 429},
		"5xx":                       {`{"fail":{}}`, "", 503},
		"5xx of a kind":             {`{"fail":{"status":502}}`, "", 502},
		"5xx with seconds":          {`{"fail":{"status":500,"retryAfter":"2s"}}`, "2", 500},
		"429 acts before 5xx":       {`{"throttle":{},"fail":{}}`, "", 429},
		"only the class that is on": {`{"throttle":{"on":["upload"]},"fail":{"on":["lookup","poll"]}}`, "", 503},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, t.TempDir())
			h.faults(row.switches)
			a := h.call(http.MethodGet, lookup, "")
			require.Equal(t, row.status, a.status)
			require.Equal(t, row.retryAfter, a.header.Get("Retry-After"))
			require.Contains(t, a.text("errorMessage"), "fault switch")
			h.faults(`{}`)
			h.get(lookup)
		})
	}
}

func TestFaultsByShareCountTimeAndClass(t *testing.T) {
	h := open(t, t.TempDir())
	h.faults(`{"throttle":{"share":0.3}}`)
	first := h.statuses(200, lookup)
	require.InDelta(t, 60, first[429], 25)
	require.Equal(t, 200, first[429]+first[200])
	h.faults(`{"throttle":{"share":0.3}}`)
	require.Equal(t, first, h.statuses(200, lookup), "the same seed is the same rehearsal")

	h.faults(`{"throttle":{"count":3}}`)
	require.Equal(t, map[int]int{429: 3, 200: 7}, h.statuses(10, lookup))

	h.faults(`{"throttle":{"for":"10s","on":["lookup"]}}`)
	require.Equal(t, map[int]int{429: 5}, h.statuses(5, lookup))
	require.Equal(t, map[int]int{200: 5}, h.statuses(5, "/api/projects"))
	h.clock.Advance(9 * time.Second)
	require.Equal(t, "1s", h.control(http.MethodGet, "/internal/faults", "").text("switches", "throttle", "for"), "what is left")
	h.clock.Advance(time.Second)
	require.Equal(t, map[int]int{200: 5}, h.statuses(5, lookup), "it ends by itself")
	require.Equal(t, "map[]", h.control(http.MethodGet, "/internal/faults", "").text("switches"))
}

func TestDeadHub(t *testing.T) {
	h := open(t, t.TempDir())
	h.faults(`{"dead":{"for":"1m"}}`)
	require.Equal(t, map[int]int{0: 3}, h.statuses(3, lookup))
	require.Error(t, h.login())
	stats, err := h.Stats()
	require.NoError(t, err)
	require.GreaterOrEqual(t, stats.FaultHits[fault.Dead], uint64(4))
	require.Equal(t, http.StatusOK, h.control(http.MethodGet, "/internal/stats", "").status, "what is below /internal goes on")
	h.clock.Advance(time.Minute)
	require.Equal(t, map[int]int{200: 3}, h.statuses(3, lookup))
}

func TestLatency(t *testing.T) {
	h := open(t, t.TempDir())
	h.faults(`{"latency":{"min":"3s","max":"3s"}}`)
	answered := make(chan int, 1)
	go func() { answered <- h.call(http.MethodGet, lookup, "").status }()
	require.Eventually(t, func() bool { return h.clock.Waits(3*time.Second) == 1 }, patience, time.Millisecond)
	require.Empty(t, answered)
	h.clock.Advance(3 * time.Second)
	require.Equal(t, http.StatusOK, <-answered)
}

func TestPagesAndEmptyAnswers(t *testing.T) {
	h := open(t, t.TempDir())
	u := upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/a@1.0.0")}
	h.faults(`{"html":{}}`)
	a := h.upload(u)
	require.Equal(t, http.StatusOK, a.status)
	require.Contains(t, a.header.Get("Content-Type"), "text/html")
	require.Contains(t, string(a.body), "<html>")
	h.faults(`{"empty":{}}`)
	a = h.upload(u)
	require.Equal(t, http.StatusOK, a.status)
	require.Empty(t, a.body)
	h.faults(`{}`)
	require.Equal(t, "0", h.get(lookup).text("totalCount"), "a request that a switch answers does nothing")
}

func TestOldGeneration(t *testing.T) {
	h := scanned(t)
	location, version := h.location("0123456789abcdef")
	h.faults(`{"generation":{"is":"old","for":"1h"}}`)
	require.Equal(t, "4.8.3", h.get("/api/current-version").text("version"))
	for _, at := range []string{location + "/latest-scan-summary", version + "/bom-status", "/api/scan-readiness"} {
		require.Equal(t, http.StatusNotFound, h.call(http.MethodGet, at, "").status, at)
	}
	require.Error(t, tokenLogin(h), "only the password logs in")
	a := h.get(location + "/scan-summaries")
	require.Equal(t, "application/json;charset=UTF-8", a.header.Get("Content-Type"))
	require.NotContains(t, string(h.get(location).body), "latest-scan")
	require.NotContains(t, string(h.get(version).body), "bom-status")
	h.scan(upload{project: "p", version: "v", scan: "old", document: document("pkg:npm/a@1.0.0")})
	h.clock.Advance(time.Hour)
	require.Equal(t, "2026.1.1", h.get("/api/current-version").text("version"))
	h.get(location + "/latest-scan-summary")
}

// tokenLogin is the login by token, as an error when the hub has none.
func tokenLogin(h *testHub) error {
	before, csrf := h.bearer, h.csrf
	defer func() { h.bearer, h.csrf = before, csrf }()
	if err := h.login(); err != nil {
		return err
	}
	if h.bearer == "" {
		return http.ErrNotSupported
	}
	return nil
}

func TestBadFaults(t *testing.T) {
	h := open(t, t.TempDir())
	h.faults(`{"throttle":{"count":1000}}`)
	for body, message := range map[string]string{
		``:                                      "want {",
		`[]`:                                    "want {",
		`{"switches":{}} more`:                  "something follows",
		`{"faults":{}}`:                         `unknown field "faults"`,
		`{"switches":{"noise":{}}}`:             `no switch "noise": want some of [capacity dead`,
		`{"switches":{"throttle":1}}`:           "cannot unmarshal number",
		`{"switches":{"throttle":{"sahre":1}}}`: `unknown field "sahre"`,
		`{"switches":{"throttle":{"share":0}}}`: "share is 0: want more than 0",
		`{"switches":{"throttle":{"share":1.5}}}`:                      "share is 1.5",
		`{"switches":{"throttle":{"count":-1}}}`:                       "count is -1",
		`{"switches":{"throttle":{"for":"-1s"}}}`:                      "for is -1s",
		`{"switches":{"throttle":{"for":"soon"}}}`:                     `"soon" is not a duration`,
		`{"switches":{"throttle":{"for":5}}}`:                          "cannot unmarshal number",
		`{"switches":{"throttle":{"status":503}}}`:                     "switch throttle: it takes no status",
		`{"switches":{"throttle":{"on":["uploads"]}}}`:                 `on "uploads": want some of [upload`,
		`{"switches":{"throttle":{"on":["internal"]}}}`:                `on "internal": want some of`,
		`{"switches":{"throttle":{"retryAfter":"1.5s"}}}`:              "whole seconds",
		`{"switches":{"throttle":{"asDate":true}}}`:                    "asDate without retryAfter",
		`{"switches":{"fail":{"status":404}}}`:                         "status is 404: want 500 to 599",
		`{"switches":{"latency":{}}}`:                                  "max above 0",
		`{"switches":{"latency":{"min":"2s","max":"1s"}}}`:             "min is 2s and max is 1s",
		`{"switches":{"slow":{"max":"20000h"}}}`:                       "at most 8760h",
		`{"switches":{"slow":{"max":"2s","on":["poll"]}}}`:             "switch slow: it takes no on",
		`{"switches":{"capacity":{}}}`:                                 "scans is 0: want at least 1",
		`{"switches":{"capacity":{"scans":1,"share":0.5}}}`:            "switch capacity: it takes no share",
		`{"switches":{"generation":{"is":"new"}}}`:                     `is "new": want old or current`,
		`{"switches":{"dead":{"scans":1},"fail":{"status":1}}}`:        "switch fail: status is 1",
		`{"switches":{"dead":{"scans":1},"fail":{"status":1},"x":{}}}`: "switch dead: it takes no scans",
	} {
		a := h.control(http.MethodPut, "/internal/faults", body)
		require.Equal(t, http.StatusBadRequest, a.status, body)
		require.Contains(t, a.text("errorMessage"), message, body)
	}
	require.Equal(t, "1000", h.control(http.MethodGet, "/internal/faults", "").text("switches", "throttle", "count"), "a refused change changes nothing")
	require.Equal(t, http.StatusUnauthorized, h.call(http.MethodPut, "/internal/faults", `{}`, "Authorization", "").status)
}

func TestFaultsToBeginWith(t *testing.T) {
	fail := fault.Faults{Switches: map[fault.Name]fault.Switch{fault.Fail: {On: []rest.PathClass{"lookup"}, For: fault.Duration(time.Minute)}}}
	h := openFaulty(t, t.TempDir(), fail)
	require.Equal(t, map[int]int{503: 2}, h.statuses(2, lookup))
	var shown fault.Faults
	require.NoError(t, json.Unmarshal(h.control(http.MethodGet, "/internal/faults", "").body, &shown))
	fail.Seed = 1
	require.Equal(t, fail, shown)

	fail.Switches[fault.Fail] = fault.Switch{Status: 200}
	_, err := fault.Open(optionsIn(t.TempDir()), fail)
	require.ErrorContains(t, err, "fault switches: switch fail: status is 200")
}
