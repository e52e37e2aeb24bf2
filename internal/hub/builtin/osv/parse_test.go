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
		{"package": {"ecosystem": "Homespun", "name": "c"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "1.0.0"}]}]},
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
	require.Empty(t, r.Problems)
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
	for _, row := range []struct{ name, text, says string }{
		{"nothing", ``, `not an OSV record in JSON`},
		{"cut off", whole[:200], `not an OSV record in JSON`},
		{"HTML", `<html></html>`, `not an OSV record in JSON`},
		{"a list", `[]`, `not an OSV record in JSON`},
		{"null", `null`, `not an OSV record but null`},
		{"two records", `{"id":"A-1"}{"id":"A-2"}`, `not an OSV record in JSON`},
		{"no id", `{"modified":"2024-01-02T03:04:05Z"}`, `id: is missing`},
		{"id of another type", `{"id":7}`, `id: is missing`},
		{"id with a slash", `{"id":"../../etc/passwd","modified":"2024-01-02T03:04:05Z"}`, `id: "../../etc/passwd" has a character no id has`},
		{"id too long", `{"id":"` + strings.Repeat("A", 200) + `"}`, `is longer than 128 bytes`},
		{"later schema", `{"schema_version":"2.0.0","id":"A-1"}`, `A-1: schema_version: "2.0.0" is not 1.x`},
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

// TestParseKeepsTheRest has records with one odd part each: what else they say holds, and the package of the odd part is
// unclear.
func TestParseKeepsTheRest(t *testing.T) {
	const (
		head  = `{"id":"A-1","modified":"2024-01-02T03:04:05Z",`
		sound = `{"package":{"ecosystem":"npm","name":"q"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"2.0.0"}]}]}`
	)
	entry := func(inner string) string {
		return head + `"affected":[{"package":{"ecosystem":"npm","name":"p"},` + inner + `},` + sound + `]}`
	}
	events := func(list string) string { return entry(`"ranges":[{"type":"SEMVER","events":` + list + `}]`) }
	for _, row := range []struct {
		name, text, says string
		// hit and miss are versions of p that are and are not affected; unclear whether p is.
		hit, miss string
		unclear   bool
	}{
		{"no modified", `{"id":"A-1","affected":[` + sound + `]}`, "", "", "", false},
		{"modified no time", `{"id":"A-1","modified":"yesterday","affected":[` + sound + `]}`, `modified: "yesterday" is not a time`, "", "", false},
		{"modified a number", `{"id":"A-1","modified":1717000000,"affected":[` + sound + `]}`, `modified: of an unexpected type`, "", "", false},
		{"withdrawn no time", head + `"withdrawn":"yes","affected":[` + sound + `]}`, `withdrawn: "yes" is not a time`, "", "", false},
		{"an alias with a line break", head + `"aliases":["CVE-1","a\nb"],"affected":[` + sound + `]}`, `aliases: "a\nb" has a character no id has`, "", "", false},
		{"aliases a text", head + `"aliases":"CVE-1","affected":[` + sound + `]}`, `aliases: of an unexpected type`, "", "", false},
		{"severity a text", head + `"severity":"HIGH","affected":[` + sound + `]}`, `severity: of an unexpected type`, "", "", false},
		{"a package without an ecosystem", head + `"affected":[{"package":{"name":"p"}},` + sound + `]}`, `affected[0].package: has no ecosystem`, "", "", false},
		{"a package without a name", head + `"affected":[{"package":{"ecosystem":"Go"}},` + sound + `]}`, `affected[0].package: has no name`, "", "", false},
		{"an affected that is a number", head + `"affected":[5,` + sound + `]}`, `affected[0]: of an unexpected type`, "", "", false},
		{
			"a type of range that is not known", entry(`"ranges":[{"type":"LINEAR","events":[]},{"type":"SEMVER","events":[{"introduced":"1.0.0"}]}]`),
			`affected[0].ranges[0].type: "LINEAR"`, "1.0.0", "0.9.0", true,
		},
		{"ranges a text", entry(`"ranges":"all","versions":["3.0.0"]`), `affected[0]: of an unexpected type`, "3.0.0", "3.0.1", true},
		{"commits of no repository", entry(`"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}],"versions":["3.0.0"]`), "", "3.0.0", "3.0.1", false},
		{"no events", events(`[]`), `affected[0].ranges[0].events: none of them is introduced`, "", "1.0.0", true},
		{"only fixed", events(`[{"fixed":"1.0.0"}]`), `none of them is introduced`, "", "0.1.0", true},
		{
			"fixed before introduced", events(`[{"fixed":"1.0.0"},{"introduced":"1.1.0"},{"fixed":"1.2.0"}]`),
			`version "1.0.0" ends what no earlier version introduced`, "1.1.5", "1.2.0", true,
		},
		{"an event of two kinds", events(`[{"introduced":"0","fixed":"1.0.0"},{"introduced":"2.0.0"}]`), `has 2 of introduced, fixed`, "2.0.0", "0.5.0", true},
		{"an empty event", events(`[{"introduced":"0"},{},{"introduced":"2.0.0"},{"fixed":"2.1.0"}]`), `has 0 of introduced, fixed`, "2.0.5", "1.0.0", true},
		{"an empty version", events(`[{"introduced":""},{"fixed":"1.0.0"},{"introduced":"2.0.0"},{"fixed":"2.1.0"}]`), `has an empty version`, "2.0.5", "0.5.0", true},
		{"a version that is a number", events(`[{"introduced":0},{"fixed":"1.0.0"},{"introduced":"2.0.0"}]`), `affected[0]: of an unexpected type`, "2.0.5", "0.5.0", true},
		{
			"an end in words", events(`[{"introduced":"0"},{"fixed":"1.0.0"},{"introduced":"2.0.0"},{"fixed":"soon"}]`),
			`"soon" is not a version of npm`, "0.5.0", "2.0.5", true,
		},
		{
			"a beginning in words", events(`[{"introduced":"early"},{"fixed":"1.0.0"},{"introduced":"2.0.0"},{"fixed":"3.0.0"}]`),
			`"early" is not a version of npm`, "2.0.5", "0.5.0", true,
		},
		{"a version too long", events(`[{"introduced":"1` + strings.Repeat("0", 300) + `"}]`), `is longer than 256 bytes`, "", "1.0.0", true},
		{"an empty listed version", entry(`"versions":["1.0.0",""]`), `affected[0].versions[1]: has 0 bytes`, "1.0.0", "1.0.1", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := parsed(t, row.text)
			if row.says == "" {
				require.Empty(t, r.Problems)
			} else {
				require.Contains(t, strings.Join(r.Problems, "\n"), row.says)
			}
			at := func(name, version string) ([]osv.Finding, string) {
				p, reason, _ := osv.Locate(osv.Subject{PURL: "pkg:npm/" + name + "@" + version}, osv.Distribution{})
				require.Empty(t, reason)
				return p.Match([]osv.Record{stored(t, r)})
			}
			found, unclear := at("q", "1.0.0")
			require.Len(t, found, 1, "the sound package matches as ever")
			require.Empty(t, unclear)
			if row.hit != "" {
				found, unclear = at("p", row.hit)
				require.Len(t, found, 1, row.hit)
				require.Equal(t, row.unclear, unclear != "", unclear)
			}
			if row.miss != "" {
				found, unclear = at("p", row.miss)
				require.Empty(t, found, row.miss)
				require.Equal(t, row.unclear, unclear != "", unclear)
			}
		})
	}
}

