package jobs

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/perceptor/perceptor/internal/hub/builtin/feed"
	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
	"github.com/perceptor/perceptor/model"
)

// LoadPolicy reads the policy of a file, or the default one where no file is named.
func LoadPolicy(file string) (*judge.Policy, error) {
	if file == "" {
		return judge.DefaultPolicy(), nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read policy file: %w", err)
	}
	p, err := judge.ParsePolicy(raw)
	if err != nil {
		return nil, fmt.Errorf("policy file %s: %w", file, err)
	}
	return p, nil
}

// verdicts brings store, policy and judge together.
type verdicts struct {
	policy     *judge.Policy
	cache      *assessmentCache
	exceptions registerCache
	// feed is what is known of the source of updates; nil inside when there are no updates.
	feed *atomic.Pointer[feed.Book]
}

func newVerdicts(policy *judge.Policy, book *atomic.Pointer[feed.Book]) *verdicts {
	return &verdicts{policy: policy, feed: book, cache: &assessmentCache{entries: map[string]judge.Assessment{}}}
}

// judge says what data, policy and exceptions say of the contents of an image.
func (v *verdicts) judge(tx *store.Tx, image judge.Image, contents judge.Contents, now time.Time) ([]judge.Judged, store.Summary, error) {
	exceptions, err := v.exceptions.of(tx)
	if err != nil {
		return nil, store.Summary{}, err
	}
	in := judge.Input{Contents: contents, Image: image, Assessor: v.assessor(tx), Policy: v.policy, Exceptions: exceptions, Now: now}
	result, err := judge.Judge(in)
	if err != nil {
		return nil, store.Summary{}, err
	}
	sum := store.Summary{
		Status: result.Status, Levels: map[string]int{}, Policies: map[model.OverallStatus]int{}, PolicySeverities: map[string]int{},
		Coverage: result.Coverage, FindingCounts: result.Findings, Needs: map[string]int{},
	}
	for i := range result.Components {
		one := &result.Components[i]
		sum.Levels[Level(one)]++
		sum.Policies[one.Status]++
		sum.Findings += len(one.Findings)
		if one.Ecosystem != "" {
			sum.Needs[osv.Base(one.Ecosystem)]++
		}
		if one.Status == model.InViolation {
			sum.PolicySeverities[worstRule(one)]++
		}
	}
	return result.Components, sum, nil
}

// warm assesses components, so that a transaction that writes finds them in memory.
func (v *verdicts) warm(tx *store.Tx, contents judge.Contents) error {
	data := v.assessor(tx)
	for _, c := range contents.Components {
		if _, judged := contents.Words[c.Key()]; judged {
			continue // by another scanner
		}
		if _, err := data.Assess(c, contents.Distribution); err != nil {
			return err
		}
	}
	return nil
}

// basis names what verdicts rest on at this moment: it changes with data, policy, exceptions and the way of judging.
func (v *verdicts) basis(tx *store.Tx, now time.Time) (string, error) {
	exceptions, err := v.exceptions.of(tx)
	if err != nil {
		return "", err
	}
	g, err := tx.Data().Current()
	basis := fmt.Sprintf("%d/%s", g.Number, v.policy.Basis(exceptions, now))
	if book := v.feed.Load(); book != nil {
		// What cannot be fetched is not being loaded any more.
		basis += fmt.Sprintf("/updates without %q", book.Troubles())
	}
	return basis, err
}

// nextChange is when time alone changes verdicts; zero when it will not.
func (v *verdicts) nextChange(tx *store.Tx, now time.Time) (time.Time, error) {
	exceptions, err := v.exceptions.of(tx)
	return v.policy.NextChange(exceptions, now), err
}

// unusable reports whether an error means stored data that trying again does not change.
func unusable(err error) bool { return errors.Is(err, store.ErrDamaged) }

// The levels of the risk profile that are no severities.
const (
	LevelOK      = "OK"
	LevelUnknown = "UNKNOWN"
)

// Levels are the names under which a risk profile counts components, worst first. A component whose vulnerabilities no
// source rated counts under the severity UNRATED, which is an addition and therefore only shown where there is one.
var Levels = []string{
	string(model.SeverityCritical), string(model.SeverityHigh), string(model.SeverityMedium), string(model.SeverityLow), LevelOK, LevelUnknown,
}

