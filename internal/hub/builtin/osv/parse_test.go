package osv_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

const whole = `{
	"schema_version": "1.7.0", "id": "GHSA-aaaa-bbbb-cccc", "modified": "2024-01-02T03:04:05.678Z", "published": "2023-01-02T03:04:05+02:00",
	"aliases": ["CVE-2024-1"], "related": ["CVE-2024-2"], "summary": "  A title\nin two\u001b[31m lines ", "details": "dropped",
	"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],
	"affected": [
		{"package": {"ecosystem": "PyPI", "name": "Foo_Bar", "purl": "pkg:pypi/foo-bar"},
		 "ranges": [{"type": "GIT", "repo": "https://example.org/r", "events": [{"introduced": "0"}, {"fixed": "deadbeef"}]},
		            {"type": "ECOSYSTEM", "events": [{"fixed": "1.5"}, {"introduced": "0"}], "database_specific": {"x": [1]}}]},
		{"package": {"ecosystem": "PyPI", "name": "foo.bar"}, "versions": ["9.0"]},
		{"package": {"ecosystem": "npm", "name": "@s/p"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "1.0.0"}]}]},
		{"package": {"ecosystem": "crates.io", "name": "c"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "1.0.0"}]}]},
		{"ranges": [{"type": "GIT", "repo": "https://example.org/r", "events": [{"introduced": "0"}]}]}],
	"database_specific": {"severity": "LOW", "cwe_ids": []}, "credits": [{"name": "n"}]}`

func TestParseReduces(t *testing.T) {
	r := parsed(t, whole)
	require.Equal(t, "GHSA-aaaa-bbbb-cccc", r.ID)
	require.Equal(t, []string{"CVE-2024-1"}, r.Aliases)
	require.Empty(t, r.Upstream)
	require.Equal(t, "A title in two [31m lines", r.Summary, "nothing that moves a terminal's cursor")
	require.Equal(t, model.SeverityHigh, r.Severity)
	require.InDelta(t, 7.5, r.Score, 0.01)
	require.Equal(t, time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC), r.Modified)
	require.Equal(t, time.Date(2023, 1, 2, 1, 4, 5, 0, time.UTC), r.Published)
	require.Equal(t, []osv.Key{{Ecosystem: "PyPI", Package: "foo-bar"}, {Ecosystem: "npm", Package: "@s/p"}}, osv.KeysOf(r))
	require.Len(t, r.Affected, 3, "neither the unknown ecosystem nor bare commits are kept")
	require.Len(t, r.Affected[0].Ranges, 1)
	require.Equal(t, osv.Introduced, r.Affected[0].Ranges[0].Events[0].Kind, "events are put in order")

	stored, err := json.Marshal(r)
	require.NoError(t, err)
	require.NotContains(t, string(stored), "dropped")
	require.Less(t, len(stored), 420)
	require.Len(t, r.Only(osv.Key{Ecosystem: "PyPI", Package: "foo-bar"}).Affected, 2)
}

func TestParseCutsLongTitles(t *testing.T) {
	r := parsed(t, `{"id":"A-1","modified":"2024-01-02T03:04:05Z","summary":"`+strings.Repeat("ä", 1000)+`"}`)
	require.Equal(t, strings.Repeat("ä", 150)+"…", r.Summary)
}

