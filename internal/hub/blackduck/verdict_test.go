package blackduck_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

// versionParts serves the three parts of a version that a verdict is made of.
func versionParts(risk, policy, findings http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/risk-profile"):
			risk(w, r)
		case strings.HasSuffix(r.URL.Path, "/policy-status"):
			policy(w, r)
		default:
			findings(w, r)
		}
	}
}

const (
	cleanRisk   = `{"categories": {"VULNERABILITY": {"HIGH": 0, "OK": 3}}, "bomLastUpdatedAt": "2025-11-03T10:00:00.000Z"}`
	cleanPolicy = `{"overallStatus": "NOT_IN_VIOLATION", "updatedAt": "2025-11-03T11:00:00.000+0000", "componentVersionStatusCounts": []}`
)

// withCoverage is a clean risk profile with the built-in hub's addition.
func withCoverage(coverage string) string {
	return strings.Replace(cleanRisk, `{"categories"`, `{"coverage": `+coverage+`, "categories"`, 1)
}

// TestCoverage: the built-in hub says what its verdict rests on; a hub that does not vouches for itself.
func TestCoverage(t *testing.T) {
	read := func(risk string) model.Coverage {
		hub := newFakeHub(t, versionParts(answer(200, jsonType, risk), answer(200, jsonType, cleanPolicy), answer(200, jsonType, emptyList)))
		verdict, err := newClient(t, tokenOptions(t, hub.Server)).Verdict(t.Context(), model.HubScan{VersionURL: hub.URL + sampleVersion})
		require.NoError(t, err)
		require.Equal(t, verdict.Coverage.Unassessed(), verdict.NotAssessed)
		return verdict.Coverage
	}
	require.Equal(t, model.Coverage{Components: 3, Assessed: 3, ManagedByHub: true, Satisfied: true}, read(cleanRisk))
	empty := read(`{"categories": {"VULNERABILITY": {"OK": 0}}}`)
	require.True(t, empty.ManagedByHub)
	require.False(t, empty.Satisfied)
	require.NotEmpty(t, empty.Reason)
	said := read(withCoverage(`{"components": 3, "assessed": 2, "notAssessed": [{"reason": "only sample data", "count": 1}], "validUntil": "2026-01-02T03:04:05Z", "reason": "x"}`))
	require.Equal(t, model.Coverage{
		Components: 3, Assessed: 2, NotAssessed: []model.NotAssessed{{Reason: model.OnlySample, Count: 1}}, Reason: "x",
		ValidUntil: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}, said)
}

func TestVerdictNeverGreenByMistake(t *testing.T) {
	for _, c := range []struct {
		name         string
		risk, policy http.HandlerFunc
		want         model.OverallStatus
	}{
		{"clean", answer(200, jsonType, cleanRisk), answer(200, jsonType, cleanPolicy), model.NotInViolation},
		{"no policy module", answer(200, jsonType, cleanRisk), answer(404, jsonType, "{}"), model.OverallUnknown},
		{"not licensed", answer(200, jsonType, cleanRisk), answer(402, jsonType, "{}"), model.OverallUnknown},
		{"a word of tomorrow", answer(200, jsonType, cleanRisk), answer(200, jsonType, `{"overallStatus": "MOSTLY_HARMLESS"}`), model.OverallUnknown},
		{"not scanned yet", answer(200, jsonType, cleanRisk), answer(200, jsonType, `{"overallStatus": "UNKNOWN"}`), model.OverallUnknown},
		{"nothing found in it", answer(200, jsonType, `{"categories": {"VULNERABILITY": {"OK": 0}}}`), answer(200, jsonType, cleanPolicy), model.OverallUnknown},
		{
			"not all assessed",
			answer(200, jsonType, withCoverage(`{"components": 3, "assessed": 2, "satisfied": false, "reason": "1 of 3 not assessed"}`)),
			answer(200, jsonType, cleanPolicy),
			model.OverallUnknown,
		},
		{"all assessed", answer(200, jsonType, withCoverage(`{"components": 3, "assessed": 3, "satisfied": true}`)), answer(200, jsonType, cleanPolicy), model.NotInViolation},
		{
			"in violation, not all assessed",
			answer(200, jsonType, withCoverage(`{"components": 3, "assessed": 2}`)),
			answer(200, jsonType, `{"overallStatus": "IN_VIOLATION"}`),
			model.InViolation,
		},
		{
			"overridden, not all assessed",
			answer(200, jsonType, withCoverage(`{"components": 3, "assessed": 2}`)),
			answer(200, jsonType, `{"overallStatus": "IN_VIOLATION_OVERRIDDEN"}`),
			model.OverallUnknown,
		},
		{"overridden", answer(200, jsonType, cleanRisk), answer(200, jsonType, `{"overallStatus": "IN_VIOLATION_OVERRIDDEN"}`), model.InViolationOverridden},
	} {
		t.Run(c.name, func(t *testing.T) {
			hub := newFakeHub(t, versionParts(c.risk, c.policy, answer(200, jsonType, emptyList)))
			verdict, err := newClient(t, tokenOptions(t, hub.Server)).Verdict(t.Context(), model.HubScan{VersionURL: hub.URL + sampleVersion})
			require.NoError(t, err)
			require.Equal(t, c.want, verdict.OverallStatus)
		})
	}
}

