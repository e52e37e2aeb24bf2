package judge_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/model"
)

const (
	componentTools = `"tools":{"components":[{"type":"application","group":"aquasecurity","name":"trivy","version":"0.74.0"}]}`
	oldTools       = `"tools":[{"vendor":"anchore","name":"grype","version":"0.90.0"}]`
	dated          = `,"properties":[{"name":"perceptor:scanner:data-as-of","value":"2026-11-27T06:00:00Z"}]`
	// openssl is a vulnerability as trivy writes it.
	openssl = `{"id":"CVE-2022-0778","source":{"name":"debian","url":"https://salsa.debian.org/security-tracker-team/security-tracker"},
		"ratings":[{"source":{"name":"debian"},"severity":"low"},
			{"source":{"name":"nvd"},"score":7.5,"severity":"high","method":"CVSSv31","vector":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],
		"cwes":[835],"description":"openssl: Infinite loop","recommendation":"Upgrade libssl1.1 to version 9.9; Upgrade openssl to version 3.0.1, 1.1.1n-0+deb11u1",
		"published":"2022-03-15T17:15:00+00:00","updated":"2024-06-21T19:15:00+00:00","affects":[{"ref":"openssl-ref"}]}`
)

// scannerDocument is a document of two packages and the operating system, as trivy writes it. The vulnerabilities are the
// whole member, or nothing.
func scannerDocument(tools, vulnerabilities string) string {
	if vulnerabilities != "" {
		vulnerabilities = `,"vulnerabilities":` + vulnerabilities
	}
	return fmt.Sprintf(`{"$schema":"http://cyclonedx.org/schema/bom-1.6.schema.json","bomFormat":"CycloneDX","specVersion":"1.6","serialNumber":"urn:uuid:0001","version":1,
		"metadata":{"timestamp":"2026-11-27T07:00:00+00:00"%s,"component":{"bom-ref":"image","type":"container","name":"web"}},
		"components":[
			{"bom-ref":"os","type":"operating-system","name":"debian","version":"12.5"},
			{"bom-ref":"openssl-ref","type":"library","supplier":{"name":"Debian OpenSSL Team <pkg-openssl-devel@alioth-lists.debian.net>"},"name":"openssl",
			 "version":"1.1.1k-1","purl":"pkg:deb/debian/openssl@1.1.1k-1?distro=debian-12.5"},
			{"bom-ref":"pkg:npm/left-pad@1.0.0","type":"library","name":"left-pad","version":"1.0.0","purl":"pkg:npm/left-pad@1.0.0"}]%s}`, tools, vulnerabilities)
}

