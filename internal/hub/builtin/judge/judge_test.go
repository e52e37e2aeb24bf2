package judge_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// shelf holds records as the hub's store does.
type shelf struct {
	byKey    map[osv.Key][]osv.Record
	sources  map[string]model.DataSource // by base
	ratings  map[string]model.Severity
	problems int
}

func newShelf() *shelf {
	return &shelf{byKey: map[osv.Key][]osv.Record{}, sources: map[string]model.DataSource{}, ratings: map[string]model.Severity{}}
}

// complete says that what is on the shelf is everything of these ecosystems.
func (s *shelf) complete(bases ...string) *shelf {
	for _, base := range bases {
		s.sources[base] = model.DataSource{Source: "test", AsOf: now.Add(-time.Hour), Complete: true}
	}
	return s
}

func (s *shelf) add(t testing.TB, texts ...string) *shelf {
	t.Helper()
	for _, text := range texts {
		r, err := osv.Parse([]byte(text))
		require.NoError(t, err)
		s.problems += len(r.Problems)
		for _, key := range osv.KeysOf(r) {
			raw, err := json.Marshal(r.Only(key))
			require.NoError(t, err)
			var stored osv.Record
			require.NoError(t, json.Unmarshal(raw, &stored))
			s.byKey[key] = append(s.byKey[key], stored)
			if base := osv.Base(key.Ecosystem); s.sources[base].Source == "" {
				s.sources[base] = model.DataSource{Source: "test", AsOf: now.Add(-time.Hour)}
			}
		}
		severity, _, ids := osv.RatingOf(r)
		for _, id := range ids {
			s.ratings[id] = severity
		}
	}
	return s
}

func (s *shelf) Source(ecosystem string) (model.DataSource, bool, error) {
	for key := range s.byKey {
		if key.Ecosystem == ecosystem {
			return s.sources[osv.Base(ecosystem)], true, nil
		}
	}
	return model.DataSource{}, false, nil
}

func (s *shelf) Records(key osv.Key) ([]osv.Record, error) { return s.byKey[key], nil }

func (s *shelf) Severity(id string) (model.Severity, float64, error) { return s.ratings[id], 0, nil }

// record is one OSV record about one package.
func record(id, ecosystem, name, events string, more ...string) string {
	extra := ""
	for _, each := range more {
		extra += "," + each
	}
	return fmt.Sprintf(`{"schema_version":"1.7.0","id":%q,"modified":"2026-11-01T00:00:00Z"%s,
		"affected":[{"package":{"ecosystem":%q,"name":%q},"ranges":[{"type":"ECOSYSTEM","events":%s}]}]}`, id, extra, ecosystem, name, events)
}

const (
	critical = `"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]`
	low      = `"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"}]`
	fixedIn2 = `[{"introduced":"0"},{"fixed":"2.0.0"}]`
	noFix    = `[{"introduced":"0"}]`
)

func npm(name, version string) judge.Component {
	return judge.Component{Name: name, Version: version, PURL: "pkg:npm/" + name + "@" + version}
}

func deb(name, version string) judge.Component {
	return judge.Component{
		Name: name, Version: version, PURL: "pkg:deb/debian/" + name + "@" + version + "?distro=debian-12",
		Vendor: "Debian Maintainers <debian@lists.debian.org>",
	}
}

func judged(t testing.TB, in judge.Input) judge.Result {
	t.Helper()
	if in.Now.IsZero() {
		in.Now = now
	}
	result, err := judge.Judge(in)
	require.NoError(t, err)
	c := result.Coverage
	recounted := c.Assessed + c.OwnSoftware
	for _, each := range c.NotAssessed {
		if each.Reason != model.FileUnreadable && each.Reason != model.NothingRecognized {
			recounted += each.Count
		}
	}
	require.Equal(t, c.Components, recounted, "every component is counted once")
	require.Equal(t, c.Satisfied, c.Reason == "")
	stored, err := json.Marshal(result)
	require.NoError(t, err)
	var back judge.Result
	require.NoError(t, json.Unmarshal(stored, &back))
	again, err := json.Marshal(back)
	require.NoError(t, err)
	require.JSONEq(t, string(stored), string(again), "what is stored comes back")
	return result
}

