package lease

import (
	"slices"
	"time"

	"github.com/perceptor/perceptor/model"
)

// Request is what a scan asks of the book.
type Request struct {
	Chain  string
	Holder string
	Digest model.Digest
	// Scan is the name of the scan at the hub; empty means the digest in hexadecimal.
	Scan string
	// Hubs are acceptable; empty means all.
	Hubs []string
	// Priority is 0 for the most urgent.
	Priority int
	// Held is set by a holder that announces its lease.
	Held *Announced
}

// Announced is the lease a holder knows that it has.
type Announced struct {
	Hub     string
	Attempt model.AttemptID
}

// Acquire takes a request: it queues a new one, repeats the answer to a known one, and writes down an announced lease.
// The answers come from GrantNext, Resend and Redirect.
func (b *Book) Acquire(r Request, now time.Time) {
	r.Scan = scanName(r.Scan, r.Digest)
	b.markHeard(r.Chain)
	if r.Held != nil {
		b.announce(r, now)
		return
	}
	l := b.Lease(r.Chain)
	switch {
	case l == nil:
		b.queueWaiter(r, now)
	case !l.draining():
		l.LastHeard, l.Holder = now, r.Holder
		l.Due = now
	case !l.Drain.Gone:
		b.queueWaiter(r, now)
	}
}

// RoomFor answers ErrFull when there is no room for one more lease or waiter, unless the chain has one already.
func (b *Book) RoomFor(chain string, lease bool) error {
	if b.Lease(chain) != nil || !lease && b.Waiter(chain) != nil {
		return nil
	}
	if lease && len(b.Leases) >= LeasesAtMost || !lease && len(b.Waiters) >= WaitersAtMost || b.text() >= textAtMost {
		return ErrFull
	}
	return nil
}

// text counts the bytes of the names in the book that others choose.
func (b *Book) text() int {
	n := 0
	for i := range b.Leases {
		n += len(b.Leases[i].Chain) + len(b.Leases[i].Scan)
	}
	for i := range b.Waiters {
		w := &b.Waiters[i]
		n += len(w.Chain) + len(w.Scan)
		for _, hub := range w.Hubs {
			n += len(hub)
		}
	}
	return n
}

// announce believes a holder, over any limit: what it holds is in use whether the book knew of it or not.
func (b *Book) announce(r Request, now time.Time) {
	b.heardOf(r.Held.Attempt)
	l := b.Lease(r.Chain)
	switch {
	case b.wasFreed(r.Chain, r.Held.Attempt):
		return
	case l == nil:
		b.adopt(r, now)
	case l.draining():
		return
	default:
		b.compareLease(l, r, now)
	}
}

// adopt writes down a lease that another book granted.
func (b *Book) adopt(r Request, now time.Time) {
	if !b.on(guardAdopt) {
		return
	}
	b.dropWaiter(r.Chain)
	if b.Hub(r.Held.Hub) == nil {
		b.addHub(r.Held.Hub).Removed = true
	}
	b.Leases = append(b.Leases, Lease{
		Chain: r.Chain, Holder: r.Holder, Digest: r.Digest, Scan: r.Scan, Hub: r.Held.Hub, Priority: r.Priority, State: Held,
		Attempt: r.Held.Attempt, GrantedAt: time.UnixMilli(r.Held.Attempt.Millis).UTC(), LastHeard: now,
	})
}

// compareLease brings the book's view of a lease and its holder's together.
func (b *Book) compareLease(l *Lease, r Request, now time.Time) {
	l.LastHeard, l.Holder = now, r.Holder
	switch {
	case l.Hub == r.Held.Hub && l.Attempt == r.Held.Attempt:
		l.State, l.Due = Held, time.Time{}
	case l.Attempt.Less(r.Held.Attempt), l.Hub != r.Held.Hub && l.State == Granted:
		// The holder has a grant of another book; it ignores the one of this book.
		b.moveLease(l, r.Held)
	default:
		l.Due = now
	}
}

// moveLease changes the lease to what its holder says.
func (b *Book) moveLease(l *Lease, held *Announced) {
	l.Hub, l.Attempt, l.State, l.Due = held.Hub, held.Attempt, Held, time.Time{}
	if b.Hub(held.Hub) == nil {
		b.addHub(held.Hub).Removed = true
	}
	b.forgetRemoved()
}

