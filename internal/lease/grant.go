package lease

import (
	"time"

	"github.com/perceptor/perceptor/model"
)

// turn says how often a hub serves the one that waited longest instead of the most urgent.
const turn = 10

// Grant is an answer to one scan.
type Grant struct {
	Chain  string
	Holder string
	Digest model.Digest
	Hub    string
	// Attempt is zero when WaitFor is set.
	Attempt model.AttemptID
	// WaitFor says that the hub already works on the digest for another scan.
	WaitFor bool
}

// GrantNext gives out what can be given out now, most urgent first, and answers the grants to be sent, at most as many as given.
func (b *Book) GrantNext(now time.Time, most int) []Grant {
	if b.Cold != nil && b.on(guardCold) {
		return nil
	}
	var grants []Grant
	busy := b.busyDigests()
	for len(grants) < most {
		w, hub := b.pickGrant(busy)
		if w == nil {
			break
		}
		grants = append(grants, b.grant(*w, hub, busy, now))
	}
	return grants
}

// busyDigests are the digests that have a lease, each with its hub.
func (b *Book) busyDigests() map[model.Digest]string {
	busy := make(map[model.Digest]string, len(b.Leases))
	if !b.on(guardDigest) {
		return busy
	}
	for i := range b.Leases {
		busy[b.Leases[i].Digest] = b.Leases[i].Hub
	}
	return busy
}

// grant turns a waiter into a lease.
func (b *Book) grant(w Waiter, hub *Hub, busy map[model.Digest]string, now time.Time) Grant {
	hub.Grants++
	attempt := b.nextAttempt(now)
	b.Leases = append(b.Leases, Lease{
		Chain: w.Chain, Holder: w.Holder, Digest: w.Digest, Scan: w.Scan, Hub: hub.Name, Priority: w.Priority, State: Granted,
		Attempt: attempt, GrantedAt: now, LastHeard: w.LastHeard, Due: now.Add(firstResend), Sent: 1,
	})
	b.dropWaiter(w.Chain)
	if b.on(guardDigest) {
		busy[w.Digest] = hub.Name
	}
	return Grant{Chain: w.Chain, Holder: w.Holder, Digest: w.Digest, Hub: hub.Name, Attempt: attempt}
}

// pickGrant chooses the next waiter and its hub; nil when nothing can be granted.
func (b *Book) pickGrant(busy map[model.Digest]string) (*Waiter, *Hub) {
	free := b.freeCapacity()
	for i := range b.Hubs {
		if free[i] > 0 && (b.Hubs[i].Grants+1)%turn == 0 && b.on(guardTurn) {
			if w := b.longestWaiting(b.Hubs[i].Name, busy); w != nil {
				return w, &b.Hubs[i]
			}
		}
	}
	var best *Waiter
	var where *Hub
	for i := range b.Waiters {
		w := &b.Waiters[i]
		if _, taken := busy[w.Digest]; taken || best != nil && !b.before(w, best) {
			continue
		}
		if hub := b.freest(w, free); hub != nil {
			best, where = w, hub
		}
	}
	return best, where
}

// freeCapacity is what each hub may still be given, in the order of Hubs.
func (b *Book) freeCapacity() []int {
	free := make([]int, len(b.Hubs))
	for i := range b.Hubs {
		h := &b.Hubs[i]
		if !h.usable() && b.on(guardUsable) {
			continue
		}
		free[i] = h.Limit - b.InUse(h.Name)
		if !b.on(guardLimit) {
			free[i] = 1
		}
	}
	return free
}

// before orders waiters by priority, then by their position in it.
func (b *Book) before(w, v *Waiter) bool {
	if !b.on(guardOrder) {
		return w.Priority < v.Priority || w.Priority == v.Priority && w.Position > v.Position
	}
	return w.Priority < v.Priority || w.Priority == v.Priority && w.Position < v.Position
}

// longestWaiting is the oldest among the first of each priority that accept the hub: no waiter is overtaken within its priority.
func (b *Book) longestWaiting(hub string, busy map[model.Digest]string) *Waiter {
	heads := map[int]*Waiter{}
	var priorities []int
	for i := range b.Waiters {
		w := &b.Waiters[i]
		if _, taken := busy[w.Digest]; taken || !w.accepts(hub) {
			continue
		}
		head, known := heads[w.Priority]
		if !known {
			priorities = append(priorities, w.Priority)
		}
		if !known || b.before(w, head) {
			heads[w.Priority] = w
		}
	}
	var oldest *Waiter
	for _, priority := range priorities {
		if w := heads[priority]; oldest == nil || w.Arrival < oldest.Arrival {
			oldest = w
		}
	}
	return oldest
}

// freest is the acceptable hub with the most free capacity, the first by name among equals; nil when none has any.
func (b *Book) freest(w *Waiter, free []int) *Hub {
	best := -1
	for i := range b.Hubs {
		if free[i] < 1 || !w.accepts(b.Hubs[i].Name) && b.on(guardAcceptable) {
			continue
		}
		if best < 0 || free[i] > free[best] {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	return &b.Hubs[best]
}

// Resend answers the grants that are due to be sent again, at most as many as given: unconfirmed ones after a growing
// pause, and those asked for.
func (b *Book) Resend(now time.Time, most int) []Grant {
	var grants []Grant
	for i := range b.Leases {
		l := &b.Leases[i]
		if len(grants) >= most {
			break
		}
		if l.Due.IsZero() || l.Due.After(now) || l.draining() {
			continue
		}
		if !b.on(guardResend) {
			l.Due = time.Time{}
			continue
		}
		l.Sent++
		l.Due = time.Time{}
		if l.State == Granted {
			l.Due = now.Add(resendPause(l.Sent))
		}
		grants = append(grants, Grant{Chain: l.Chain, Holder: l.Holder, Digest: l.Digest, Hub: l.Hub, Attempt: l.Attempt})
	}
	return grants
}

// resendPause doubles from sending to sending.
func resendPause(sent int) time.Duration {
	pause := firstResend
	for ; sent > 1 && pause < longestResend; sent-- {
		pause *= 2
	}
	return min(pause, longestResend)
}

// Redirect answers the waiters whose digest has a lease with the hub to look at, once for each time they ask, and at most
// as many as given.
func (b *Book) Redirect(most int) []Grant {
	var grants []Grant
	busy := b.busyDigests()
	for i := range b.Waiters {
		w := &b.Waiters[i]
		hub, taken := busy[w.Digest]
		if !taken || w.Redirected == hub || len(grants) >= most {
			continue
		}
		w.Redirected = hub
		grants = append(grants, Grant{Chain: w.Chain, Holder: w.Holder, Digest: w.Digest, Hub: hub, WaitFor: true})
	}
	return grants
}