func on(shelf *shelf, components ...judge.Component) judge.Input {
	return judge.Input{Contents: judge.Contents{Components: components}, Assessor: judge.Over(shelf)}
}

// TestStatus has each kind of fault beside its repaired twin, which is green.
func TestStatus(t *testing.T) {
	lodash := record("GHSA-lodash", "npm", "lodash", fixedIn2, critical)
	full := func() *shelf { return newShelf().add(t, lodash).complete("npm", "Debian") }
	openssl := record("DEBIAN-CVE-2023-1", "Debian:12", "openssl", `[{"introduced":"0"},{"fixed":"3.0.11-1"}]`, critical)
	unread := on(full(), npm("lodash", "2.0.0"))
	unread.Contents.Unread = []judge.UnreadFile{{Path: "/app/package.json", Reason: "not JSON"}}
	sample := full()
	sample.sources["npm"] = model.DataSource{Source: "sample", AsOf: now.AddDate(-1, 0, 0), Sample: true}
	old := full()
	old.sources["npm"] = model.DataSource{Source: "test", AsOf: now.AddDate(0, 0, -15), Complete: true}
	end := newShelf().add(t, record("DSA-1", "Debian:11", "openssl", fixedIn2, critical)).complete("Debian")
	bullseye := deb("bash", "5.1")
	bullseye.PURL = "pkg:deb/debian/bash@5.1?distro=debian-11"
	foreign := deb("nginx", "1.25.3-1~bookworm")
	foreign.Vendor = "NGINX Packaging <nginx-packaging@f5.com>"
	own, ownKnown := npm("shop", "1.0.0"), npm("lodash", "1.0.0")
	own.Version, own.PURL, own.Own, ownKnown.Own = "", "pkg:npm/shop", true, true
	odd := record("GHSA-odd", "npm", "odd", `[{"fixed":"1.0.0"},{"introduced":"1.1.0"},{"fixed":"1.2.0"}]`, critical)

	for _, row := range []struct {
		name   string
		in     judge.Input
		status model.OverallStatus
		reason string
	}{
		{"clean", on(full(), npm("lodash", "2.0.0"), npm("left-pad", "1.3.0")), model.NotInViolation, ""},
		{"vulnerable", on(full(), npm("lodash", "1.0.0")), model.InViolation, ""},
		{"vulnerable, and something not assessed", on(full(), npm("lodash", "1.0.0"), judge.Component{Name: "x"}), model.InViolation, "1 of 2 not assessed"},
		{
			"no data for the ecosystem", on(full(), npm("lodash", "2.0.0"), judge.Component{Name: "g", PURL: "pkg:maven/g/a@1.0"}),
			model.OverallUnknown, "1 no data for ecosystem or release (Maven)",
		},
		{"no data for the release", on(newShelf().add(t, openssl).complete("Debian"), bullseye), model.OverallUnknown, "1 no data for ecosystem or release (Debian:11)"},
		{"nothing recognised", on(full()), model.OverallUnknown, "nothing recognised in the image"},
		{"a file was not read", unread, model.OverallUnknown, "1 file unreadable"},
		{"only some records", on(newShelf().add(t, openssl), deb("zlib1g", "1")), model.OverallUnknown, "1 incomplete data (Debian:12)"},
		{"all records", on(newShelf().add(t, openssl).complete("Debian"), deb("zlib1g", "1")), model.NotInViolation, ""},
		{"a sample that names it", on(sample, npm("lodash", "2.0.0")), model.NotInViolation, ""},
		{"a sample that does not", on(sample, npm("lodash", "2.0.0"), npm("left-pad", "1.3.0")), model.OverallUnknown, "1 only sample data (npm)"},
		{"old data", on(old, npm("lodash", "2.0.0")), model.OverallUnknown, "vulnerability data expired on 2026-11-26"},
		{"no version", on(full(), npm("lodash", "")), model.OverallUnknown, "1 version unreadable (npm)"},
		{"a release past its support", on(end, bullseye), model.OverallUnknown, "1 release past its support (Debian:11)"},
		{"another vendor", on(newShelf().add(t, openssl).complete("Debian"), foreign), model.OverallUnknown, "1 package of another vendor (Debian:12)"},
		{"another vendor's, known to be vulnerable", on(newShelf().add(t, openssl).complete("Debian"), judge.Component{
			Name: "openssl", Version: "3.0.9-1", PURL: "pkg:deb/debian/openssl@3.0.9-1?distro=debian-12",
		}), model.InViolation, "another vendor"},
		{"own software beside others", on(full(), own, npm("lodash", "2.0.0")), model.NotInViolation, ""},
		{"own software alone", on(full(), own), model.OverallUnknown, "no component could be assessed"},
		{"own software hides no match", on(full(), ownKnown), model.InViolation, ""},
		{"an odd record that touches it", on(full().add(t, odd), npm("odd", "1.1.5")), model.InViolation, "1 record unreadable"},
		{"an odd record that does not", on(full().add(t, odd), npm("odd", "1.3.0")), model.OverallUnknown, "1 record unreadable (npm)"},
		{"an odd record of another package", on(full().add(t, odd), npm("lodash", "2.0.0")), model.NotInViolation, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			result := judged(t, row.in)
			require.Equal(t, row.status, result.Status, result.Coverage.Reason)
			if row.reason == "" {
				require.Empty(t, result.Coverage.Reason)
				return
			}
			require.Contains(t, result.Coverage.Reason, row.reason)
			require.False(t, result.Coverage.Satisfied)
		})
	}
}

