package jobs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
)

func TestBadPolicies(t *testing.T) {
	for name, row := range map[string]struct{ text, message string }{
		"no name":             {"rules: [{severity: BLOCKER, vulnerability: HIGH}]", "rule number 1 has no name"},
		"name twice":          {"rules: [{name: a, severity: MINOR, vulnerability: LOW}, {name: a, severity: MINOR, vulnerability: LOW}]", `rule "a" stands twice`},
		"no severity":         {"rules: [{name: a, vulnerability: HIGH}]", `rule "a": severity "" is none of BLOCKER`},
		"wrong severity":      {"rules: [{name: a, severity: AWFUL, vulnerability: HIGH}]", `rule "a": severity "AWFUL" is none of BLOCKER`},
		"wrong vulnerability": {"rules: [{name: a, severity: MAJOR, vulnerability: AWFUL}]", `rule "a": vulnerability "AWFUL" is none of`},
		"empty pattern":       {`rules: [{name: a, severity: MAJOR, vulnerability: HIGH, components: [""]}]`, `rule "a": components: an empty pattern`},
		"unknown field":       {"rules: [{name: a, sevrity: MAJOR}]", "sevrity"},
		"no YAML":             {"rules: [", "read rules"},
		"another shape":       {"rules: all of them", "read rules"},
		"override without why": {
			"overrides: [{component: a, vulnerability: CVE-1}]", `override number 1 (vulnerability "CVE-1"): reason is missing`,
		},
		"override of nothing": {"overrides: [{component: a, reason: because}]", "vulnerability is missing"},
		"override until when": {"overrides: [{component: a, vulnerability: CVE-1, reason: because, until: soon}]", "soon"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := judge.ParsePolicy([]byte(row.text))
			require.ErrorContains(t, err, row.message)
		})
	}
}

// FuzzPolicy: rules that are taken can be judged by, and everything else is refused with words.
func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{
		"", "rules: []", "rules: [{name: a, severity: BLOCKER, vulnerability: HIGH, components: ['*(', '[a']}]",
		"overrides: [{component: '*', vulnerability: x, reason: y, until: 2026-01-01}]", "rules: &a [*a]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := judge.ParsePolicy(raw); err != nil {
			require.NotEmpty(t, err.Error())
		}
	})
}
