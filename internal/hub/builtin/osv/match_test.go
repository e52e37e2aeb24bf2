package osv_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

// record builds a record about one package with one range, through the parser as everybody else does.
func record(t testing.TB, id, ecosystem, name, events string, more ...string) osv.Record {
	t.Helper()
	extra := ""
	for _, each := range more {
		extra += "," + each
	}
	return parsed(t, fmt.Sprintf(`{"schema_version":"1.7.0","id":%q,"modified":"2024-01-02T03:04:05Z","published":"2023-01-02T03:04:05Z"%s,
		"affected":[{"package":{"ecosystem":%q,"name":%q},"ranges":[{"type":"ECOSYSTEM","events":%s}]}]}`, id, extra, ecosystem, name, events))
}

func parsed(t testing.TB, text string) osv.Record {
	t.Helper()
	r, err := osv.Parse([]byte(text))
	require.NoError(t, err)
	return r
}

func ids(findings []osv.Finding) []string {
	found := make([]string, 0, len(findings))
	for _, f := range findings {
		found = append(found, f.ID)
	}
	return found
}

// versionOrder is one pair of versions a row, in the order of one ecosystem.
var versionOrder = []struct {
	name, ecosystem, purl string
	installed, fixed      string
	affected              bool
}{
	{"debian below", "Debian:12", "pkg:deb/debian/p@%s?distro=debian-12", "1.0-1", "1.0-2", true},
	{"debian at", "Debian:12", "pkg:deb/debian/p@%s?distro=debian-12", "1.0-2", "1.0-2", false},
	{"debian above", "Debian:12", "pkg:deb/debian/p@%s?distro=debian-12", "1.0-10", "1.0-2", false},
	{"debian epoch wins", "Debian:12", "pkg:deb/debian/p@%s?distro=debian-12", "2.0-1", "1:2.0-1", true},
	{"debian epoch over a higher version", "Debian:12", "pkg:deb/debian/p@%s?distro=debian-12", "1:1.0-1", "2.0-1", false},
	{"debian epoch encoded", "Debian:12", "pkg:deb/debian/p@%s?distro=debian-12", "1%3A2.39.2-1.1", "1:2.39.5-0+deb12u1", true},
	{"debian epoch zero is no epoch", "Debian:12", "pkg:deb/debian/p@%s?distro=debian-12", "0:1.0-2", "1.0-2", false},
	{"debian tilde is before", "Debian:12", "pkg:deb/debian/p@%s?distro=debian-12", "1.0~rc1-1", "1.0-1", true},
	{"debian tilde encoded", "Debian:12", "pkg:deb/debian/p@%s?distro=debian-12", "1.0%7Erc1-1", "1.0-1", true},
	{"debian tilde in the revision", "Debian:12", "pkg:deb/debian/p@%s?distro=debian-12", "3.0.14-1~deb12u1", "3.0.14-1~deb12u2", true},
	{"debian backport is before the release", "Debian:12", "pkg:deb/debian/p@%s?distro=debian-12", "3.0.14-1~deb12u9", "3.0.14-1", true},
	{"debian stable update", "Debian:12", "pkg:deb/debian/p@%s?distro=debian-12", "2.36-9+deb12u9", "2.36-9+deb12u10", true},
	{"debian stable update encoded", "Debian:12", "pkg:deb/debian/p@%s?distro=debian-12", "2.36-9%2Bdeb12u10", "2.36-9+deb12u10", false},
	{"debian rebuild", "Debian:12", "pkg:deb/debian/p@%s?distro=debian-12", "1.2-3+b1", "1.2-3+deb12u1", true},
	{"debian letters before others", "Debian:12", "pkg:deb/debian/p@%s?distro=debian-12", "1.0a-1", "1.0+-1", true},
	{"debian native", "Debian:12", "pkg:deb/debian/p@%s?distro=debian-12", "2023c", "2024a-0+deb12u1", true},
	{"debian zeros lead nowhere", "Debian:12", "pkg:deb/debian/p@%s?distro=debian-12", "1.002-1", "1.2-1", false},

	{"go below", "Go", "pkg:golang/example.org/p@%s", "v0.3.6", "0.3.7", true},
	{"go at", "Go", "pkg:golang/example.org/p@%s", "v0.3.7", "0.3.7", false},
	{"go numbers, not text", "Go", "pkg:golang/example.org/p@%s", "v0.10.0", "0.9.0", false},
	{"go pseudo-version below", "Go", "pkg:golang/example.org/p@%s", "v0.0.0-20220314234658-aaaaaaaaaaaa", "0.0.0-20220314234659-1baeb1ce4c0b", true},
	{"go pseudo-version above", "Go", "pkg:golang/example.org/p@%s", "v0.0.0-20220315160706-3147a52a75dd", "0.0.0-20220314234659-1baeb1ce4c0b", false},
	{"go pseudo-version before its tag", "Go", "pkg:golang/example.org/p@%s", "v1.2.4-0.20230101000000-abcdefabcdef", "1.2.4", true},
	{"go pseudo-version after its tag", "Go", "pkg:golang/example.org/p@%s", "v1.2.4-0.20230101000000-abcdefabcdef", "1.2.3", false},
	{"go incompatible", "Go", "pkg:golang/example.org/p@%s", "v3.2.0+incompatible", "3.2.1", true},
	{"go incompatible encoded, at", "Go", "pkg:golang/example.org/p@%s", "v3.2.1%2Bincompatible", "3.2.1", false},
	{"go pre-release", "Go", "pkg:golang/example.org/p@%s", "v1.0.0-rc.1", "1.0.0", true},

	{"npm below", "npm", "pkg:npm/p@%s", "4.17.20", "4.17.21", true},
	{"npm at", "npm", "pkg:npm/p@%s", "4.17.21", "4.17.21", false},
	{"npm pre-release below", "npm", "pkg:npm/p@%s", "8.0.0-alpha.3", "8.0.0-alpha.4", true},
	{"npm pre-release before release", "npm", "pkg:npm/p@%s", "5.0.0-beta.3", "5.0.0", true},
	{"npm numbers before words", "npm", "pkg:npm/p@%s", "1.0.0-1", "1.0.0-alpha", true},
	{"npm build says nothing", "npm", "pkg:npm/p@%s", "1.0.0+build.5", "1.0.0", false},

	{"pypi below", "PyPI", "pkg:pypi/p@%s", "2.30", "2.31.0", true},
	{"pypi zeros say nothing", "PyPI", "pkg:pypi/p@%s", "5.4", "5.4.0", false},
	{"pypi post is after", "PyPI", "pkg:pypi/p@%s", "1.0.post1", "1.0", false},
	{"pypi post below", "PyPI", "pkg:pypi/p@%s", "1.0.post1", "1.0.post2", true},
	{"pypi dev is before", "PyPI", "pkg:pypi/p@%s", "1.0.dev3", "1.0a1", true},
	{"pypi candidate is before", "PyPI", "pkg:pypi/p@%s", "1.0rc1", "1.0", true},
	{"pypi epoch", "PyPI", "pkg:pypi/p@%s", "2024.1", "1!1.0", true},
	{"pypi epoch encoded", "PyPI", "pkg:pypi/p@%s", "1%211.0", "2024.1", false},
	{"pypi local is after", "PyPI", "pkg:pypi/p@%s", "1.0%2Bcu118", "1.0", false},
}