// TestWhatADocumentOnlyGuesses: a cataloger that does not find the group of a Java archive writes the artifact's name there.
// Nothing is found under a wrong name, and that is no answer.
func TestWhatADocumentOnlyGuesses(t *testing.T) {
	full := newShelf().add(t, record("GHSA-1", "Maven", "self:self", fixedIn2, critical), record("GHSA-2", "Maven", "org.jetbrains.kotlin:kotlin-stdlib", fixedIn2, critical)).
		complete("Maven")
	maven := func(purl string) judge.Component { return judge.Component{Name: "a", PURL: purl} }
	for purl, want := range map[string]model.OverallStatus{
		"pkg:maven/widget/widget@1.0":                  model.OverallUnknown,
		"pkg:maven/org.example/widget@1.0":             model.NotInViolation,
		"pkg:maven/commons-io/commons-io@1.0":          model.NotInViolation,
		"pkg:maven/self/self@1.0":                      model.InViolation,
		"pkg:maven/self/self@2.0.0":                    model.NotInViolation,
		"pkg:maven/kotlin-stdlib/kotlin-stdlib@1.0":    model.InViolation,
		"pkg:maven/kotlin-stdlib/kotlin-stdlib@2.1.21": model.NotInViolation,
	} {
		require.Equal(t, want, judged(t, on(full, maven(purl))).Status, purl)
	}
}