func TestParseRefuses(t *testing.T) {
	const head = `{"id":"A-1","modified":"2024-01-02T03:04:05Z",`
	affected := func(inner string) string {
		return head + `"affected":[{"package":{"ecosystem":"npm","name":"p"},` + inner + `}]}`
	}
	events := func(list string) string { return affected(`"ranges":[{"type":"SEMVER","events":` + list + `}]`) }
	for _, row := range []struct{ name, text, says string }{
		{"nothing", ``, `not an OSV record in JSON`},
		{"cut off", whole[:200], `not an OSV record in JSON`},
		{"HTML", `<html></html>`, `not an OSV record in JSON`},
		{"a list", `[]`, `not an OSV record in JSON`},
		{"null", `null`, `not an OSV record but null`},
		{"two records", `{"id":"A-1"}{"id":"A-2"}`, `not an OSV record in JSON`},
		{"no id", `{"modified":"2024-01-02T03:04:05Z"}`, `id: is missing`},
		{"id of another type", `{"id":7}`, `not an OSV record in JSON`},
		{"id with a slash", `{"id":"../../etc/passwd","modified":"2024-01-02T03:04:05Z"}`, `id: "../../etc/passwd" has a character no id has`},
		{"id too long", `{"id":"` + strings.Repeat("A", 200) + `"}`, `is longer than 128 bytes`},
		{"no modified", `{"id":"A-1"}`, `A-1: modified: is missing`},
		{"modified no time", `{"id":"A-1","modified":"yesterday"}`, `A-1: modified: "yesterday" is not a time such as 2024-05-31T12:00:00Z`},
		{"withdrawn no time", head + `"withdrawn":"yes"}`, `A-1: withdrawn: "yes" is not a time`},
		{"later schema", `{"schema_version":"2.0.0","id":"A-1"}`, `A-1: schema_version: "2.0.0" is not 1.x`},
		{"alias with a line break", head + `"aliases":["CVE-1","a\nb"]}`, `A-1: aliases[1]: "a\nb" has a character no id has`},
		{"no ecosystem", head + `"affected":[{"package":{"name":"p"}}]}`, `A-1: affected[0].package.ecosystem: is missing`},
		{"no package name", head + `"affected":[{"package":{"ecosystem":"Go"}}]}`, `A-1: affected[0].package.name: is missing`},
		{"unknown type of range", affected(`"ranges":[{"type":"LINEAR","events":[]}]`), `A-1: affected[0].ranges[0].type: "LINEAR" is none of SEMVER, ECOSYSTEM, GIT`},
		{"commits of no repository", affected(`"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}]`), `A-1: affected[0].ranges[0].repo: is missing`},
		{"no events", events(`[]`), `A-1: affected[0].ranges[0].events: none of them is introduced`},
		{"only fixed", events(`[{"fixed":"1.0.0"}]`), `A-1: affected[0].ranges[0].events: none of them is introduced`},
		{"an event of two kinds", events(`[{"introduced":"0","fixed":"1.0.0"}]`), `A-1: affected[0].ranges[0].events[0]: has 2 of introduced, fixed`},
		{"an empty event", events(`[{"introduced":"0"},{}]`), `A-1: affected[0].ranges[0].events[1]: has 0 of introduced, fixed`},
		{"an empty version", events(`[{"introduced":""}]`), `A-1: affected[0].ranges[0].events[0]: has an empty version`},
		{"no version of the ecosystem", events(`[{"introduced":"0"},{"fixed":"soon"}]`), `A-1: affected[0].ranges[0]: events[1]: "soon" is not a version of npm`},
		{"fixed before it was introduced", events(`[{"introduced":"2.0.0"},{"fixed":"1.0.0"}]`), `version "1.0.0" ends what no earlier version introduced`},
		{"version too long", events(`[{"introduced":"1` + strings.Repeat("0", 300) + `"}]`), `is longer than 256 bytes`},
		{"empty listed version", affected(`"versions":["1.0.0",""]`), `A-1: affected[0].versions[1]: has 0 bytes, want 1 to 256`},
		{"too big", head + `"details":"` + strings.Repeat("x", osv.MaxRecordSize) + `"}`, `are more than the 16777216 a record may have`},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := osv.Parse([]byte(row.text))
			require.ErrorContains(t, err, row.says)
			var typed *osv.Error
			require.ErrorAs(t, err, &typed)
			require.Contains(t, []model.FailureClass{model.Invalid, model.Unsupported}, typed.FailureClass())
			require.Less(t, len(err.Error()), 300)
		})
	}
}

