package lease

import (
	"slices"
	"time"
)

// markHeard notes in a cold book that a chain was heard.
func (b *Book) markHeard(chain string) {
	if b.Cold != nil {
		b.Cold.Silent = slices.DeleteFunc(b.Cold.Silent, func(h Holder) bool { return h.Chain == chain })
	}
}

// Expect gives a cold book the holders that are open. Those heard already are not waited for.
func (b *Book) Expect(holders []Holder) {
	if b.Cold == nil {
		return
	}
	b.Cold.Listed = true
	for _, h := range holders {
		if b.Lease(h.Chain) == nil && b.Waiter(h.Chain) == nil {
			b.Cold.Silent = append(b.Cold.Silent, h)
		}
	}
}

// HubAsked notes in a cold book that a hub was asked. Its answer does not matter.
func (b *Book) HubAsked(hub string) {
	if b.Cold != nil {
		b.Cold.Unasked = slices.DeleteFunc(b.Cold.Unasked, func(name string) bool { return name == hub })
	}
}

// WarmUp ends the cold time when every holder was heard or it lasted long enough, and reports whether the book is warm.
func (b *Book) WarmUp(now time.Time) bool {
	if c := b.Cold; c != nil {
		complete := c.Listed && len(c.Silent) == 0 && len(c.Unasked) == 0
		if complete || !now.Before(c.Until) {
			b.Cold = nil
		}
	}
	return b.Cold == nil
}

// Suspect asks for an early check of a holder, because a signal did not reach it.
func (b *Book) Suspect(chain string) {
	if l := b.Lease(chain); l != nil && !l.draining() {
		l.Suspect = true
	}
	if w := b.Waiter(chain); w != nil {
		w.LastHeard = time.Time{}
	}
	if b.Cold != nil && slices.ContainsFunc(b.Cold.Silent, func(h Holder) bool { return h.Chain == chain }) {
		b.Checked = time.Time{}
	}
}

// ToCheck answers the holders to ask the server about: those suspected at once, those silent at every CheckAfter.
func (b *Book) ToCheck(now time.Time) []Holder {
	var holders []Holder
	regular := !now.Before(b.Checked.Add(CheckAfter))
	for i := range b.Leases {
		l := &b.Leases[i]
		if b.checkLease(l, regular, now) {
			l.Suspect = false
			holders = append(holders, Holder{Name: l.Holder, Chain: l.Chain})
		}
	}
	for i := range b.Waiters {
		w := &b.Waiters[i]
		if b.on(guardCheckWaiters) && now.Sub(w.LastHeard) > WaiterSilence && (regular || w.LastHeard.IsZero()) {
			// An open waiter that was suspected is given the usual time to speak.
			if w.LastHeard.IsZero() {
				w.LastHeard = now.Add(CheckAfter - WaiterSilence)
			}
			holders = append(holders, Holder{Name: w.Holder, Chain: w.Chain})
		}
	}
	if b.Cold != nil && regular {
		holders = append(holders, b.Cold.Silent...)
	}
	if regular {
		b.Checked = now
	}
	return holders
}

// checkLease reports whether the holder of a lease is to be asked about.
func (b *Book) checkLease(l *Lease, regular bool, now time.Time) bool {
	if !b.on(guardCheckLeases) {
		return false
	}
	if l.draining() {
		// The holder of an unfinished lease is still open; when it has ended, its late messages count for nothing.
		return regular && !l.Drain.Gone
	}
	return l.Suspect || regular && now.Sub(l.LastHeard) >= CheckAfter
}

// NextCheck is when ToCheck has something to answer next; zero means never.
func (b *Book) NextCheck(now time.Time) time.Time {
	for i := range b.Leases {
		if b.Leases[i].Suspect {
			return now
		}
	}
	for i := range b.Waiters {
		if b.Waiters[i].LastHeard.IsZero() {
			return now
		}
	}
	if len(b.Leases) == 0 && len(b.Waiters) == 0 && (b.Cold == nil || len(b.Cold.Silent) == 0) {
		return time.Time{}
	}
	return b.firstCheck()
}

// firstCheck is the earliest regular check at which a holder or waiter is silent for long enough.
func (b *Book) firstCheck() time.Time {
	var first time.Time
	for i := range b.Leases {
		if l := &b.Leases[i]; !l.draining() || !l.Drain.Gone {
			first = earliest(first, l.LastHeard.Add(CheckAfter))
		}
	}
	for i := range b.Waiters {
		first = earliest(first, b.Waiters[i].LastHeard.Add(WaiterSilence+time.Millisecond))
	}
	if b.Cold != nil && len(b.Cold.Silent) > 0 {
		first = earliest(first, b.Checked.Add(CheckAfter))
	}
	if next := b.Checked.Add(CheckAfter); !first.IsZero() && first.Before(next) {
		return next
	}
	return first
}

// NextWake is when the book has something to do next without a message; zero means never. Checks of holders
// belong to NextCheck, since only one is under way at a time.
func (b *Book) NextWake() time.Time {
	var next time.Time
	for i := range b.Leases {
		l := &b.Leases[i]
		switch {
		case l.draining() && !b.isTripped(l.Hub):
			next = earliest(next, l.Drain.NextAsk)
		case !l.draining():
			next = earliest(next, l.Due)
		}
	}
	if b.Cold != nil {
		next = earliest(next, b.Cold.Until)
	}
	return next
}

// earliest is the earlier of two times; zero means never.
func earliest(a, c time.Time) time.Time {
	if a.IsZero() || !c.IsZero() && c.Before(a) {
		return c
	}
	return a
}