func TestSeverities(t *testing.T) {
	for _, row := range []struct {
		name, record string
		version      string
		severity     model.Severity
		status       model.OverallStatus
		needsRating  int
	}{
		{"low", record("GHSA-1", "npm", "p", fixedIn2, low), "1.0.0", model.SeverityLow, model.NotInViolation, 0},
		{"critical", record("GHSA-1", "npm", "p", fixedIn2, critical), "1.0.0", model.SeverityCritical, model.InViolation, 0},
		{"unrated with a fix", record("GHSA-1", "npm", "p", fixedIn2), "1.0.0", model.SeverityUnrated, model.InViolation, 0},
		{"unrated without a fix", record("GHSA-1", "npm", "p", noFix), "1.0.0", model.SeverityUnrated, model.NotInViolation, 1},
		{"malicious", record("MAL-2026-1", "npm", "p", noFix), "1.0.0", model.SeverityCritical, model.InViolation, 0},
		{"rated by a record of another package", record("GHSA-1", "npm", "p", fixedIn2, `"aliases":["CVE-2026-1"]`), "1.0.0", model.SeverityLow, model.NotInViolation, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newShelf().add(t, row.record, record("GO-1", "Go", "other", fixedIn2, low, `"aliases":["CVE-2026-1"]`)).complete("npm")
			result := judged(t, on(s, npm("p", row.version)))
			require.Equal(t, row.status, result.Status)
			require.Len(t, result.Components[0].Findings, 1)
			require.Equal(t, row.severity, result.Components[0].Findings[0].Severity)
			require.Equal(t, row.needsRating, result.Coverage.NeedsRating)
			require.Equal(t, row.needsRating > 0, result.Components[0].Findings[0].NeedsRating)

			strict, err := judge.ParsePolicy([]byte("strict: true"))
			require.NoError(t, err)
			in := on(s, npm("p", row.version))
			in.Policy = strict
			result = judged(t, in)
			require.Equal(t, row.needsRating > 0, result.Status == model.OverallUnknown, "strict withholds green")
		})
	}
}

func TestCounts(t *testing.T) {
	s := newShelf().add(t, record("GHSA-1", "npm", "p", fixedIn2, critical), record("GHSA-2", "npm", "p", fixedIn2, low),
		record("GHSA-3", "npm", "q", fixedIn2, low)).complete("npm")
	result := judged(t, on(s, npm("p", "1.0.0"), npm("q", "1.0.0"), npm("q", "3.0.0")))
	require.Equal(t, model.Counts{Critical: 1, Low: 2}, result.Findings, "pairs of a component and a vulnerability")
	require.Equal(t, model.Counts{Critical: 1, Low: 1}, result.Vulnerable, "components by their worst")
	require.Equal(t, 1, result.Violating)
	require.Equal(t, []model.DataSource{{Ecosystem: "npm", Source: "test", AsOf: now.Add(-time.Hour), Complete: true}}, result.Coverage.Data)
	require.Equal(t, now.Add(-time.Hour).Add(model.DataValidFor), result.Coverage.ValidUntil)
	require.Equal(t, []judge.Violation{{Rule: "No critical or high vulnerabilities", Severity: "CRITICAL"}}, result.Components[0].Violations)
}

func TestExceptions(t *testing.T) {
	s := newShelf().add(t, record("GHSA-1", "npm", "p", fixedIn2, critical, `"aliases":["CVE-2026-1"]`)).complete("npm")
	all := []judge.Exception{{
		Vulnerability: "cve-2026-1", Component: "pkg:npm/p@*", Repository: "shop/*", Reason: "not reachable", Author: "ada",
		Until: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Origin: "exceptions.yaml",
	}}
	exceptions, err := judge.NewRegister(all)
	require.NoError(t, err)
	in := on(s, npm("p", "1.0.0"))
	in.Exceptions, in.Image.Repository = exceptions, "shop/web"
	result := judged(t, in)
	require.Equal(t, model.InViolationOverridden, result.Status)
	require.Equal(t, 1, result.Accepted)
	require.Equal(t, model.Counts{Critical: 1}, result.Findings, "an accepted finding stays visible")
	require.Equal(t,
		&judge.Acceptance{Stance: judge.Accepted, Reason: "not reachable", Author: "ada", Until: all[0].Until, Origin: "exceptions.yaml"},
		result.Components[0].Findings[0].Accepted)

	elsewhere := in
	elsewhere.Image.Repository = "bank/web"
	require.Equal(t, model.InViolation, judged(t, elsewhere).Status)
	later := in
	later.Now = all[0].Until
	require.Equal(t, model.InViolation, judged(t, later).Status)
	unknown := in
	unknown.Contents.Components = append(slices.Clone(in.Contents.Components), judge.Component{Name: "x"})
	require.Equal(t, model.OverallUnknown, judged(t, unknown).Status, "worse than accepted")

	policy := judge.DefaultPolicy()
	require.Equal(t, all[0].Until, policy.NextChange(exceptions, now))
	require.NotEqual(t, policy.Basis(exceptions, now), policy.Basis(exceptions, later.Now))
	require.NotEqual(t, policy.Basis(exceptions, now), policy.Basis(nil, now))
}