func TestParseSeverity(t *testing.T) {
	const (
		v2    = `{"type":"CVSS_V2","score":"AV:N/AC:L/Au:N/C:C/I:C/A:C"}`                                      // 10.0
		v30   = `{"type":"CVSS_V3","score":"CVSS:3.0/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"}`                    // 1.8
		v31   = `{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:L"}`                    // 5.3
		v40   = `{"type":"CVSS_V4","score":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N"}` // 8.7
		bad   = `{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:X"}`
		nil31 = `{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N"}` // 0.0
	)
	for _, row := range []struct {
		name, vectors, record, affected string
		severity                        model.Severity
		score                           float64
	}{
		{"3.1 before all", v2 + "," + v40 + "," + v30 + "," + v31, "", "", model.SeverityMedium, 5.3},
		{"then 4.0", v2 + "," + v30 + "," + v40, "", "", model.SeverityHigh, 8.7},
		{"then 3.0", v2 + "," + v30, "", "", model.SeverityLow, 1.8},
		{"then 2.0, which has no critical", v2, "", "", model.SeverityHigh, 10},
		{"a score of nothing is low", nil31, "", "", model.SeverityLow, 0},
		{"temporal metrics do not count", `{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H/E:P/RL:O/RC:C"}`, "", "", model.SeverityHigh, 7.5},
		{"a broken vector is passed over", bad + "," + v30, "", "", model.SeverityLow, 1.8},
		{"a broken vector leaves the word", bad, `"database_specific":{"severity":"CRITICAL"}`, "", model.SeverityCritical, 0},
		{"GitHub's word", "", `"database_specific":{"severity":"MODERATE"}`, "", model.SeverityMedium, 0},
		{"a vector before the word", v31, `"database_specific":{"severity":"CRITICAL"}`, "", model.SeverityMedium, 5.3},
		{"Ubuntu's priority", `{"type":"Ubuntu","score":"negligible"}`, "", "", model.SeverityLow, 0},
		{"Debian's urgency", "", "", `"ecosystem_specific":{"urgency":"high**"}`, model.SeverityHigh, 0},
		{"Debian's urgency that says nothing", "", "", `"ecosystem_specific":{"urgency":"not yet assigned"}`, model.SeverityUnrated, 0},
		{"the record's vector before Debian's urgency", v31, "", `"ecosystem_specific":{"urgency":"low"}`, model.SeverityMedium, 5.3},
		{"the package's own vector", v31, "", `"severity":[` + v40 + `]`, model.SeverityHigh, 8.7},
		{"specifics of any shape", "", `"database_specific":[1,2]`, `"database_specific":"text","ecosystem_specific":{"urgency":{"a":1}}`, model.SeverityUnrated, 0},
		{"nothing", "", "", "", model.SeverityUnrated, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			text := `{"id":"CVE-1","modified":"2024-01-02T03:04:05Z","severity":[` + row.vectors + `],"affected":[{"package":{"ecosystem":"npm","name":"p"},
				"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]`
			if row.affected != "" {
				text += "," + row.affected
			}
			text += `}]`
			if row.record != "" {
				text += "," + row.record
			}
			findings := match(t, "pkg:npm/p@1.0.0", parsed(t, text+`}`))
			require.Len(t, findings, 1)
			require.Equal(t, row.severity, findings[0].Severity)
			require.InDelta(t, row.score, findings[0].Score, 0.01)
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"id":"DSA-1-1","modified":"2024-01-02T03:04:05Z","aliases":["CVE-1"],"affected":[{"package":{"ecosystem":"Debian:12","name":"p"},` +
		`"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1:1.0~rc1-1+b1"}]}],"versions":["1.0"]}]}`))
	f.Add([]byte(`{"id":"A","modified":"0001-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"Go","name":"stdlib"},"versions":["go1.2rc1"],` +
		`"ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0-0"},{"last_affected":"2.0.0"},{"limit":"*"}]}]}]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := osv.Parse(data)
		if err != nil {
			var typed *osv.Error
			require.ErrorAs(t, err, &typed)
			return
		}
		stored, err := json.Marshal(r)
		require.NoError(t, err)
		var back osv.Record
		require.NoError(t, json.Unmarshal(stored, &back), "what was written can be read")
		again, err := json.Marshal(back)
		require.NoError(t, err)
		require.JSONEq(t, string(stored), string(again))
		for _, key := range osv.KeysOf(r) {
			require.NotEmpty(t, r.Only(key).Affected)
		}
		for _, purl := range []string{"pkg:npm/p@1.0.0", "pkg:pypi/foo-bar@1.0", "pkg:deb/debian/p@1.0?distro=debian-12", "pkg:golang/stdlib@1.0.0"} {
			_, err := osv.Match(purl, []osv.Record{r})
			require.NoError(t, err)
		}
	})
}