// TestAnotherScannersWord: each document with its status, and what it rests on. The hub itself has no data at all.
func TestAnotherScannersWord(t *testing.T) {
	for name, row := range map[string]struct {
		document string
		status   model.OverallStatus
		reason   string
		findings model.Counts
	}{
		"a finding":            {scannerDocument(","+componentTools+dated, "["+openssl+"]"), model.InViolation, "", model.Counts{High: 1}},
		"by the old form":      {scannerDocument(","+oldTools+dated, "["+openssl+"]"), model.InViolation, "", model.Counts{High: 1}},
		"none":                 {scannerDocument(","+componentTools+dated, "[]"), model.NotInViolation, "", model.Counts{}},
		"none, without a date": {scannerDocument(","+componentTools, "[]"), model.OverallUnknown, "scanner data without a date", model.Counts{}},
		"one, without a date": {
			scannerDocument(","+componentTools, "["+openssl+"]"),
			model.InViolation, "scanner data without a date",
			model.Counts{High: 1},
		},
		"none, by no scanner": {scannerDocument(dated, "[]"), model.OverallUnknown, "no data for ecosystem", model.Counts{}},
		"a low one, by no one": {
			scannerDocument(dated, "["+strings.ReplaceAll(openssl, "7.5,\"severity\":\"high\"", "2,\"severity\":\"low\"")+"]"),
			model.OverallUnknown, "scanner data without a date",
			model.Counts{Low: 1},
		},
		"a plain SBOM":        {scannerDocument(","+componentTools+dated, ""), model.OverallUnknown, "no data for ecosystem", model.Counts{}},
		"a list that is null": {scannerDocument(","+componentTools+dated, "null"), model.OverallUnknown, "no data for ecosystem", model.Counts{}},
		"old data": {
			scannerDocument(","+componentTools+strings.ReplaceAll(dated, "2026-11-27T06", "2026-11-01T06"), "[]"),
			model.OverallUnknown, "expired",
			model.Counts{},
		},
		"data of the future": {
			scannerDocument(","+componentTools+strings.ReplaceAll(dated, "2026-", "2027-"), "[]"),
			model.OverallUnknown, "scanner data without a date",
			model.Counts{},
		},
		"a date without a time": {
			scannerDocument(","+componentTools+strings.ReplaceAll(dated, "T06:00:00Z", ""), "[]"),
			model.NotInViolation, "",
			model.Counts{},
		},
		"a reference to nothing": {
			scannerDocument(","+componentTools+dated, "["+strings.ReplaceAll(openssl, "openssl-ref", "other-ref")+"]"),
			model.OverallUnknown, "file unreadable",
			model.Counts{},
		},
		"no reference": {
			scannerDocument(","+componentTools+dated, `[{"id":"CVE-1","ratings":[{"severity":"critical"}]}]`),
			model.OverallUnknown, "file unreadable",
			model.Counts{},
		},
		"the image itself": {
			scannerDocument(","+componentTools+dated, `[{"id":"CVE-1","affects":[{"ref":"image"}]}]`),
			model.OverallUnknown, "file unreadable",
			model.Counts{},
		},
		"a link": {
			scannerDocument(","+componentTools+dated, "["+strings.ReplaceAll(openssl, "openssl-ref", "urn:cdx:0001/1#openssl-ref")+"]"), model.InViolation, "", model.Counts{High: 1},
		},
		"one that is analysed": {
			scannerDocument(","+componentTools+dated, "["+strings.TrimSuffix(openssl, "}")+`,"analysis":{"state":"not_affected","justification":"code_not_reachable"}}]`),
			model.InViolationOverridden, "",
			model.Counts{High: 1},
		},
		"one that is exploitable": {
			scannerDocument(","+componentTools+dated, "["+strings.TrimSuffix(openssl, "}")+`,"analysis":{"state":"exploitable"}}]`), model.InViolation, "", model.Counts{High: 1},
		},
		"a package of another vendor": {
			strings.ReplaceAll(scannerDocument(","+componentTools+dated, "[]"), "Debian OpenSSL Team <pkg-openssl-devel@alioth-lists.debian.net>",
				"NGINX Packaging <nginx-packaging@f5.com>"),
			model.OverallUnknown, "package of another vendor",
			model.Counts{},
		},
		"a package that scanners do not judge": {
			strings.ReplaceAll(scannerDocument(","+componentTools+dated, "[]"), `"purl":"pkg:npm/left-pad@1.0.0"`, `"purl":"pkg:conda/left-pad@1.0.0"`),
			model.OverallUnknown, "1 no data for ecosystem or release (conda)",
			model.Counts{},
		},
		"a package without a package URL": {
			strings.ReplaceAll(scannerDocument(","+componentTools+dated, "[]"), `,"purl":"pkg:npm/left-pad@1.0.0"`, ""),
			model.OverallUnknown, "no data for ecosystem or release",
			model.Counts{},
		},
		"a version that cannot be compared": {
			strings.ReplaceAll(scannerDocument(","+componentTools+dated, "[]"), "1.1.1k-1", ""),
			model.OverallUnknown, "version unreadable",
			model.Counts{},
		},
		"a release that is not known": {
			strings.ReplaceAll(scannerDocument(","+componentTools+dated, "[]"), "12.5", "sid"),
			model.OverallUnknown, "no data for ecosystem or release",
			model.Counts{},
		},
		"a distribution without packages": {
			strings.ReplaceAll(scannerDocument(","+componentTools+dated, "[]"), "pkg:deb/debian/openssl@1.1.1k-1?distro=debian-12.5", "pkg:npm/openssl@1.1.1"),
			model.OverallUnknown, "file unreadable",
			model.Counts{},
		},
		"a release past its support": {
			strings.ReplaceAll(scannerDocument(","+componentTools+dated, "[]"), "12.5", "10"),
			model.OverallUnknown, "release past its support",
			model.Counts{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			contents, err := judge.Parse([]byte(row.document))
			require.NoError(t, err)
			raw, err := json.Marshal(contents)
			require.NoError(t, err)
			var stored judge.Contents
			require.NoError(t, json.Unmarshal(raw, &stored))
			result := judged(t, judge.Input{Contents: stored, Assessor: judge.Over(newShelf())})
			require.Equal(t, row.status, result.Status, result.Coverage.Reason)
			require.Equal(t, row.findings, result.Findings)
			require.Contains(t, result.Coverage.Reason, row.reason)
			if row.reason != "" {
				return
			}
			require.True(t, result.Coverage.Satisfied, result.Coverage.Reason)
			require.Equal(t, 2, result.Coverage.Assessed)
			require.Len(t, result.Coverage.Data, 2)
			for _, data := range result.Coverage.Data {
				require.Regexp(t, `^scanner (trivy 0\.74\.0|grype 0\.90\.0)$`, data.Source)
				require.Equal(t, 2026, data.AsOf.Year())
			}
			require.Equal(t, result.Coverage.AsOf().Add(model.DataValidFor), result.Coverage.ValidUntil)
		})
	}
}