// queueWaiter adds a waiter, or notes that a known one is still there. A priority only ever becomes more urgent.
func (b *Book) queueWaiter(r Request, now time.Time) {
	b.suspectOthers(r)
	w := b.Waiter(r.Chain)
	if w == nil {
		b.Arrivals++
		b.Waiters = append(b.Waiters, Waiter{
			Chain: r.Chain, Digest: r.Digest, Priority: r.Priority, Since: now, Arrival: b.Arrivals, Position: b.Arrivals,
		})
		w = &b.Waiters[len(b.Waiters)-1]
	}
	if r.Priority < w.Priority {
		b.Arrivals++
		w.Priority, w.Position = r.Priority, b.Arrivals
	}
	w.Holder, w.Scan, w.Hubs, w.LastHeard, w.Redirected = r.Holder, r.Scan, slices.Clone(r.Hubs), now, ""
}

// suspectOthers asks for a check of another holder of the digest: usually an earlier scan of it that was ended.
func (b *Book) suspectOthers(r Request) {
	for i := range b.Leases {
		l := &b.Leases[i]
		if l.Digest == r.Digest && l.Chain != r.Chain && !l.draining() {
			l.Suspect = true
		}
	}
}

// Confirm notes that the grant of this attempt has arrived.
func (b *Book) Confirm(chain string, attempt model.AttemptID, now time.Time) {
	b.markHeard(chain)
	l := b.Lease(chain)
	if l == nil || l.draining() {
		return
	}
	l.LastHeard = now
	if l.Attempt == attempt || !b.on(guardLateConfirm) {
		l.State, l.Due = Held, time.Time{}
	}
}

// GrantDelivered notes that the grant of this attempt is in its holder's history. It is sent again only much later, and is not
// yet held: a holder that works under a grant of another book ignores it.
func (b *Book) GrantDelivered(chain string, attempt model.AttemptID, now time.Time) {
	if l := b.Lease(chain); l != nil && !l.draining() && l.State == Granted && l.Attempt == attempt {
		l.Due = now.Add(longestResend)
	}
}

// Returned is a lease given back. What it says beyond chain and attempt lets a book that lost its state write the lease down.
type Returned struct {
	Chain  string
	Holder string
	Digest model.Digest
	Scan   string
	Hub    string
	// Attempt is the newest attempt the holder knows of; zero gives up what the chain has, its position in the queue too.
	// A release of an older attempt than the lease's changes nothing: the holder has not seen the newer one yet, and gives
	// that back too when it arrives.
	Attempt model.AttemptID
	// Unfinished says that the holder does not know whether the hub is done: the lease drains.
	Unfinished bool
}

// Release takes a lease back. Of a lease that drains the hub alone decides: its holder did not know, or is gone.
func (b *Book) Release(r Returned, now time.Time) {
	b.markHeard(r.Chain)
	if r.Attempt.IsZero() {
		b.dropWaiter(r.Chain)
	}
	b.heardOf(r.Attempt)
	l := b.Lease(r.Chain)
	if l == nil {
		b.returnedUnknown(r, now)
		return
	}
	if l.draining() || b.on(guardLateRelease) && !r.Attempt.IsZero() && r.Attempt.Less(l.Attempt) {
		return
	}
	if r.Unfinished && b.on(guardUnfinished) {
		l.LastHeard = now
		b.drain(l, now)
		return
	}
	b.freeLease(r.Chain)
}

// returnedUnknown writes down an unfinished lease that the book never knew. A finished one is only remembered, so that a
// late announcement does not bring it back.
func (b *Book) returnedUnknown(r Returned, now time.Time) {
	if r.Attempt.IsZero() || b.wasFreed(r.Chain, r.Attempt) {
		return
	}
	if !r.Unfinished || r.Hub == "" {
		b.rememberFreed(r.Chain, r.Attempt)
		return
	}
	b.adopt(Request{
		Chain: r.Chain, Holder: r.Holder, Digest: r.Digest, Scan: scanName(r.Scan, r.Digest),
		Held: &Announced{Hub: r.Hub, Attempt: r.Attempt},
	}, now)
	if l := b.Lease(r.Chain); l != nil {
		b.drain(l, now)
	}
}

// scanName is the name of the scan at the hub.
func scanName(name string, digest model.Digest) string {
	if name == "" {
		return digest.Hex()
	}
	return name
}