func TestPolicy(t *testing.T) {
	s := newShelf().add(t, record("GHSA-1", "npm", "p", fixedIn2, low), record("GHSA-2", "npm", "q", noFix, critical)).complete("npm")
	for _, row := range []struct {
		name, policy, repository string
		components               []judge.Component
		status                   model.OverallStatus
	}{
		{"no rules", "rules: []", "", []judge.Component{npm("p", "1.0.0")}, model.NotInViolation},
		{"low", "rules: [{name: r, severity: minor, vulnerability: low}]", "", []judge.Component{npm("p", "1.0.0")}, model.InViolation},
		{"only fixable", "rules: [{name: r, severity: minor, vulnerability: low, fixable: true}]", "", []judge.Component{npm("q", "1.0.0")}, model.NotInViolation},
		{"only unfixable", "rules: [{name: r, severity: minor, vulnerability: low, fixable: false}]", "", []judge.Component{npm("q", "1.0.0")}, model.InViolation},
		{"exactly low", "rules: [{name: r, severity: minor, vulnerability: low, only: true}]", "", []judge.Component{npm("q", "1.0.0")}, model.NotInViolation},
		{"of another component", "rules: [{name: r, severity: minor, vulnerability: low, components: [q]}]", "", []judge.Component{npm("p", "1.0.0")}, model.NotInViolation},
		{"of its type", "rules: [{name: r, severity: minor, vulnerability: low, ecosystems: [npm]}]", "", []judge.Component{npm("p", "1.0.0")}, model.InViolation},
		{
			"an override", "rules: [{name: r, severity: minor, vulnerability: low}]\noverrides: [{component: p, vulnerability: GHSA-1, reason: r}]",
			"",
			[]judge.Component{npm("p", "1.0.0")},
			model.InViolationOverridden,
		},
		{
			"what may be left out", "coverage: {permit: [{components: ['pkg:cpan/*'], reason: r}]}", "",
			[]judge.Component{npm("p", "3.0.0"), {Name: "x", PURL: "pkg:cpan/x@1"}},
			model.NotInViolation,
		},
		{"what may not", "coverage: {permit: [{ecosystems: [deb]}]}", "", []judge.Component{npm("p", "3.0.0"), {Name: "x", PURL: "pkg:cpan/x@1"}}, model.OverallUnknown},
		{
			"what may be left out elsewhere", "coverage: {permit: [{ecosystems: [cpan], repositories: [a/*]}]}",
			"b/c",
			[]judge.Component{npm("p", "3.0.0"), {Name: "x", PURL: "pkg:cpan/x@1"}},
			model.OverallUnknown,
		},
		{"an empty image that may be", "coverage: {permitEmpty: ['assets/*']}", "assets/logo", nil, model.NotInViolation},
		{"an empty image that may not", "coverage: {permitEmpty: ['assets/*']}", "shop/web", nil, model.OverallUnknown},
		{"only what has a fix", "onlyFixed: true\nrules: [{name: r, severity: minor, vulnerability: low}]", "", []judge.Component{npm("q", "1.0.0")}, model.NotInViolation},
		{"what has a fix", "onlyFixed: true\nrules: [{name: r, severity: minor, vulnerability: low}]", "", []judge.Component{npm("p", "1.0.0")}, model.InViolation},
		{"a validity in days", "coverage: {validFor: 1d}", "", []judge.Component{npm("p", "3.0.0")}, model.NotInViolation},
		{"a validity of no days", "coverage: {validFor: 30s}", "", []judge.Component{npm("p", "3.0.0")}, model.OverallUnknown},
		{
			"a package that may be left out in its repository", "coverage: {permit: [{components: ['pkg:cpan/*'], repositories: ['*/shop/*']}]}", "registry.example/shop/web",
			[]judge.Component{npm("p", "3.0.0"), {Name: "x", PURL: "pkg:cpan/x@1"}},
			model.NotInViolation,
		},
		{
			"a package that may not be left out in this repository", "coverage: {permit: [{components: ['pkg:cpan/*'], repositories: ['*/shop/*']}]}", "registry.example/bank/web",
			[]judge.Component{npm("p", "3.0.0"), {Name: "x", PURL: "pkg:cpan/x@1"}},
			model.OverallUnknown,
		},
		{"a shorter validity", "coverage: {validFor: 30m}", "", []judge.Component{npm("p", "3.0.0")}, model.OverallUnknown},
	} {
		t.Run(row.name, func(t *testing.T) {
			policy, err := judge.ParsePolicy([]byte(row.policy))
			require.NoError(t, err)
			in := on(s, row.components...)
			in.Policy, in.Image.Repository = policy, row.repository
			result := judged(t, in)
			require.Equal(t, row.status, result.Status, result.Coverage.Reason)
		})
	}
	for _, wrong := range []string{
		"rules: [{severity: minor, vulnerability: low}]", "rules: [{name: r, severity: x, vulnerability: low}]", "rules: [{name: r, severity: minor, vulnerability: x}]",
		"rules: [{name: r, severity: minor, vulnerability: low, components: ['']}]", "other: 1", "coverage: {permit: [{}]}", "coverage: {validFor: -1h}",
		"coverage: {validFor: 14}", "coverage: {validFor: -1d}", "coverage: {validFor: [1]}", "coverage: {permit: [{purl: x}]}",
		"coverage: {permitEmpty: ['']}", "rules: []\n---\nrules: []",
		"rules: [{name: r, severity: minor, vulnerability: low}, {name: r, severity: minor, vulnerability: low}]", "overrides: [{component: p}]",
	} {
		_, err := judge.ParsePolicy([]byte(wrong))
		require.Error(t, err, wrong)
	}
}

