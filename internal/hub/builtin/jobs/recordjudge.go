package jobs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
	"github.com/perceptor/perceptor/model"
)

// matcher names the way this program judges. It changes when the same data and rules give another verdict, so that old
// verdicts are judged again after an upgrade.
const matcher = "1"

// recordJudge judges by the records in the store and a policy.
type recordJudge struct {
	rules *Policy
	cache *assessmentCache
}

// NewJudge judges by the records in the store and by these rules.
func NewJudge(rules *Policy) Judge { return &recordJudge{rules: rules, cache: newAssessmentCache()} }

func (r *recordJudge) Judge(tx *store.Tx, components []store.Component, now time.Time) ([]store.Judged, store.Summary, error) {
	return judge(components, storedData{tx: tx, cache: r.cache}, r.rules, now)
}

func (r *recordJudge) Warm(tx *store.Tx, components []store.Component) error {
	data := storedData{tx: tx, cache: r.cache}
	for _, c := range components {
		if c.PURL == "" {
			continue
		}
		if _, err := data.assess(c.PURL); err != nil {
			return err
		}
	}
	return nil
}

func (r *recordJudge) Basis(tx *store.Tx, now time.Time) (string, error) {
	g, err := tx.Data().Current()
	return fmt.Sprintf("%s/%d/%s", matcher, g.Number, r.rules.basis(now)), err
}

func (r *recordJudge) NextChange(now time.Time) time.Time { return r.rules.nextEnd(now) }

// assessment is what the vulnerability data say of one package.
type assessment struct {
	// Assessed is false when there are no data for the package's ecosystem: the package is then not clean, only unjudged.
	Assessed bool
	// Ecosystem is the data's own name for it, such as Debian or npm; empty when there is none.
	Ecosystem string
	Matches   []store.Match
}

// The Levels of the risk profile that are no severities.
const (
	LevelOK      = "OK"
	LevelUnknown = "UNKNOWN"
)

// Levels are the names under which a risk profile counts components, worst first. A component whose vulnerabilities no source
// rated counts under the severity UNRATED, which is an addition and therefore only shown where there is one.
var Levels = []string{
	string(model.SeverityCritical), string(model.SeverityHigh), string(model.SeverityMedium), string(model.SeverityLow), LevelOK, LevelUnknown,
}

// judge says of every component what the data and the rules say, and sums it up.
func judge(components []store.Component, data storedData, rules *Policy, now time.Time) ([]store.Judged, store.Summary, error) {
	result := make([]store.Judged, 0, len(components))
	sum := store.Summary{
		Status: model.NotInViolation, Levels: map[string]int{}, Policies: map[model.OverallStatus]int{}, PolicySeverities: map[string]int{},
		Components: len(components),
	}
	for _, c := range components {
		// The id must stay the same over scans, so it is made from the component itself.
		one := store.Judged{Component: c, ID: uuid.NewSHA1(uuid.NameSpaceURL, []byte(c.Key())).String()}
		if c.PURL != "" {
			assessment, err := data.assess(c.PURL)
			if err != nil {
				return nil, store.Summary{}, fmt.Errorf("assess %.200s: %w", c.PURL, err)
			}
			one.Assessed, one.Ecosystem, one.Matches = assessment.Assessed, assessment.Ecosystem, assessment.Matches
		}
		rules.apply(&one, now)
		add(&sum, one)
		result = append(result, one)
	}
	return result, sum, nil
}

func add(s *store.Summary, one store.Judged) {
	s.Levels[Level(&one)]++
	s.Policies[one.Status]++
	s.Status = s.Status.Worst(one.Status)
	s.Findings += len(one.Matches)
	if !one.Assessed {
		s.NotAssessed++
	}
	if one.Status == model.InViolation {
		s.PolicySeverities[worstRule(&one)]++
	}
}

// Level is where the component counts in the risk profile: by its worst vulnerability, and UNKNOWN when it is not assessed.
func Level(j *store.Judged) string {
	if !j.Assessed {
		return LevelUnknown
	}
	if len(j.Matches) == 0 {
		return LevelOK
	}
	worst := model.SeverityUnrated
	for _, m := range j.Matches {
		if m.Severity.AtLeast(worst) {
			worst = m.Severity
		}
	}
	return string(worst)
}

// worstRule is the severity of the worst rule the component breaks.
func worstRule(j *store.Judged) string {
	worst := len(RuleSeverities) - 1
	for _, v := range j.Violations {
		if at := slices.Index(RuleSeverities, v.Severity); at >= 0 {
			worst = min(worst, at)
		}
	}
	return RuleSeverities[worst]
}

