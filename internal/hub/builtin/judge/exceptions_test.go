package judge_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/model"
)

var (
	digestA = model.Digest("sha256:" + strings.Repeat("a", 64))
	digestB = model.Digest("sha256:" + strings.Repeat("b", 64))
)

// TestAVerdictEndsWithItsException: the earliest end of an exception that a verdict rests on is the end of the verdict. An exception
// without an end, or for a finding that breaks no rule, ends nothing.
func TestAVerdictEndsWithItsException(t *testing.T) {
	s := newShelf().add(t, record("GHSA-1", "npm", "p", fixedIn2, critical), record("GHSA-2", "npm", "q", fixedIn2, critical),
		record("GHSA-3", "npm", "r", fixedIn2, `"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:N/I:L/A:N"}]`)).complete("npm")
	soon, later := now.Add(time.Hour), now.Add(2*time.Hour)
	of := func(id, component string, until time.Time) judge.Exception {
		return judge.Exception{Vulnerability: id, Component: "pkg:npm/" + component, Reason: "r", Until: until}
	}
	data := now.Add(-time.Hour).Add(model.DataValidFor)
	for name, row := range map[string]struct {
		first, second, minor time.Time
		end, validUntil      time.Time
	}{
		"none ends":          {time.Time{}, time.Time{}, time.Time{}, time.Time{}, data},
		"one ends":           {soon, time.Time{}, time.Time{}, soon, soon},
		"both end":           {later, soon, time.Time{}, soon, soon},
		"after the data":     {now.AddDate(1, 0, 0), time.Time{}, time.Time{}, now.AddDate(1, 0, 0), data},
		"in the year 9999":   {time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), time.Time{}, time.Time{}, time.Time{}, data},
		"of a minor finding": {time.Time{}, time.Time{}, soon, time.Time{}, data},
	} {
		t.Run(name, func(t *testing.T) {
			register, err := judge.NewRegister([]judge.Exception{of("GHSA-1", "p", row.first), of("GHSA-2", "q", row.second), of("GHSA-3", "r", row.minor)})
			require.NoError(t, err)
			in := judge.Input{
				Contents: judge.Contents{Components: []judge.Component{npm("p", "1.0.0"), npm("q", "1.0.0"), npm("r", "1.0.0")}}, Assessor: judge.Over(s), Exceptions: register,
			}
			result := judged(t, in)
			require.Equal(t, model.InViolationOverridden, result.Status, result.Coverage.Reason)
			require.Equal(t, row.end, result.Coverage.ExceptionsEnd)
			require.Equal(t, row.validUntil, result.Coverage.ValidUntil)
			verdict := model.Verdict{OverallStatus: result.Status, Coverage: result.Coverage}
			require.Equal(t, model.InViolationOverridden, verdict.EffectiveStatus(now))
			if row.end.Equal(soon) {
				require.Equal(t, model.OverallUnknown, verdict.EffectiveStatus(soon))
				in.Now = soon
				require.Equal(t, model.InViolation, judged(t, in).Status, "the hub says what it is then")
			}
		})
	}
}

