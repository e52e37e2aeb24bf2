package feed

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/perceptor/perceptor/internal/backoff"
	"github.com/perceptor/perceptor/internal/hub/builtin/fetch"
	"github.com/perceptor/perceptor/model"
)

// Need says how much the scanned images need an ecosystem.
type Need struct {
	// Images are those with a component of it, Components all these components.
	Images     int `json:"images"`
	Components int `json:"components"`
}

// Held is what the hub has of an ecosystem.
type Held struct {
	// Set is the number of the update that wrote it.
	Set      uint64
	Complete bool
	// AsOf is when it was last checked against its source.
	AsOf time.Time
}

// State is what is known of one ecosystem at the source.
type State struct {
	// Archive and Changes are the tags of the files as they were seen last; they hold for that Set only.
	Archive fetch.Tag `json:"archive,omitzero"`
	Changes fetch.Tag `json:"changes,omitzero"`
	Set     uint64    `json:"set,omitempty"`
	// Checked is the last successful check.
	Checked time.Time `json:"checked,omitzero"`
	Trouble
}

// Trouble is what went wrong since the last success.
type Trouble struct {
	// Failures is how many tries failed in a row; Next is when the next one may begin.
	Failures int       `json:"failures,omitempty"`
	Next     time.Time `json:"next,omitzero"`
	// Problem is the last error.
	Problem string `json:"problem,omitempty"`
}

// tries are the delays between failed tries.
var tries = backoff.Delay{First: time.Minute, Most: time.Hour}

// longestRetry bounds how long a server can make us wait.
const longestRetry = 24 * time.Hour

func (t Trouble) after(now time.Time, err error) Trouble {
	delay := tries.After(t.Failures + 1)
	var asked interface{ RetryAfter() time.Duration }
	if errors.As(err, &asked) {
		delay = max(delay, min(asked.RetryAfter(), longestRetry))
	}
	return Trouble{Failures: t.Failures + 1, Next: now.Add(delay), Problem: err.Error()}
}

// Book is all that a feed remembers. It is pure: no clock, no input and no output.
type Book struct {
	// Base is the address that the states are of.
	Base string `json:"base"`
	// Source is trouble with the source as a whole, such as no network.
	Source     Trouble          `json:"source,omitzero"`
	Ecosystems map[string]State `json:"ecosystems,omitempty"`
}

// For is the book for an address: an empty one when it was kept for another.
func (b Book) For(base string) Book {
	if b.Base != base || b.Ecosystems == nil {
		return Book{Base: base, Ecosystems: map[string]State{}}
	}
	return b
}

// Step is what to do next.
type Step struct {
	// Ecosystem is empty when there is nothing to do before At.
	Ecosystem string
	// Whole says that the whole archive is needed, since what is held is not complete, or not from this source.
	Whole bool
	// At is when there may be something to do; zero when only a new need changes that.
	At time.Time
}

// Next decides what to fetch: first the ecosystems without complete data, the most needed one first, then those whose last
// check is longer ago than the interval, the longest first. What no image needs is left alone. Data that an operator loaded
// are taken over when they are older than the interval.
func (b Book) Next(now time.Time, interval time.Duration, needs map[string]Need, held map[string]Held) Step {
	type candidate struct {
		name  string
		whole bool
		due   time.Time
		need  Need
	}
	var due []candidate
	var next time.Time
	later := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		has, state := held[name], b.Ecosystems[name]
		c := candidate{name: name, need: needs[name], whole: !has.Complete || state.Set != has.Set}
		if has.Complete {
			c.due = has.AsOf.Add(interval)
			if state.Set == has.Set {
				c.due = state.Checked.Add(interval)
			}
		}
		at := c.due
		for _, trouble := range []Trouble{b.Source, state.Trouble} {
			if trouble.Failures > 0 && trouble.Next.After(at) {
				at = trouble.Next
			}
		}
		if at.After(now) {
			later(at)
			continue
		}
		due = append(due, c)
	}
	if len(due) == 0 {
		return Step{At: next}
	}
	slices.SortStableFunc(due, func(a, b candidate) int {
		aMissing, bMissing := held[a.name].Complete, held[b.name].Complete
		if aMissing != bMissing {
			if !aMissing {
				return -1
			}
			return 1
		}
		if !aMissing {
			return cmp.Or(cmp.Compare(b.need.Images, a.need.Images), cmp.Compare(b.need.Components, a.need.Components))
		}
		return a.due.Compare(b.due)
	})
	return Step{Ecosystem: due[0].name, Whole: due[0].whole, At: now}
}

// Loading reports whether the ecosystem's data are on their way: they are not complete, and no try to fetch them has failed.
func (b Book) Loading(ecosystem string, held Held) bool {
	return !held.Complete && b.Source.Failures == 0 && b.Ecosystems[ecosystem].Failures == 0
}

// Succeed notes a successful check.
func (b *Book) Succeed(ecosystem string, state State, now time.Time) {
	state.Checked, state.Trouble = now, Trouble{}
	b.Ecosystems[ecosystem] = state
	b.Source = Trouble{}
}

// Fail notes a failed try. What concerns the source as a whole holds everything up: waiting is all that helps then.
func (b *Book) Fail(ecosystem string, err error, now time.Time) {
	state := b.Ecosystems[ecosystem]
	state.Trouble = state.after(now, err)
	fetching, is := errors.AsType[*fetch.Error](err)
	if is && fetching.Class != model.Invalid && fetching.Class != model.NotFound {
		b.Source = b.Source.after(now, err)
	} else {
		// The source answers; what it has of this ecosystem cannot be used, so it is read again as a whole.
		state.Archive, state.Changes, b.Source = fetch.Tag{}, fetch.Tag{}, Trouble{}
	}
	b.Ecosystems[ecosystem] = state
}

// Troubles names the ecosystems whose last try failed, sorted, "" for the source as a whole. Verdicts depend on it: see
// Loading.
func (b Book) Troubles() []string {
	var names []string
	if b.Source.Failures > 0 {
		names = append(names, "")
	}
	for _, name := range slices.Sorted(maps.Keys(b.Ecosystems)) {
		if b.Ecosystems[name].Failures > 0 {
			names = append(names, name)
		}
	}
	return names
}
