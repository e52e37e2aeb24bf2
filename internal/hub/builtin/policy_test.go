package builtin_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin"
)

func TestBadPolicyFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte("rules: [{name: mine}]"), 0o600))
	options := optionsIn(t.TempDir())
	options.PolicyFile = file
	_, err := builtin.Open(options)
	require.ErrorContains(t, err, file)
	require.ErrorContains(t, err, `rule "mine"`)
	options.PolicyFile = file + ".not"
	_, err = builtin.Open(options)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestRules judges the same packages by different rules. A new hub opens the same file for each: verdicts follow the rules.
func TestRules(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir)
	h.load("replace", record("TEST-1", "npm", "rotten", "1.2.0", criticalVector), record("TEST-2", "npm", "stale", "2.0.0", mediumVector),
		record("TEST-3", "PyPI", "odd", "3.0.0", ""), record("TEST-4", "npm", "rotten", "1.3.0", mediumVector))
	h.scan(upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/rotten@1.0.0", "pkg:npm/stale@1.0.0", "pkg:pypi/odd@1.0.0")})
	h.stop()
	const over = "\noverrides: [{component: '*', vulnerability: TEST-1, reason: x, until: 2025-12-31}]"
	const override = "\noverrides: [{component: 'pkg:npm/rotten@*', vulnerability: test-1, reason: not reachable, until: 2026-02-01}]"
	for name, row := range map[string]struct {
		policy, overall string
		counts          string
	}{
		"none":             {"", "NOT_IN_VIOLATION", `0 0 3`},
		"critical":         {"rules: [{name: r, severity: BLOCKER, vulnerability: CRITICAL}]", "IN_VIOLATION", `1 0 2`},
		"medium":           {"rules: [{name: r, severity: minor, vulnerability: medium}]", "IN_VIOLATION", `2 0 1`},
		"unrated":          {"rules: [{name: r, severity: MINOR, vulnerability: UNRATED}]", "IN_VIOLATION", `3 0 0`},
		"component":        {"rules: [{name: r, severity: MINOR, vulnerability: LOW, components: ['sta?e']}]", "IN_VIOLATION", `1 0 2`},
		"package URL":      {"rules: [{name: r, severity: MINOR, vulnerability: LOW, components: ['PKG:npm/*@1.0.0']}]", "IN_VIOLATION", `2 0 1`},
		"ecosystem":        {"rules: [{name: r, severity: MINOR, vulnerability: UNRATED, ecosystems: [pypi]}]", "IN_VIOLATION", `1 0 2`},
		"other ecosystem":  {"rules: [{name: r, severity: MINOR, vulnerability: UNRATED, ecosystems: ['Debian*', cargo]}]", "NOT_IN_VIOLATION", `0 0 3`},
		"overridden":       {"rules: [{name: r, severity: BLOCKER, vulnerability: CRITICAL}]" + override, "IN_VIOLATION_OVERRIDDEN", `0 1 2`},
		"one of two is":    {"rules: [{name: r, severity: BLOCKER, vulnerability: LOW, components: [rotten]}]" + override, "IN_VIOLATION", `1 0 2`},
		"override is over": {"rules: [{name: r, severity: BLOCKER, vulnerability: HIGH}]" + over, "IN_VIOLATION", `1 0 2`},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "rules.yaml")
			require.NoError(t, os.WriteFile(file, []byte(row.policy), 0o600))
			h := open(t, dir, func(o *builtin.Options) { o.PolicyFile = file })
			defer h.stop()
			h.awaitJudged()
			_, version := h.location("name")
			var status struct {
				Overall string `json:"overallStatus"`
				Counts  []struct {
					Value int `json:"value"`
				} `json:"componentVersionStatusCounts"`
			}
			h.decode(version+"/policy-status", &status)
			require.Equal(t, row.overall, status.Overall)
			counts := ""
			for _, c := range status.Counts {
				counts += " " + jsonOf(c.Value)
			}
			require.Equal(t, " "+row.counts, counts)
		})
	}
}

// TestOverrideEnds: the violation comes back by itself, with a notification, and had gone with one.
func TestOverrideEnds(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir)
	h.load("replace", record("TEST-1", "npm", "rotten", "1.2.0", criticalVector))
	h.scan(upload{project: "p", version: "v", scan: "name", document: document("pkg:npm/rotten@1.0.0")})
	h.stop()
	file := filepath.Join(dir, "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`
rules: [{name: r, severity: BLOCKER, vulnerability: HIGH}]
overrides: [{component: rotten, vulnerability: TEST-1, reason: a fix comes soon, until: 2026-01-03T00:00:00Z}]`), 0o600))
	h = open(t, dir, func(o *builtin.Options) { o.PolicyFile = file })
	h.awaitJudged()
	_, version := h.location("name")
	require.Equal(t, "IN_VIOLATION_OVERRIDDEN", h.get(version+"/policy-status").text("overallStatus"))
	vulnerable := h.list(version + "/vulnerable-bom-components").Items[0]["vulnerabilityWithRemediation"].(map[string]any)
	require.Equal(t, "IGNORED", vulnerable["remediationStatus"])
	require.Equal(t, 1, h.list("/api/notifications?filter=notificationType:POLICY_OVERRIDE").Total)
	require.Equal(t, 1, h.list("/api/notifications?filter=notificationType:RULE_VIOLATION").Total)

	end := time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC)
	require.Eventually(t, func() bool { return h.clock.Waits(end.Sub(h.clock.Now())) >= 1 }, patience, time.Millisecond)
	h.clock.Advance(end.Sub(h.clock.Now()))
	require.NoError(t, h.login())
	require.Eventually(t, func() bool {
		return h.call("GET", version+"/policy-status", "").text("overallStatus") == "IN_VIOLATION"
	}, patience, time.Millisecond)
	require.Equal(t, 2, h.list("/api/notifications?filter=notificationType:RULE_VIOLATION").Total)
}
