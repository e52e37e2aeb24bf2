package osv_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

const (
	critical = `"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]` // 9.8
	medium   = `"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"}]` // 6.1
)

func match(t *testing.T, purl string, records ...osv.Record) []osv.Finding {
	t.Helper()
	findings, err := osv.Match(purl, records)
	require.NoError(t, err)
	return findings
}

func TestAliasesBecomeOneFinding(t *testing.T) {
	goRecord := record(t, "GO-2021-0113", "Go", "golang.org/x/text", `[{"introduced":"0"},{"fixed":"0.3.7"}]`,
		`"aliases":["CVE-2021-38561","GHSA-ppp9-7jff-5vj2"]`, `"summary":"Go's title"`)
	github := record(t, "GHSA-ppp9-7jff-5vj2", "Go", "golang.org/x/text", `[{"introduced":"0"},{"fixed":"0.3.8"}]`,
		`"aliases":["CVE-2021-38561"]`, critical, `"summary":"GitHub's title"`)

	findings := match(t, "pkg:golang/golang.org/x/text@v0.3.6", github, goRecord)
	require.Equal(t, []osv.Finding{{
		ID: "CVE-2021-38561", Aliases: []string{"GHSA-ppp9-7jff-5vj2", "GO-2021-0113"}, Summary: "Go's title",
		Severity: model.SeverityCritical, Score: 9.8,
		Fixed: "0.3.8", URL: "https://osv.dev/vulnerability/GO-2021-0113",
		Published: time.Date(2023, 1, 2, 3, 4, 5, 0, time.UTC), Modified: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC),
	}}, findings, "0.3.7 is still affected as GitHub says, so 0.3.8 is the fix")
}

func TestAliasesAreFollowedThroughOthers(t *testing.T) {
	all := `[{"introduced":"0"}]`
	findings := match(t, "pkg:pypi/p@1.0",
		record(t, "PYSEC-1", "PyPI", "p", all, `"aliases":["GHSA-1"]`),
		record(t, "GHSA-1", "PyPI", "p", all, `"aliases":["CVE-2024-9"]`),
		record(t, "PYSEC-2", "PyPI", "p", all))
	require.Equal(t, []string{"CVE-2024-9", "PYSEC-2"}, ids(findings))
	require.Equal(t, []string{"GHSA-1", "PYSEC-1"}, findings[0].Aliases)
	require.Empty(t, findings[1].Aliases)
}

func TestPreferredIDWithoutCVE(t *testing.T) {
	all := `[{"introduced":"0"}]`
	for _, row := range []struct{ ecosystem, purl, one, other, want string }{
		{"Go", "pkg:golang/p@v1.0.0", "GHSA-1", "GO-1", "GO-1"},
		{"npm", "pkg:npm/p@1.0.0", "A-1", "GHSA-1", "GHSA-1"},
		{"PyPI", "pkg:pypi/p@1.0.0", "GHSA-1", "PYSEC-1", "PYSEC-1"},
		{"npm", "pkg:npm/p@1.0.0", "B-1", "A-1", "A-1"},
	} {
		t.Run(row.one+" and "+row.other, func(t *testing.T) {
			findings := match(t, row.purl, record(t, row.one, row.ecosystem, "p", all, `"aliases":["`+row.other+`"]`), record(t, row.other, row.ecosystem, "p", all))
			require.Equal(t, []string{row.want}, ids(findings))
			require.Equal(t, "https://osv.dev/vulnerability/"+row.want, findings[0].URL)
		})
	}
}

func TestAdvisoryAboutSeveralVulnerabilities(t *testing.T) {
	const fixed = `[{"introduced":"0"},{"fixed":"1.20.1-2+deb12u2"}]`
	for _, row := range []struct{ name, field string }{
		{"upstream, as today", `"upstream":["CVE-2024-37370","CVE-2024-37371"]`},
		{"aliases, as once", `"aliases":["CVE-2024-37370","CVE-2024-37371"]`},
		{"related, as in between", `"related":["CVE-2024-37370","CVE-2024-37371"]`},
	} {
		t.Run(row.name, func(t *testing.T) {
			findings := match(t, "pkg:deb/debian/libkrb5-3@1.20.1-2?distro=debian-12&upstream=krb5",
				record(t, "DSA-5726-1", "Debian:12", "krb5", fixed, row.field),
				record(t, "DEBIAN-CVE-2024-37370", "Debian:12", "krb5", fixed, `"upstream":["CVE-2024-37370"]`, critical))
			require.Equal(t, []string{"CVE-2024-37370", "CVE-2024-37371"}, ids(findings), "two vulnerabilities, each once")
			require.Equal(t, []string{"DEBIAN-CVE-2024-37370", "DSA-5726-1"}, findings[0].Aliases)
			require.Equal(t, model.SeverityCritical, findings[0].Severity)
			require.Equal(t, []string{"DSA-5726-1"}, findings[1].Aliases, "the other CVE is no alias")
			require.Equal(t, model.SeverityUnrated, findings[1].Severity)
			for _, f := range findings {
				require.Equal(t, "1.20.1-2+deb12u2", f.Fixed)
				require.Equal(t, "https://osv.dev/vulnerability/DSA-5726-1", f.URL)
			}
		})
	}
}