// TestTheExampleOfThePolicyFile is what the documentation shows: it can be loaded, and it means what its comments say.
func TestTheExampleOfThePolicyFile(t *testing.T) {
	raw, err := os.ReadFile("../../../../docs/policy.yaml")
	require.NoError(t, err)
	policy, err := judge.ParsePolicy(raw)
	require.NoError(t, err)
	require.Equal(t, judge.DefaultPolicy().Rules[0].Vulnerability, policy.Rules[0].Vulnerability)
	require.Equal(t, judge.Age(model.DataValidFor), policy.Coverage.ValidFor)
	require.Len(t, policy.Coverage.Permit, 3)
	require.NotEmpty(t, policy.Coverage.PermitEmpty)
	require.NotEmpty(t, policy.Overrides)
	require.False(t, policy.Strict)
	require.False(t, policy.OnlyFixed)
	s := newShelf().add(t, record("GHSA-1", "npm", "p", fixedIn2, low)).complete("npm")
	in := on(s, npm("p", "3.0.0"), judge.Component{Name: "x", PURL: "pkg:github/actions/checkout@4"})
	in.Policy = policy
	require.Equal(t, model.NotInViolation, judged(t, in).Status, "permitted by its package URL")
	in.Policy = nil
	require.Equal(t, model.OverallUnknown, judged(t, in).Status, "not by the default")
}

// brokenShelf cannot be read.
type brokenShelf struct{ *shelf }

var errBroken = errors.New("disk on fire")

func (brokenShelf) Records(osv.Key) ([]osv.Record, error) { return nil, errBroken }

func TestDataThatCannotBeRead(t *testing.T) {
	s := newShelf().add(t, record("GHSA-1", "npm", "p", fixedIn2, low)).complete("npm")
	_, err := judge.Judge(judge.Input{Contents: judge.Contents{Components: []judge.Component{npm("p", "1.0.0")}}, Assessor: judge.Over(brokenShelf{s}), Now: now})
	require.ErrorIs(t, err, errBroken)
	require.ErrorContains(t, err, "assess pkg:npm/p@1.0.0")
}