// TestWhatAnExceptionCovers: each row with its twin, which is about something else.
func TestWhatAnExceptionCovers(t *testing.T) {
	type (
		of    = judge.Exception
		image = judge.ImageProduct
	)
	scoped := judge.Component{Name: "@angular/core", Version: "1.0.0", PURL: "pkg:npm/%40angular/core@1.0.0"}
	s := newShelf().add(t, record("GHSA-1", "npm", "p", fixedIn2, critical, `"aliases":["CVE-2026-1"]`),
		record("GHSA-2", "npm", "@angular/core", fixedIn2, critical), record("CVE-2026-3", "Debian:12", "openssl", fixedIn2, critical)).complete("npm", "Debian")
	for name, row := range map[string]struct {
		component judge.Component
		exception judge.Exception
		covers    bool
	}{
		"a pattern without a version":          {npm("p", "1.0.0"), of{Vulnerability: "GHSA-1", Component: "pkg:npm/p"}, true},
		"a pattern of another name":            {npm("p", "1.0.0"), of{Vulnerability: "GHSA-1", Component: "pkg:npm/q"}, false},
		"a pattern of another version":         {npm("p", "1.0.0"), of{Vulnerability: "GHSA-1", Component: "pkg:npm/p@1.0.1"}, false},
		"a pattern without escapes":            {scoped, of{Vulnerability: "GHSA-2", Component: "pkg:npm/@angular/core"}, true},
		"a pattern with escapes":               {scoped, of{Vulnerability: "GHSA-2", Component: "pkg:npm/%40angular/core@1.*"}, true},
		"a pattern without qualifiers":         {deb("openssl", "1.0.0"), of{Vulnerability: "CVE-2026-3", Component: "pkg:deb/debian/openssl@1.0.0"}, true},
		"a package without a version":          {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Package: "pkg:npm/p"}, true},
		"a package whose name only begins so":  {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Package: "pkg:npm/pp"}, false},
		"a package with its version":           {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Package: "pkg:npm/p@1.0.0"}, true},
		"a package with another version":       {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Package: "pkg:npm/p@1.0"}, false},
		"a package of another type":            {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Package: "pkg:pypi/p"}, false},
		"a package without a qualifier":        {deb("openssl", "1.0.0"), of{Vulnerability: "CVE-2026-3", Package: "pkg:deb/debian/openssl"}, true},
		"a package with the qualifier":         {deb("openssl", "1.0.0"), of{Vulnerability: "CVE-2026-3", Package: "pkg:deb/debian/openssl?distro=debian-12"}, true},
		"a package with another qualifier":     {deb("openssl", "1.0.0"), of{Vulnerability: "CVE-2026-3", Package: "pkg:deb/debian/openssl?distro=debian-13"}, false},
		"an alias of the exception":            {npm("p", "1.0.0"), of{Vulnerability: "X-1", Aliases: []string{"cve-2026-1"}, Package: "pkg:npm/p"}, true},
		"another vulnerability":                {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-11", Package: "pkg:npm/p"}, false},
		"the image by its digest":              {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Image: image{Digest: digestA}}, true},
		"another image by its digest":          {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Image: image{Digest: digestB}}, false},
		"the image by its repository":          {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Image: image{Repository: "registry.example/shop/web", Name: "web"}}, true},
		"the image by its folder":              {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Image: image{Repository: "registry.example/shop", Name: "web"}}, true},
		"another repository":                   {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Image: image{Repository: "registry.example/bank/web", Name: "web"}}, false},
		"the image by its last name":           {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Image: image{Name: "web"}}, true},
		"an image whose name only ends so":     {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Image: image{Name: "eb"}}, false},
		"a package in the image":               {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Package: "pkg:npm/p", Image: image{Digest: digestA}}, true},
		"a package in another image":           {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Package: "pkg:npm/p", Image: image{Digest: digestB}}, false},
		"another package in the image":         {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Package: "pkg:npm/q", Image: image{Digest: digestA}}, false},
		"the image by its document":            {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Package: "pkg:npm/p", Image: image{Serial: "urn:uuid:1"}}, true},
		"the document of another image":        {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Package: "pkg:npm/p", Image: image{Serial: "urn:uuid:2"}}, false},
		"a repository that another owner has":  {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Package: "pkg:npm/p", Repository: "bank/*"}, false},
		"one that ended a moment ago":          {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Package: "pkg:npm/p", Until: now}, false},
		"one that ends in a moment":            {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Package: "pkg:npm/p", Until: now.Add(time.Nanosecond)}, true},
		"what says that the image is affected": {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Package: "pkg:npm/p", Stance: judge.Affected}, false},
		"what is still looked into":            {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Package: "pkg:npm/p", Stance: judge.UnderInvestigation}, false},
		"what was fixed by the vendor":         {npm("p", "1.0.0"), of{Vulnerability: "CVE-2026-1", Package: "pkg:npm/p", Stance: judge.Fixed}, true},
	} {
		t.Run(name, func(t *testing.T) {
			row.exception.Reason = "why"
			register, err := judge.NewRegister([]judge.Exception{row.exception})
			require.NoError(t, err)
			in := on(s, row.component)
			in.Contents.Serials = []string{"urn:uuid:1"}
			in.Image, in.Exceptions = judge.Image{Repository: "registry.example/shop/web", Digests: []model.Digest{digestA}}, register
			result := judged(t, in)
			require.Len(t, result.Components[0].Findings, 1, "the finding stays")
			if row.covers {
				require.Equal(t, model.InViolationOverridden, result.Status)
				require.Equal(t, "why", result.Components[0].Findings[0].Accepted.Reason)
				return
			}
			require.Equal(t, model.InViolation, result.Status)
			require.Nil(t, result.Components[0].Findings[0].Accepted)
		})
	}
}