func TestWhatAScannerSaysOfAFinding(t *testing.T) {
	contents, err := judge.Parse([]byte(scannerDocument(","+componentTools+dated, "["+openssl+"]")))
	require.NoError(t, err)
	result := judged(t, judge.Input{Contents: contents, Assessor: judge.Over(newShelf())})
	f := result.Components[1].Findings[0]
	require.Equal(t, []any{"CVE-2022-0778", model.SeverityHigh, 7.5, "3.0.1, 1.1.1n-0+deb11u1"}, []any{f.ID, f.Severity, f.Score, f.Fixed})
	require.Equal(t, time.Date(2022, 3, 15, 17, 15, 0, 0, time.UTC), f.Published)
	require.Empty(t, result.Components[0].Findings)

	for name, row := range map[string]struct {
		more     string
		severity model.Severity
		fixed    string
	}{
		"nothing":             {``, model.SeverityUnrated, ""},
		"a word":              {`,"ratings":[{"severity":"medium"}]`, model.SeverityMedium, ""},
		"a score":             {`,"ratings":[{"score":9.8,"method":"CVSSv31"}]`, model.SeverityCritical, ""},
		"a vector":            {`,"ratings":[{"vector":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]`, model.SeverityCritical, ""},
		"the worst of two":    {`,"ratings":[{"severity":"high"},{"severity":"low"}]`, model.SeverityHigh, ""},
		"one that is unknown": {`,"ratings":[{"severity":"unknown"}]`, model.SeverityUnrated, ""},
		"a score off scale":   {`,"ratings":[{"score":99}]`, model.SeverityUnrated, ""},
		"none":                {`,"ratings":[{"severity":"none"}]`, model.SeverityLow, ""},
		"a fix in words":      {`,"recommendation":"Upgrade left-pad to version 2.0.0"`, model.SeverityUnrated, "2.0.0"},
		"other words":         {`,"recommendation":"Do not use it"`, model.SeverityUnrated, ""},
		"a property":          {`,"properties":[{"name":"scanner:FixedVersion","value":"2.0.0"}]`, model.SeverityUnrated, "2.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			contents, err := judge.Parse([]byte(scannerDocument(","+componentTools+dated, `[{"id":"CVE-1","affects":[{"ref":"pkg:npm/left-pad@1.0.0"}]`+row.more+"}]")))
			require.NoError(t, err)
			f := judged(t, judge.Input{Contents: contents, Assessor: judge.Over(newShelf())}).Components[0].Findings[0]
			require.Equal(t, []any{row.severity, row.fixed}, []any{f.Severity, f.Fixed})
			require.Equal(t, row.severity == model.SeverityUnrated && row.fixed == "", f.NeedsRating)
		})
	}
	_, err = judge.Parse([]byte(scannerDocument(","+componentTools+strings.ReplaceAll(dated, "2026-11-27T06:00:00Z", "today"), "[]")))
	require.ErrorContains(t, err, "is not a time")
}

// TestScannerAndHubTogether: what a second document of the image adds is looked up by the hub, and the older word of two
// scanners holds.
func TestScannerAndHubTogether(t *testing.T) {
	parse := func(text string) judge.Contents {
		contents, err := judge.Parse([]byte(text))
		require.NoError(t, err)
		return contents
	}
	clean := parse(scannerDocument(","+componentTools+dated, "[]"))
	more := parse(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"p","version":"1.0.0","purl":"pkg:npm/p@1.0.0"}]}`)
	other := parse(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"q","version":"1.0.0","purl":"pkg:npm/q@1.0.0"}]}`)
	s := newShelf().add(t, record("GHSA-1", "npm", "p", fixedIn2, critical))
	require.Equal(t, model.OverallUnknown, judged(t, judge.Input{Contents: judge.Combine(clean, other), Assessor: judge.Over(s)}).Status, "the hub's data are not complete")
	require.Equal(t, model.InViolation, judged(t, judge.Input{Contents: judge.Combine(clean, more), Assessor: judge.Over(s)}).Status)
	older := parse(scannerDocument(","+oldTools+strings.ReplaceAll(dated, "27T06", "20T06"), "["+openssl+"]"))
	both := judged(t, judge.Input{Contents: judge.Combine(clean, older), Assessor: judge.Over(newShelf())})
	require.Equal(t, model.InViolation, both.Status)
	require.Equal(t, 20, both.Coverage.AsOf().Day())
	require.Empty(t, clean.Words["pkg:deb/debian/openssl@1.1.1k-1?distro=debian-12.5"].Findings, "what is combined stays as it was")
}

// FuzzScannerDocument: what is taken can be judged and stored, and without a name and a date of the scanner it is never green.
func FuzzScannerDocument(f *testing.F) {
	f.Add([]byte(scannerDocument(","+componentTools+dated, "["+openssl+"]")))
	f.Add([]byte(scannerDocument(","+oldTools, "[]")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		contents, err := judge.Parse(raw)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		result := judged(t, judge.Input{Contents: contents, Assessor: judge.Over(newShelf())})
		if result.Status == model.NotInViolation {
			for _, word := range contents.Words {
				require.NotEmpty(t, word.Scanner.Name)
				require.False(t, word.Scanner.AsOf.IsZero())
			}
			require.NotEmpty(t, contents.Words)
		}
	})
}