func TestRelatedIsNoAlias(t *testing.T) {
	all := `[{"introduced":"0"}]`
	findings := match(t, "pkg:npm/p@1.0.0",
		record(t, "GHSA-1", "npm", "p", all, `"related":["GHSA-2"]`), record(t, "GHSA-2", "npm", "p", all))
	require.Equal(t, []string{"GHSA-1", "GHSA-2"}, ids(findings))
}

func TestSeverityIsTheHighestKnown(t *testing.T) {
	all, other := `[{"introduced":"0"}]`, `[{"introduced":"2.0.0"}]`
	t.Run("of two that match", func(t *testing.T) {
		findings := match(t, "pkg:npm/p@1.0.0",
			record(t, "GHSA-1", "npm", "p", all, medium, `"aliases":["CVE-1"]`), record(t, "GHSA-2", "npm", "p", all, critical, `"aliases":["CVE-1"]`))
		require.Len(t, findings, 1)
		require.Equal(t, model.SeverityCritical, findings[0].Severity)
		require.InDelta(t, 9.8, findings[0].Score, 0.01)
	})
	t.Run("of an alias that does not touch this version", func(t *testing.T) {
		findings := match(t, "pkg:npm/p@1.0.0",
			record(t, "GHSA-1", "npm", "p", all, `"aliases":["CVE-1"]`), record(t, "GHSA-2", "npm", "p", other, medium, `"aliases":["CVE-1"]`))
		require.Len(t, findings, 1)
		require.Equal(t, model.SeverityMedium, findings[0].Severity)
	})
	t.Run("a stranger lends nothing", func(t *testing.T) {
		findings := match(t, "pkg:npm/p@1.0.0", record(t, "GHSA-1", "npm", "p", all), record(t, "GHSA-2", "npm", "p", other, critical))
		require.Len(t, findings, 1)
		require.Equal(t, model.SeverityUnrated, findings[0].Severity)
	})
	t.Run("worst first", func(t *testing.T) {
		findings := match(t, "pkg:npm/p@1.0.0",
			record(t, "CVE-1", "npm", "p", all), record(t, "CVE-2", "npm", "p", all, medium), record(t, "CVE-3", "npm", "p", all, critical))
		require.Equal(t, []string{"CVE-3", "CVE-2", "CVE-1"}, ids(findings))
	})
}

func TestFixIsUnaffected(t *testing.T) {
	t.Run("a fix inside another range of the record is none", func(t *testing.T) {
		r := parsed(t, `{"id":"CVE-1","modified":"2024-01-02T03:04:05Z","affected":[
			{"package":{"ecosystem":"npm","name":"p"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.5.0"}]}]},
			{"package":{"ecosystem":"npm","name":"p"},"ranges":[{"type":"SEMVER","events":[{"introduced":"1.4.0"},{"fixed":"1.6.0"}]}]}]}`)
		require.Equal(t, "1.6.0", match(t, "pkg:npm/p@1.0.0", r)[0].Fixed)
	})
	t.Run("one record knows no fix", func(t *testing.T) {
		findings := match(t, "pkg:npm/p@1.0.0",
			record(t, "GHSA-1", "npm", "p", `[{"introduced":"0"}]`, `"aliases":["CVE-1"]`),
			record(t, "GHSA-2", "npm", "p", `[{"introduced":"0"},{"fixed":"1.5.0"}]`, `"aliases":["CVE-1"]`))
		require.Equal(t, "1.5.0", findings[0].Fixed)
	})
}

func TestOtherPackagesArePassedOver(t *testing.T) {
	all := `[{"introduced":"0"}]`
	r := record(t, "CVE-1", "npm", "q", all)
	require.Empty(t, match(t, "pkg:npm/p@1.0.0", r, record(t, "CVE-2", "PyPI", "p", all), record(t, "CVE-3", "Debian:11", "p", all)))
	require.Empty(t, match(t, "pkg:deb/debian/p@1.0?distro=debian-12", record(t, "CVE-3", "Debian:11", "p", all)))
	require.Empty(t, match(t, "pkg:npm/p@1.0.0", record(t, "CVE-1", "npm", "p", all).Only(osv.Key{Ecosystem: "npm", Package: "q"})))
}