// TestVersionOrder sets the fix to the version on the right; the one on the left is affected when it is lower.
func TestVersionOrder(t *testing.T) {
	for _, row := range versionOrder {
		t.Run(row.name, func(t *testing.T) {
			name := "p"
			if row.ecosystem == "Go" {
				name = "example.org/p"
			}
			r := record(t, "CVE-2024-1", row.ecosystem, name, fmt.Sprintf(`[{"introduced":"0"},{"fixed":%q}]`, row.fixed))
			findings, err := osv.Match(fmt.Sprintf(row.purl, row.installed), []osv.Record{r})
			require.NoError(t, err)
			if !row.affected {
				require.Empty(t, findings)
				return
			}
			require.Len(t, findings, 1)
			require.Equal(t, row.fixed, findings[0].Fixed)
		})
	}
}

func TestRanges(t *testing.T) {
	const branches = `[{"introduced":"2.0.0"},{"fixed":"2.0.6"},{"introduced":"0"},{"fixed":"1.26.17"}]`
	for _, row := range []struct {
		name, events, version string
		affected              bool
		fixed                 string
	}{
		{"two branches, lower, below", branches, "1.26.16", true, "1.26.17"},
		{"two branches, lower, at", branches, "1.26.17", false, ""},
		{"two branches, between", branches, "1.99.0", false, ""},
		{"two branches, upper, at the start", branches, "2.0.0", true, "2.0.6"},
		{"two branches, upper, below", branches, "2.0.5", true, "2.0.6"},
		{"two branches, above", branches, "3.0.0", false, ""},
		{"last affected, below", `[{"introduced":"1.0.0"},{"last_affected":"1.5.0"}]`, "1.4.9", true, ""},
		{"last affected, at", `[{"introduced":"1.0.0"},{"last_affected":"1.5.0"}]`, "1.5.0", true, ""},
		{"last affected, above", `[{"introduced":"1.0.0"},{"last_affected":"1.5.0"}]`, "1.5.1", false, ""},
		{"before the first", `[{"introduced":"1.0.0"},{"last_affected":"1.5.0"}]`, "0.9.0", false, ""},
		{"never fixed", `[{"introduced":"0"}]`, "99.0.0", true, ""},
		{"fixed at once", `[{"introduced":"1.0.0"},{"fixed":"1.0.0"}]`, "1.0.0", false, ""},
		{"fixed and broken again in the same release", `[{"introduced":"0"},{"fixed":"1.0.0"},{"introduced":"1.0.0"},{"fixed":"1.1.0"}]`, "1.0.5", true, "1.1.0"},
		{"below the limit", `[{"introduced":"0"},{"limit":"2.0.0"}]`, "1.9.9", true, ""},
		{"at the limit", `[{"introduced":"0"},{"limit":"2.0.0"}]`, "2.0.0", false, ""},
		{"one of two limits", `[{"introduced":"0"},{"limit":"2.0.0"},{"limit":"3.0.0"}]`, "2.5.0", true, ""},
		{"no limit at all", `[{"introduced":"0"},{"limit":"*"}]`, "2.5.0", true, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := record(t, "CVE-2024-1", "npm", "p", row.events)
			findings, err := osv.Match("pkg:npm/p@"+row.version, []osv.Record{r})
			require.NoError(t, err)
			if !row.affected {
				require.Empty(t, findings)
				return
			}
			require.Len(t, findings, 1)
			require.Equal(t, row.fixed, findings[0].Fixed)
		})
	}
}

