package jobs

import (
	"reflect"
	"slices"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/model"
)

// change is what is different between two verdicts of one version.
type change struct {
	any bool
	// coverage says that the status as a whole or what it rests on changed.
	coverage bool
	// vulnerabilities are of components that were there before.
	vulnerabilities []vulnerabilityChange
	// violated, cleared and overridden are components whose policy status changed to or away from these.
	violated, cleared, overridden []judge.Judged
}

type vulnerabilityChange struct {
	component             judge.Judged
	added, updated, ended []judge.Finding
}

// policy sorts a component by what its policy status changed to. One whose violation was overridden counts as that, and not
// as cleared.
func (c *change) policy(before, after judge.Judged) {
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
func compare(before, after []judge.Judged) change {
	old := make(map[string]judge.Judged, len(before))
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
		if v := compareFindings(was, one); len(v.added)+len(v.updated)+len(v.ended) > 0 {
			c.any = true
			c.vulnerabilities = append(c.vulnerabilities, v)
		}
		if was.Assessed != one.Assessed || was.Reason != one.Reason || was.Status != one.Status ||
			!reflect.DeepEqual(was.Violations, one.Violations) || !reflect.DeepEqual(accepted(was), accepted(one)) {
			c.any = true
		}
	}
	for _, gone := range before {
		if _, isGone := old[gone.Key()]; isGone {
			c.any = true
			c.policy(gone, judge.Judged{Component: gone.Component})
		}
	}
	return c
}

func compareFindings(before, after judge.Judged) vulnerabilityChange {
	v := vulnerabilityChange{component: after}
	find := func(list []judge.Finding, id string) int {
		return slices.IndexFunc(list, func(m judge.Finding) bool { return m.ID == id })
	}
	for _, m := range after.Findings {
		at := find(before.Findings, m.ID)
		if at < 0 {
			v.added = append(v.added, m)
			continue
		}
		if was := before.Findings[at]; was.Severity != m.Severity || was.Score != m.Score || was.Fixed != m.Fixed {
			v.updated = append(v.updated, m)
		}
	}
	for _, m := range before.Findings {
		if find(after.Findings, m.ID) < 0 {
			v.ended = append(v.ended, m)
		}
	}
	return v
}

// accepted are the findings of a component that break no rule because they were accepted, with the reason.
func accepted(one judge.Judged) map[string]judge.Acceptance {
	found := map[string]judge.Acceptance{}
	for _, f := range one.Findings {
		if f.Accepted != nil {
			found[f.ID] = *f.Accepted
		}
	}
	return found
}