// TestTheNewestStatementCounts: of VEX statements about one thing the newest holds, of equally old ones the careful one, and
// what a person accepted holds in any case.
func TestTheNewestStatementCounts(t *testing.T) {
	s := newShelf().add(t, record("CVE-1", "npm", "p", fixedIn2, critical)).complete("npm")
	said := func(stance judge.Stance, hour int) judge.Exception {
		return judge.Exception{Vulnerability: "CVE-1", Package: "pkg:npm/p", Stance: stance, Reason: string(stance), At: now.Add(time.Duration(hour) * time.Hour)}
	}
	for name, row := range map[string]struct {
		said []judge.Exception
		want model.OverallStatus
	}{
		"found affected later":      {[]judge.Exception{said(judge.NotAffected, 1), said(judge.Affected, 2)}, model.InViolation},
		"found not affected later":  {[]judge.Exception{said(judge.NotAffected, 2), said(judge.Affected, 1)}, model.InViolationOverridden},
		"looked into again":         {[]judge.Exception{said(judge.NotAffected, 1), said(judge.UnderInvestigation, 2)}, model.InViolation},
		"both at one time":          {[]judge.Exception{said(judge.Affected, 1), said(judge.NotAffected, 1)}, model.InViolation},
		"both at one time, swapped": {[]judge.Exception{said(judge.NotAffected, 1), said(judge.Affected, 1)}, model.InViolation},
		"accepted by a person":      {[]judge.Exception{said(judge.Affected, 9), said(judge.Accepted, 1)}, model.InViolationOverridden},
	} {
		t.Run(name, func(t *testing.T) {
			register, err := judge.NewRegister(row.said)
			require.NoError(t, err)
			in := on(s, npm("p", "1.0.0"))
			in.Exceptions = register
			require.Equal(t, row.want, judged(t, in).Status)
		})
	}
}

// TestOneOfTwoViolations: the status is overridden only when every violation is accepted.
func TestOneOfTwoViolations(t *testing.T) {
	s := newShelf().add(t, record("CVE-1", "npm", "p", fixedIn2, critical), record("CVE-2", "npm", "p", fixedIn2, critical)).complete("npm")
	one := judge.Exception{Vulnerability: "CVE-1", Component: "p", Reason: "r"}
	other := judge.Exception{Vulnerability: "CVE-2", Component: "p", Reason: "r"}
	for want, exceptions := range map[model.OverallStatus][]judge.Exception{model.InViolation: {one}, model.InViolationOverridden: {one, other}} {
		register, err := judge.NewRegister(exceptions)
		require.NoError(t, err)
		in := on(s, npm("p", "1.0.0"))
		in.Exceptions = register
		require.Equal(t, want, judged(t, in).Status)
	}
}

// TestExceptionsThatSayTooLittle are refused with words; the twin with what was missing is taken.
func TestExceptionsThatSayTooLittle(t *testing.T) {
	whole := judge.Exception{Vulnerability: "CVE-1", Component: "p", Reason: "r", Author: "ada"}
	require.NoError(t, whole.Compile())
	for word, change := range map[string]func(*judge.Exception){
		"vulnerability is missing":   func(e *judge.Exception) { e.Vulnerability = " " },
		"vulnerability is a pattern": func(e *judge.Exception) { e.Vulnerability = "CVE-*" },
		"component is missing":       func(e *judge.Exception) { e.Component = "" },
		"reason is missing":          func(e *judge.Exception) { e.Reason = "\n" },
		"repository: an empty":       func(e *judge.Exception) { e.Repository = " " },
		"control characters":         func(e *judge.Exception) { e.Author = "ada\x1b[2J" },
		"not UTF-8":                  func(e *judge.Exception) { e.Reason = "\xff" },
		"reason has":                 func(e *judge.Exception) { e.Reason = strings.Repeat("r", 5000) },
		"aliases":                    func(e *judge.Exception) { e.Aliases = make([]string, 51) },
		"package URL":                func(e *judge.Exception) { e.Package = "p" },
	} {
		e := whole
		change(&e)
		require.ErrorContains(t, e.Compile(), word)
	}
}