func TestVersionsList(t *testing.T) {
	const text = `{"id":"CVE-2024-1","modified":"2024-01-02T03:04:05Z","affected":[{"package":{"ecosystem":%q,"name":"p"},
		"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.5"}]}],"versions":%s}]}`
	for _, row := range []struct {
		name, ecosystem, list, purl string
		affected                    bool
	}{
		{"listed above the range", "PyPI", `["1.4","2.0"]`, "pkg:pypi/p@2.0", true},
		{"listed in another spelling", "PyPI", `["1.4","2.0"]`, "pkg:pypi/p@2.0.0", true},
		{"neither listed nor in range", "PyPI", `["1.4","2.0"]`, "pkg:pypi/p@2.1", false},
		{"in range though not listed", "PyPI", `["1.4"]`, "pkg:pypi/p@1.3", true},
		{"npm with a v", "npm", `["v2.0.0"]`, "pkg:npm/p@2.0.0", true},
		{"debian as text", "Debian:12", `["1:2.0-1"]`, "pkg:deb/debian/p@1:2.0-1?distro=bookworm", true},
		{"debian without the epoch", "Debian:12", `["1:2.0-1"]`, "pkg:deb/debian/p@2.0-1?distro=bookworm", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := parsed(t, fmt.Sprintf(text, row.ecosystem, row.list))
			findings, err := osv.Match(row.purl, []osv.Record{r})
			require.NoError(t, err)
			require.Equal(t, row.affected, len(findings) == 1)
		})
	}
	t.Run("what a range covers is not kept", func(t *testing.T) {
		r := parsed(t, fmt.Sprintf(text, "PyPI", `["1.0","1.4","2.0"]`))
		require.Equal(t, []string{"2.0"}, r.Affected[0].Versions)
	})
}