// apply sets the policy status of a component: in violation when one vulnerability without an override breaks a rule.
func (p *Policy) apply(one *store.Judged, now time.Time) {
	one.Status = model.NotInViolation
	for i := range p.Rules {
		rule := &p.Rules[i]
		if !rule.covers(one) {
			continue
		}
		broken := false
		for _, m := range one.Matches {
			if !m.Severity.AtLeast(rule.Vulnerability) {
				continue
			}
			reason, by := p.override(one, m, now)
			if !by {
				broken = true
				continue
			}
			if o := (store.Overridden{Vulnerability: m.ID, Reason: reason}); !slices.Contains(one.Overridden, o) {
				one.Overridden = append(one.Overridden, o)
			}
		}
		if broken {
			one.Violations = append(one.Violations, store.Violation{Rule: rule.Name, Severity: rule.Severity})
		}
	}
	switch {
	case len(one.Violations) > 0:
		one.Status = model.InViolation
	case len(one.Overridden) > 0:
		one.Status = model.InViolationOverridden
	}
}

// covers tells whether the rule is about this component at all.
func (r *PolicyRule) covers(one *store.Judged) bool {
	if len(r.components) > 0 && !r.components.match(one.PURL, one.Name) {
		return false
	}
	return len(r.ecosystems) == 0 || r.ecosystems.match(one.Ecosystem, purlType(one.PURL))
}

func purlType(purl string) string {
	kind, _, _ := strings.Cut(strings.TrimPrefix(purl, "pkg:"), "/")
	return kind
}

// override finds why a vulnerability of a component does not count, under its id or another name of it.
func (p *Policy) override(one *store.Judged, m store.Match, now time.Time) (reason string, found bool) {
	for i := range p.Overrides {
		o := &p.Overrides[i]
		named := func(id string) bool { return strings.EqualFold(id, o.Vulnerability) }
		if o.active(now) && o.component.match(one.PURL, one.Name) && (named(m.ID) || slices.ContainsFunc(m.Aliases, named)) {
			return o.Reason, true
		}
	}
	return "", false
}

// storedData assesses packages by the data in use when the transaction began.
type storedData struct {
	tx    *store.Tx
	cache *assessmentCache
}

// assess looks a package up. One whose ecosystem has no record at all is not assessed.
func (d storedData) assess(purl string) (assessment, error) {
	g, err := d.cache.generation(d.tx)
	if err != nil {
		return assessment{}, err
	}
	if known, ok := d.cache.get(g.Number, purl); ok {
		return known, nil
	}
	key, assessable, err := osv.KeyOf(purl)
	if err != nil || !assessable || g.Ecosystems[key.Ecosystem] == 0 {
		return assessment{}, nil // a package URL that cannot be read is a package that cannot be assessed
	}
	records, err := d.records(g.Number, key)
	if err != nil {
		return assessment{}, err
	}
	findings, err := osv.Match(purl, records)
	if err != nil {
		return assessment{}, &DataError{fmt.Errorf("match %.200s: %w", purl, err)}
	}
	result := assessment{Assessed: true, Ecosystem: key.Ecosystem}
	for _, f := range findings {
		result.Matches = append(result.Matches, store.Match{
			ID: f.ID, Aliases: f.Aliases, Severity: f.Severity, Score: f.Score, Fixed: f.Fixed, URL: f.URL, Published: f.Published, Modified: f.Modified,
		})
	}
	d.cache.put(g.Number, purl, result)
	return result, nil
}

func (d storedData) records(number uint64, key osv.Key) ([]osv.Record, error) {
	var records []osv.Record
	err := d.tx.Data().EachRecord(number, key.Ecosystem, key.Package, func(raw []byte) error {
		var r osv.Record
		if err := json.Unmarshal(raw, &r); err != nil {
			return &DataError{err}
		}
		records = append(records, r)
		return nil
	})
	return records, err
}

// cachedMatches bounds the matches kept in memory; one is about half a kilobyte. A package without any counts as one.
const cachedMatches = 100_000

// assessmentCache remembers assessments by one generation of the data: images share most of their packages.
type assessmentCache struct {
	lock    sync.Mutex
	number  uint64
	entries map[string]assessment
	size    int

	current store.Generation
}

func newAssessmentCache() *assessmentCache { return &assessmentCache{entries: map[string]assessment{}} }

// generation is the data a transaction sees, decoded only when it is not the one seen last.
func (c *assessmentCache) generation(tx *store.Tx) (store.Generation, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.current.Number > 0 && tx.Data().IsCurrent(c.current.Number) {
		return c.current, nil
	}
	g, err := tx.Data().Current()
	if err == nil {
		c.current = g
	}
	return g, err
}

func (c *assessmentCache) get(number uint64, purl string) (assessment, bool) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if number != c.number {
		return assessment{}, false
	}
	a, ok := c.entries[purl]
	return a, ok
}

func (c *assessmentCache) put(number uint64, purl string, a assessment) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if number < c.number {
		return // of data that were replaced in the meantime
	}
	size := max(1, len(a.Matches))
	if number > c.number || c.size+size > cachedMatches {
		c.number, c.entries, c.size = number, map[string]assessment{}, 0
	}
	if _, known := c.entries[purl]; !known {
		c.size += size
	}
	c.entries[purl] = a
}