// stored is the record as it comes back from storage.
func stored(t testing.TB, r osv.Record) osv.Record {
	t.Helper()
	data, err := json.Marshal(r)
	require.NoError(t, err)
	var back osv.Record
	require.NoError(t, json.Unmarshal(data, &back))
	return back
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
	f.Add([]byte(`{"id":"ALSA-1","summary":"Important: nodejs:20 security update","affected":[5,{"package":{"ecosystem":"AlmaLinux:9","name":"p"},` +
		`"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":0},{"fixed":"1:1.0-1.module_el9.1+1"},{"introduced":"2"}]}],"versions":"x"}]}`))
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
		for _, purl := range []string{
			"pkg:npm/p@1.0.0", "pkg:pypi/foo-bar@1.0", "pkg:deb/debian/p@1.0?distro=debian-12", "pkg:golang/stdlib@1.0.0", "pkg:maven/p/p@1.0",
			"pkg:rpm/almalinux/p@1.0-1.module_el9?distro=almalinux-9", "pkg:apk/alpine/p@1.0-r0?distro=alpine-3.18", "pkg:gem/p@1.0", "pkg:nuget/p@1.0", "pkg:composer/p@1.0",
		} {
			p, reason, _ := osv.Locate(osv.Subject{PURL: purl}, osv.Distribution{})
			require.True(t, reason == "" || strings.HasPrefix(purl, "pkg:composer"), reason)
			found, unclear := p.Match([]osv.Record{r})
			again, unclearAgain := p.Match([]osv.Record{back})
			require.Equal(t, found, again, "what was stored judges alike")
			require.Equal(t, unclear, unclearAgain)
		}
	})
}