func TestVerdictFailures(t *testing.T) {
	good, policy, findings := answer(200, jsonType, cleanRisk), answer(200, jsonType, cleanPolicy), answer(200, jsonType, emptyList)
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  failureCase
	}{
		"version gone": {
			versionParts(answer(404, jsonType, sorryText), answer(404, jsonType, "{}"), findings),
			failureCase{status: 404, class: model.NotFound, says: "/risk-profile"},
		},
		"policy forbidden": {versionParts(good, answer(403, jsonType, "{}"), findings), failureCase{status: 403, class: model.Unauthorized}},
		"policy broken":    {versionParts(good, answer(500, jsonType, "{}"), findings), failureCase{status: 500, class: model.Transient}},
		"policy empty": {
			versionParts(good, answer(200, jsonType, "{}"), findings),
			failureCase{symptom: "wrong shape", class: model.Invalid, says: "no overallStatus"},
		},
		"policy below nothing": {
			versionParts(good, answer(200, jsonType, `{"overallStatus": "X", "componentVersionStatusCounts": [{"name": "IN_VIOLATION", "value": -1}]}`), findings),
			failureCase{symptom: "wrong shape", class: model.Invalid},
		},
		"no vulnerabilities counted": {
			versionParts(answer(200, jsonType, `{"categories": {"LICENSE": {}}}`), policy, findings),
			failureCase{symptom: "wrong shape", class: model.Invalid, says: "no category VULNERABILITY"},
		},
		"counted below nothing": {
			versionParts(answer(200, jsonType, `{"categories": {"VULNERABILITY": {"HIGH": -3}}}`), policy, findings),
			failureCase{symptom: "wrong shape", class: model.Invalid, says: "-3 components"},
		},
		"findings busy": {
			versionParts(good, policy, answer(429, "", "", "Retry-After", "3")),
			failureCase{status: 429, class: model.Throttled, retry: 3 * time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			hub := newFakeHub(t, c.serve)
			_, err := newClient(t, tokenOptions(t, hub.Server)).Verdict(t.Context(), model.HubScan{VersionURL: hub.URL + sampleVersion})
			requireFailure(t, err, c.want)
		})
	}
}

func TestVerdictCountsAndTimes(t *testing.T) {
	risk := `{"categories": {"VULNERABILITY": {"HIGH": 1, "DREADFUL": 2, "UNKNOWN": 4, "OK": 8}}}`
	hub := newFakeHub(t, versionParts(answer(200, jsonType, risk), answer(200, jsonType, cleanPolicy), answer(200, jsonType, emptyList)))
	verdict, err := newClient(t, tokenOptions(t, hub.Server)).Verdict(t.Context(), model.HubScan{VersionURL: hub.URL + sampleVersion})
	require.NoError(t, err)
	require.Equal(t, model.Counts{High: 1, Unrated: 2}, verdict.Vulnerabilities, "an unknown level is bad, not clean")
	require.Equal(t, 15, verdict.Components)
	require.Equal(t, 4, verdict.NotAssessed)
	require.Equal(t, time.Date(2025, 11, 3, 11, 0, 0, 0, time.UTC), verdict.JudgedAt, "the policy's time stands in")
}

func TestFindingsShape(t *testing.T) {
	finding := func(vulnerability string) http.HandlerFunc {
		return answer(200, jsonType, fmt.Sprintf(`{"totalCount": 1, "items": [{"componentName": "a", "vulnerabilityWithRemediation": %s}]}`, vulnerability))
	}
	for name, c := range map[string]failureCase{
		"no name":    {serve: finding(`{"severity": "HIGH"}`), says: "without its vulnerability's name"},
		"high score": {serve: finding(`{"vulnerabilityName": "x", "baseScore": 11}`), says: "score 11"},
		"low score":  {serve: finding(`{"vulnerabilityName": "x", "overallScore": -1}`), says: "score -1"},
	} {
		t.Run(name, func(t *testing.T) {
			hub := newFakeHub(t, c.serve)
			_, err := newClient(t, tokenOptions(t, hub.Server)).Findings(t.Context(), hub.URL+sampleVersion, 0, 10)
			requireFailure(t, err, failureCase{symptom: "wrong shape", class: model.Invalid, says: c.says})
		})
	}
	t.Run("a link that is none for people", func(t *testing.T) {
		hub := newFakeHub(t, finding(`{"vulnerabilityName": "CVE 1/2", "url": "javascript:alert(1)"}`))
		page, err := newClient(t, tokenOptions(t, hub.Server)).Findings(t.Context(), hub.URL+sampleVersion, 0, 10)
		require.NoError(t, err)
		require.Equal(t, hub.URL+"/api/vulnerabilities/CVE%201%2F2", page.Findings[0].URL)
	})
}

// TestNewScanNotShownYet: a code location that still shows the scan before the one asked about is not taken for done.
func TestNewScanNotShownYet(t *testing.T) {
	hub := newFakeHub(t, answer(200, jsonType, `{"scanState": "SUCCESS", "createdAt": "2025-11-03T10:00:00.000Z", "_meta": {"href": "/api/scan-summaries/1"}}`))
	client := newClient(t, tokenOptions(t, hub.Server))
	scan := model.HubScan{Name: sampleName, CodeLocationURL: hub.URL + sampleLocation, VersionURL: hub.URL + sampleVersion}
	scan.StartedAt = time.Date(2025, 11, 3, 10, 0, 1, 0, time.UTC)
	got, err := client.ScanState(t.Context(), scan)
	require.NoError(t, err)
	require.Equal(t, model.HubScanInProgress, got.State)
	require.Equal(t, "the hub does not show the new scan yet", got.Detail)
	require.Equal(t, scan.StartedAt, got.StartedAt)
}
