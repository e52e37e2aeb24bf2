package osv_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

func TestSample(t *testing.T) {
	records, err := osv.Sample()
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(records), 40)
	seen, ecosystems := map[string]bool{}, map[string]int{}
	for _, r := range records {
		require.False(t, seen[r.ID], "%s twice", r.ID)
		seen[r.ID] = true
		require.NotEmpty(t, osv.KeysOf(r), r.ID)
		require.Empty(t, r.Summary, "%s: facts only", r.ID)
		require.False(t, r.Modified.IsZero(), r.ID)
		for _, key := range osv.KeysOf(r) {
			ecosystem, _, _ := strings.Cut(key.Ecosystem, ":")
			ecosystems[ecosystem]++
		}
	}
	for _, ecosystem := range []string{"Debian", "Go", "npm", "PyPI"} {
		require.GreaterOrEqual(t, ecosystems[ecosystem], 8, ecosystem)
	}
}

func TestSampleFindsWhatIsPublished(t *testing.T) {
	records, err := osv.Sample()
	require.NoError(t, err)
	for _, row := range []struct {
		name, purl string
		want       []string // id severity fixed
	}{
		{"old text module", "pkg:golang/golang.org/x/text@v0.3.6", []string{"CVE-2021-38561 HIGH 0.3.7", "CVE-2022-32149 HIGH 0.3.8"}},
		{"text module at the first fix", "pkg:golang/golang.org/x/text@v0.3.7", []string{"CVE-2022-32149 HIGH 0.3.8"}},
		{"text module at the second fix", "pkg:golang/golang.org/x/text@v0.3.8", nil},
		{"this program's own toolchain", "pkg:golang/stdlib@1.26.8", nil},
		{"an old toolchain", "pkg:golang/stdlib@1.22.1", []string{"CVE-2023-45288 MEDIUM 1.22.2", "CVE-2025-22870 UNRATED 1.23.7"}},
		{"a module that is not fixed", "pkg:golang/github.com/dgrijalva/jwt-go@v3.2.0%2Bincompatible", []string{"CVE-2020-26160 HIGH "}},
		{"scoped npm package", "pkg:npm/%40babel/traverse@7.23.1", []string{"CVE-2023-45133 CRITICAL 7.23.2"}},
		{"npm pre-release", "pkg:npm/%40babel/traverse@8.0.0-alpha.3", []string{"CVE-2023-45133 CRITICAL 8.0.0-alpha.4"}},
		{"python, two branches", "pkg:pypi/urllib3@1.26.16", []string{"CVE-2023-43804 HIGH 1.26.17", "CVE-2023-45803 MEDIUM 1.26.18"}},
		{"python, spelled otherwise", "pkg:pypi/PyYAML@5.3.1", []string{"CVE-2020-14343 CRITICAL 5.4"}},
		{
			"debian source, one advisory for two", "pkg:deb/debian/libkrb5-3@1.20.1-2%2Bdeb12u1?arch=amd64&distro=debian-12&upstream=krb5",
			[]string{"CVE-2024-37370 HIGH 1.20.1-2+deb12u2", "CVE-2024-37371 UNRATED 1.20.1-2+deb12u2"},
		},
		{"debian at the fix", "pkg:deb/debian/libkrb5-3@1.20.1-2%2Bdeb12u2?arch=amd64&distro=debian-12&upstream=krb5", nil},
		{"debian, tilde", "pkg:deb/debian/libssl3@3.0.14-1~deb12u1?distro=debian-12&upstream=openssl", []string{"CVE-2024-6119 UNRATED 3.0.14-1~deb12u2"}},
		{"debian, epoch", "pkg:deb/debian/git@1%3A2.39.2-1.1?distro=debian-12", []string{"CVE-2024-32002 CRITICAL 1:2.39.5-0+deb12u1"}},
		{"debian, vector 4.0", "pkg:deb/debian/liblzma5@5.4.1-0.2?distro=debian-12&upstream=xz-utils", []string{"CVE-2025-31115 HIGH 5.4.1-1"}},
		{
			"debian, another release", "pkg:deb/debian/libkrb5-3@1.18.3-6%2Bdeb11u4?distro=debian-11&upstream=krb5",
			[]string{"CVE-2024-37370 HIGH 1.18.3-6+deb11u5", "CVE-2024-37371 UNRATED 1.18.3-6+deb11u5"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got []string
			for _, f := range match(t, row.purl, records...) {
				got = append(got, f.ID+" "+string(f.Severity)+" "+f.Fixed)
			}
			require.Equal(t, row.want, got)
		})
	}
	t.Run("aliases and address", func(t *testing.T) {
		f := match(t, "pkg:golang/golang.org/x/text@v0.3.6", records...)[0]
		require.Equal(t, []string{"GHSA-ppp9-7jff-5vj2", "GO-2021-0113"}, f.Aliases)
		require.InDelta(t, 7.5, f.Score, 0.01)
		require.Equal(t, model.SeverityHigh, f.Severity)
		require.Equal(t, "https://osv.dev/vulnerability/GO-2021-0113", f.URL)
	})
}