// Level is where the component counts in the risk profile: by its worst vulnerability, and without one UNKNOWN when it was
// not assessed.
func Level(one *judge.Judged) string {
	switch worst := one.Worst(); {
	case worst != "":
		return string(worst)
	case one.Assessed:
		return LevelOK
	default:
		return LevelUnknown
	}
}

// ComponentID names a component in the API. It must stay the same over scans, so it is made from the component itself.
func ComponentID(c judge.Component) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(c.Key())).String()
}

// worstRule is the severity of the worst rule that the component breaks.
func worstRule(one *judge.Judged) string {
	worst := len(judge.RuleSeverities) - 1
	for _, v := range one.Violations {
		if at := slices.Index(judge.RuleSeverities, v.Severity); at >= 0 {
			worst = min(worst, at)
		}
	}
	return judge.RuleSeverities[worst]
}

// assessor assesses components by the data in use when the transaction began.
func (v *verdicts) assessor(tx *store.Tx) cached {
	return cached{tx: tx, cache: v.cache, feed: v.feed.Load()}
}

// cached is an assessor with a cache, and the records that it asks.
type cached struct {
	tx    *store.Tx
	cache *assessmentCache
	feed  *feed.Book
}

var (
	_ judge.Assessor = cached{}
	_ judge.Records  = cached{}
)

// Assess compares one component with the data in use.
func (c cached) Assess(component judge.Component, on osv.Distribution) (judge.Assessment, error) {
	g, err := c.cache.generation(c.tx)
	if err != nil {
		return judge.Assessment{}, err
	}
	key := judge.CacheKey(component, on)
	if known, ok := c.cache.get(g.Number, key); ok {
		return c.loading(known, g), nil
	}
	a, err := judge.Assess(component, on, c)
	if err != nil {
		return a, err
	}
	c.cache.put(g.Number, key, a)
	return c.loading(a, g), nil
}

// loading replaces the reason where a component is not assessed only because its data are on their way.
func (c cached) loading(a judge.Assessment, g store.Generation) judge.Assessment {
	lacks := a.Reason == model.NoData || a.Reason == model.OnlySample || a.Reason == model.IncompleteData
	if !lacks || a.Ecosystem == "" || c.feed == nil {
		return a
	}
	base := osv.Base(a.Ecosystem)
	if c.feed.Loading(base, heldOf(g.Ecosystems[base])) {
		a.Reason, a.Detail = model.DataLoading, "the data of "+base+" are being loaded"
	}
	return a
}

// Source describes the data in use of one ecosystem.
func (c cached) Source(ecosystem string) (model.DataSource, bool, error) {
	g, err := c.cache.generation(c.tx)
	if err != nil {
		return model.DataSource{}, false, err
	}
	held, there := g.Ecosystems[osv.Base(ecosystem)]
	if !there || held.Releases[ecosystem] == 0 {
		return model.DataSource{}, false, nil
	}
	return model.DataSource{Ecosystem: ecosystem, Source: held.Source, AsOf: held.AsOf, Complete: held.Complete, Sample: held.Sample}, true, nil
}

// Records are those in use of one package.
func (c cached) Records(key osv.Key) ([]osv.Record, error) {
	g, err := c.cache.generation(c.tx)
	if err != nil {
		return nil, err
	}
	return c.tx.Data().Records(g, key)
}

// Severity is how bad a vulnerability is by any record in use.
func (c cached) Severity(id string) (model.Severity, float64, error) {
	g, err := c.cache.generation(c.tx)
	if err != nil {
		return "", 0, err
	}
	return c.tx.Data().Severity(g, id)
}

// cachedFindings bounds the findings kept in memory; one is about half a kilobyte. A package without any counts as one.
const cachedFindings = 100_000

// assessmentCache remembers assessments by one generation of the data: images share most of their packages.
type assessmentCache struct {
	lock    sync.Mutex
	number  uint64
	entries map[string]judge.Assessment
	size    int

	current store.Generation
}

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

func (c *assessmentCache) get(number uint64, key string) (judge.Assessment, bool) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if number != c.number {
		return judge.Assessment{}, false
	}
	a, ok := c.entries[key]
	return a, ok
}

func (c *assessmentCache) put(number uint64, key string, a judge.Assessment) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if number < c.number {
		return // of data that were replaced in the meantime
	}
	size := max(1, len(a.Findings))
	if number > c.number || c.size+size > cachedFindings {
		c.number, c.entries, c.size = number, map[string]judge.Assessment{}, 0
	}
	if _, known := c.entries[key]; !known {
		c.size += size
	}
	c.entries[key] = a
}
