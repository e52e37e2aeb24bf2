package jobs

import (
	"reflect"
	"slices"

	"github.com/perceptor/perceptor/internal/hub/builtin/store"
	"github.com/perceptor/perceptor/model"
)

// change is what is different between two verdicts of one version.
type change struct {
	any bool
	// vulnerabilities are of components that were there before.
	vulnerabilities []vulnerabilityChange
	// violated, cleared and overridden are components whose policy status changed to or away from these.
	violated, cleared, overridden []store.Judged
}

type vulnerabilityChange struct {
	component             store.Judged
	added, updated, ended []store.Match
}

// policy sorts a component by what its policy status changed to. One whose violation was overridden counts as that, and not
// as cleared.
func (c *change) policy(before, after store.Judged) {
	was, is := before.Status, after.Status
	switch {
	case is == was:
	case is == model.InViolation:
		c.violated = append(c.violated, after)
	case is == model.InViolationOverridden:
		c.overridden = append(c.overridden, after)
	case was == model.InViolation || was == model.InViolationOverridden:
		after.Violations = before.Violations // the rules that it no longer breaks are the news
		after.Status = model.NotInViolation
		c.cleared = append(c.cleared, after)
	}
}

// compare finds what a client must learn.
func compare(before, after []store.Judged) change {
	old := make(map[string]store.Judged, len(before))
	for _, one := range before {
		old[one.Key()] = one
	}
	c := change{any: len(before) != len(after)}
	for _, one := range after {
		was, existed := old[one.Key()]
		delete(old, one.Key())
		c.policy(was, one)
		if !existed {
			c.any = true
			continue
		}
		if v := compareMatches(was, one); len(v.added)+len(v.updated)+len(v.ended) > 0 {
			c.any = true
			c.vulnerabilities = append(c.vulnerabilities, v)
		}
		if was.Assessed != one.Assessed || was.Status != one.Status ||
			!reflect.DeepEqual(was.Violations, one.Violations) || !reflect.DeepEqual(was.Overridden, one.Overridden) {
			c.any = true
		}
	}
	for _, gone := range before {
		if _, isGone := old[gone.Key()]; isGone {
			c.any = true
			c.policy(gone, store.Judged{Component: gone.Component, ID: gone.ID})
		}
	}
	return c
}

func compareMatches(before, after store.Judged) vulnerabilityChange {
	v := vulnerabilityChange{component: after}
	find := func(list []store.Match, id string) int {
		return slices.IndexFunc(list, func(m store.Match) bool { return m.ID == id })
	}
	for _, m := range after.Matches {
		at := find(before.Matches, m.ID)
		if at < 0 {
			v.added = append(v.added, m)
			continue
		}
		if was := before.Matches[at]; was.Severity != m.Severity || was.Score != m.Score || was.Fixed != m.Fixed {
			v.updated = append(v.updated, m)
		}
	}
	for _, m := range before.Matches {
		if find(after.Matches, m.ID) < 0 {
			v.ended = append(v.ended, m)
		}
	}
	return v
}
