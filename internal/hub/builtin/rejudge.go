package builtin

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// matcher names the way this program judges. It changes when the same data and rules give another verdict, so that old
// verdicts are judged anew after an upgrade.
const matcher = "1"

// basis names what verdicts rest on at this moment.
func (h *Hub) basis(tx *bbolt.Tx) (string, error) {
	g, err := currentGeneration(tx)
	return fmt.Sprintf("%s/%d/%s", matcher, g.Number, h.rules.basis(h.now())), err
}

// rejudge judges versions whose contents changed, and tells of violations that came or went. Empty ids are passed over.
func (h *Hub) rejudge(tx *bbolt.Tx, versionIDs ...string) error {
	slices.Sort(versionIDs)
	for _, id := range slices.Compact(versionIDs) {
		if id == "" {
			continue
		}
		v, ok, err := read[version](tx, versionBucket, id)
		if err != nil {
			return err
		}
		if !ok {
			continue // deleted meanwhile
		}
		c, err := h.judgeVersion(tx, &v, true)
		if err != nil {
			return err
		}
		if err := h.notifyPolicy(tx, v, c); err != nil {
			return err
		}
	}
	return nil
}

// judgeVersion writes a version's verdict. Its time moves on when the verdict changed, or when the caller says the
// contents were moved or scanned.
func (h *Hub) judgeVersion(tx *bbolt.Tx, v *version, moved bool) (change, error) {
	found, scanned, err := contentsOf(tx, v.ID)
	if err != nil {
		return change{}, err
	}
	before, _, err := read[[]judged](tx, resultBucket, v.ID)
	if err != nil {
		return change{}, err
	}
	now, judgedAt := h.now(), v.Summary.JudgedAt
	after, sum := []judged(nil), summary{}
	if scanned {
		if after, sum, err = judge(found, h.assessor(tx), h.rules, now); err != nil {
			return change{}, err
		}
		if sum.Basis, err = h.basis(tx); err != nil {
			return change{}, err
		}
	}
	c := compare(before, after)
	if sum.JudgedAt = judgedAt; c.any || moved {
		// Clients order verdicts by this time, so a second one within a millisecond must still be later.
		if sum.JudgedAt = now; !sum.JudgedAt.After(judgedAt) {
			sum.JudgedAt = judgedAt.Add(time.Millisecond)
		}
	}
	v.Summary = sum
	if err := write(tx, resultBucket, v.ID, after); err != nil {
		return change{}, err
	}
	return c, write(tx, versionBucket, v.ID, *v)
}

// contentsOf puts the components of a version's code locations together. scanned is false when none of them has been
// scanned to the end: then nothing can be said of the version.
func contentsOf(tx *bbolt.Tx, versionID string) (all []component, scanned bool, err error) {
	seen := map[string]bool{}
	err = eachUnder(tx, versionLocations, versionID, func(id, _ string) error {
		found, ok, err := read[[]component](tx, contentsBucket, id)
		scanned = scanned || ok
		for _, c := range found {
			if !seen[c.key()] {
				seen[c.key()] = true
				all = append(all, c)
			}
		}
		return err
	})
	return all, scanned, err
}

// change is what is different between two verdicts of one version.
type change struct {
	any bool
	// vulnerabilities are of components that were there before.
	vulnerabilities []vulnerabilityChange
	// violated, cleared and overridden are components whose policy status changed to or away from these.
	violated, cleared, overridden []judged
}

type vulnerabilityChange struct {
	component             judged
	added, updated, ended []Match
}

// compare finds what a client must be told of.
func compare(before, after []judged) change {
	old := make(map[string]judged, len(before))
	for _, one := range before {
		old[one.key()] = one
	}
	c := change{any: len(before) != len(after)}
	for _, one := range after {
		was, existed := old[one.key()]
		delete(old, one.key())
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
		if _, isGone := old[gone.key()]; isGone {
			c.any = true
			c.policy(gone, judged{component: gone.component, ID: gone.ID})
		}
	}
	return c
}

func compareMatches(before, after judged) vulnerabilityChange {
	v := vulnerabilityChange{component: after}
	find := func(list []Match, id string) int {
		return slices.IndexFunc(list, func(m Match) bool { return m.ID == id })
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
