package lease

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// violation ends a history that broke an invariant.
type violation struct {
	rule string
	log  []string
}

func (v violation) Error() string { return v.rule + "\n" + strings.Join(v.log, "\n") }

func (w *world) violated(format string, args ...any) {
	if !w.keep {
		panic(violation{})
	}
	w.note("VIOLATED: "+format, args...)
	panic(violation{rule: fmt.Sprintf(format, args...), log: w.log[max(len(w.log)-120, 0):]})
}

// progress counts what a waiter had to let pass.
type progress struct {
	priority   int
	position   int
	present    int
	passed     int
	hubGrants  map[string]int
	uneligible bool
}

// serve lets the book act, and judges its answers.
func (w *world) serve() {
	w.book.WarmUp(w.now)
	for _, h := range w.book.ToCheck(w.now) {
		if c := w.chain(h.Chain); c.closed && !w.chance(10) {
			w.note("book learns: %s is closed", c.id)
			w.book.HolderClosed(c.id, w.now)
		}
	}
	for _, q := range w.book.ToAsk(w.now) {
		w.answer(q)
	}
	w.judge()
	w.enlist()
	before := slices.Clone(w.book.Leases)
	grants := w.book.GrantNext(w.now, 100)
	for _, g := range grants {
		before = w.judgeGrant(g, before)
	}
	renewals := w.book.Resend(w.now, 100)
	w.judge()
	for _, g := range slices.Concat(grants, renewals, w.book.Redirect(100)) {
		if w.chance(15) {
			w.note("lost: grant %v", g)
			continue
		}
		w.note("grant %s on %s %s waitFor=%t", g.Chain, g.Hub, g.Attempt, g.WaitFor)
		w.chain(g.Chain).receiveGrant(w, g)
	}
	w.judge()
}

// answer is the hub's: now, late, or none.
func (w *world) answer(q Question) {
	lease := w.book.Lease(q.Chain)
	if w.chance(6) {
		w.book.ScanUnknown(q.Chain, w.now)
		return
	}
	state, started := w.findScan(q.Hub, lease.Digest)
	seen := Seen{State: state, Started: started, Asked: q.Asked}
	w.note("hub %s says of %s: %s", q.Hub, q.Chain, state)
	if w.chance(3) {
		book := w.book
		w.mail = append(w.mail, letter{at: w.now.Add(w.pause()), deliver: func(now time.Time) {
			if book == w.book {
				book.ScanSeen(q.Chain, seen, now)
			}
		}})
		return
	}
	w.book.ScanSeen(q.Chain, seen, w.now)
}

// judge holds the book against what is going on.
func (w *world) judge() {
	for i := range w.book.Leases {
		w.judgeLease(&w.book.Leases[i])
	}
	for _, was := range w.before {
		if w.book.Lease(was.Chain) == nil {
			w.freed[was.Chain] = was.Attempt
		}
	}
	w.before = w.before[:0]
	for i := range w.book.Leases {
		w.before = append(w.before, Freed{Chain: w.book.Leases[i].Chain, Attempt: w.book.Leases[i].Attempt})
	}
	if w.book.Cold != nil {
		return
	}
	for _, each := range w.works[w.past:] {
		if !each.active(w.now) {
			continue
		}
		if l := w.book.Lease(each.chain); l == nil || l.Hub != each.hub {
			w.violated("%s is busy for %s without a lease", each.hub, each.chain)
		}
	}
	for w.past < len(w.works) && !w.works[w.past].active(w.now) {
		w.past++
	}
}

func (w *world) judgeLease(l *Lease) {
	if freed, was := w.freed[l.Chain]; was && !freed.Less(l.Attempt) {
		w.violated("the freed lease %s of %s came back", l.Attempt, l.Chain)
	}
	if l.State == Held && !w.confirmed[Freed{Chain: l.Chain, Attempt: l.Attempt}] {
		w.violated("lease %s of %s counts as confirmed, and never was", l.Attempt, l.Chain)
	}
	if l.State == Granted && l.Due.IsZero() {
		w.violated("the unconfirmed grant %s of %s will not be sent again", l.Attempt, l.Chain)
	}
}

// judgeGrant holds one grant against the leases out before it.
func (w *world) judgeGrant(g Grant, before []Lease) []Lease {
	if w.book.Cold != nil {
		w.violated("a cold book grants %v", g)
	}
	h := w.book.Hub(g.Hub)
	inUse := 0
	for i := range before {
		if before[i].Hub == g.Hub {
			inUse++
		}
		if before[i].Digest == g.Digest {
			w.violated("%s gets a second lease of %s", g.Chain, g.Digest)
		}
	}
	if inUse >= h.Limit {
		w.violated("%s is granted as number %d of %d on %s", g.Chain, inUse+1, h.Limit, g.Hub)
	}
	if h.Paused || h.Disabled || h.Tripped || h.Removed {
		w.violated("%s is granted on %+v", g.Chain, *h)
	}
	c := w.chain(g.Chain)
	if len(c.hubs) > 0 && !slices.Contains(c.hubs, g.Hub) {
		w.violated("%s is granted on %s, which it does not accept", g.Chain, g.Hub)
	}
	w.judgeOrder(g, before)
	l := w.book.Lease(g.Chain)
	w.judgeAttempt(g)
	return append(before, *l)
}

func (w *world) judgeAttempt(g Grant) {
	if !w.newest.Less(g.Attempt) {
		w.violated("attempt %s after %s", g.Attempt, w.newest)
	}
	w.newest = g.Attempt
}

// enlist notes who waits, and among how many.
func (w *world) enlist() {
	for i := range w.book.Waiters {
		v := &w.book.Waiters[i]
		if p := w.progress[v.Chain]; p != nil && p.priority == v.Priority {
			continue
		}
		p := &progress{priority: v.Priority, present: len(w.book.Waiters), hubGrants: map[string]int{}}
		for j := range w.book.Waiters {
			if o := &w.book.Waiters[j]; o.Priority == v.Priority && o.Position < v.Position {
				p.position++
			}
		}
		w.progress[v.Chain] = p
	}
	if len(w.progress) > len(w.book.Waiters) {
		for id := range w.progress {
			if w.book.Waiter(id) == nil {
				delete(w.progress, id)
			}
		}
	}
}

// judgeOrder counts the grant for everybody who could have had it.
func (w *world) judgeOrder(g Grant, before []Lease) {
	granted := w.progress[g.Chain]
	delete(w.progress, g.Chain)
	for id, p := range w.progress {
		c := w.chain(id)
		if len(c.hubs) > 0 && !slices.Contains(c.hubs, g.Hub) {
			continue
		}
		if slices.ContainsFunc(before, func(l Lease) bool { return l.Digest == c.digest }) || c.digest == g.Digest {
			// Who waits for his own image's lease is out of turn; his count starts again.
			p.passed, p.hubGrants, p.uneligible = 0, map[string]int{}, true
			continue
		}
		if p.uneligible {
			p.uneligible, p.present = false, len(w.progress)+1
		}
		if granted.priority == p.priority {
			p.passed++
		}
		p.hubGrants[g.Hub]++
		if limit := w.book.Hub(g.Hub).Limit; p.passed > p.position+limit {
			w.violated("%s at position %d let %d of its priority pass", id, p.position, p.passed)
		}
		if p.hubGrants[g.Hub] > turn*(p.present+1) {
			w.violated("%s, one of %d waiters, let %d grants of %s pass", id, p.present, p.hubGrants[g.Hub], g.Hub)
		}
	}
}