func TestWithdrawnNeverMatches(t *testing.T) {
	const events = `[{"introduced":"0"}]`
	kept := record(t, "GHSA-1", "npm", "p", events, `"aliases":["CVE-2024-2"]`)
	withdrawn := record(t, "GHSA-2", "npm", "p", events, `"withdrawn":"2024-02-01T00:00:00Z"`, `"aliases":["CVE-2024-2","CVE-2024-3"]`,
		`"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]`)
	require.True(t, withdrawn.Withdrawn)

	findings, err := osv.Match("pkg:npm/p@1.0.0", []osv.Record{kept, withdrawn})
	require.NoError(t, err)
	require.Equal(t, []string{"CVE-2024-2"}, ids(findings))
	require.Equal(t, []string{"GHSA-1"}, findings[0].Aliases, "what was withdrawn says nothing of other ids")
	require.Equal(t, model.SeverityUnrated, findings[0].Severity, "nor of the severity")
}

func TestStoredFormMatchesAlike(t *testing.T) {
	records, err := osv.Sample()
	require.NoError(t, err)
	stored := make([]osv.Record, 0, len(records))
	for _, r := range records {
		data, err := json.Marshal(r)
		require.NoError(t, err)
		var back osv.Record
		require.NoError(t, json.Unmarshal(data, &back))
		require.Equal(t, r, back)
		stored = append(stored, back)
	}
	for _, purl := range []string{"pkg:golang/golang.org/x/net@v0.6.0", "pkg:pypi/urllib3@2.0.1", "pkg:deb/debian/libc6@2.36-9?distro=debian-12&upstream=glibc"} {
		want, err := osv.Match(purl, records)
		require.NoError(t, err)
		require.NotEmpty(t, want)
		got, err := osv.Match(purl, stored)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestStoredFormIsChecked(t *testing.T) {
	for _, text := range []string{
		`{"id":1}`, `{"id":"X","af":[{"s":"npm","p":"p","r":[{"e":["x:1"]}]}]}`, `{"id":"X","af":[{"s":"npm","p":"p","r":[{"e":["f"]}]}]}`,
		`{"id":"X","af":[{"s":"npm","p":"p","r":[{"e":["f:words"]}]}]}`,
	} {
		var r osv.Record
		require.Error(t, json.Unmarshal([]byte(text), &r), text)
	}
}

func BenchmarkMatch(b *testing.B) {
	const packages, each = 400, 50
	records := make([][]osv.Record, packages)
	for i := range records {
		for j := range each {
			records[i] = append(records[i], record(b, fmt.Sprintf("GO-2024-%d", j), "Go", fmt.Sprintf("example.org/p%d", i),
				fmt.Sprintf(`[{"introduced":"0"},{"fixed":"1.%d.3"},{"introduced":"2.0.0-0"},{"fixed":"2.%d.1"}]`, j, j)))
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		for i, list := range records {
			if _, err := osv.Match(fmt.Sprintf("pkg:golang/example.org/p%d@v1.48.9", i), list); err != nil {
				b.Fatal(err)
			}
		}
	}
}
