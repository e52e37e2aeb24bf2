package lease

import (
	"errors"
	"slices"
	"time"

	"github.com/perceptor/perceptor/model"
)

// The times of the book.
const (
	// ColdFor is how long a book without state waits at most for holders to announce themselves: holders repeat
	// themselves at the latest every five minutes.
	ColdFor = 6 * time.Minute
	// CheckAfter is how long a holder may be silent before the server is asked whether it is open, and how often it is asked.
	CheckAfter = 60 * time.Second
	// WaiterSilence is how long a waiter may be silent: it repeats itself every five minutes, so two repetitions were lost.
	WaiterSilence = 11 * time.Minute
	// firstResend and longestResend bound the growing pause between two sendings of a grant that was not confirmed.
	firstResend   = 10 * time.Second
	longestResend = 5 * time.Minute
)

// The bounds of the book: far more than hubs can do. What is above them is a mistake or an attack, and is refused.
const (
	LeasesAtMost  = 2_000
	WaitersAtMost = 8_000
	// textAtMost bounds the bytes of all names in the book, so that it fits into one payload when it is packed.
	textAtMost = 1_050_000
)

// ErrFull says that the book has as many leases or waiters as it can hold. Scans repeat what they ask for.
var ErrFull = errors.New("the book of leases is full")

// remembered is how many freed leases are remembered, so that a late announcement does not bring one back.
const remembered = 256

// Book is the whole state. Its fields are exported because it travels as JSON; read them, and change them only by its methods.
type Book struct {
	// Hubs are in the order of their names.
	Hubs []Hub `json:"hubs,omitempty"`
	// Leases are in the order in which they were granted or announced.
	Leases []Lease `json:"leases,omitempty"`
	// Waiters are in the order of their arrival.
	Waiters []Waiter `json:"waiters,omitempty"`
	// Freed are the leases freed last, oldest first.
	Freed []Freed `json:"freed,omitempty"`
	// Last is the newest attempt id issued or heard of.
	Last model.AttemptID `json:"last"`
	// Arrivals numbers the waiters.
	Arrivals int64 `json:"arrivals,omitempty"`
	// Checked is when holders were last asked about.
	Checked time.Time `json:"checked,omitzero"`
	// Cold is set while the book does not know what is held.
	Cold *Cold `json:"cold,omitempty"`

	off guard
}

// Cold is what a book without state waits for.
type Cold struct {
	// Until is when it stops waiting.
	Until time.Time `json:"until"`
	// Listed is set when the open holders are known.
	Listed bool `json:"listed,omitempty"`
	// Silent are the open holders that have not been heard, by chain.
	Silent []Holder `json:"silent,omitempty"`
	// Unasked are the hubs that were not asked yet, by name.
	Unasked []string `json:"unasked,omitempty"`
}

// Holder is a scan as the server knows it.
type Holder struct {
	// Name is its workflow id.
	Name string `json:"name"`
	// Chain is the first run id of its chain of runs.
	Chain string `json:"chain"`
}

// State is what is known of a lease.
type State string

// The states of a lease. All of them count against the limit.
const (
	// Granted: the grant was sent and not confirmed yet.
	Granted State = "granted"
	// Held: the holder has confirmed.
	Held State = "held"
	// Draining: the holder is gone or cannot know; the hub is being asked.
	Draining State = "draining"
	// Stuck: the hub answered "in progress" for longer than any scan takes.
	Stuck State = "stuck"
)

// Lease is one unit of one hub's capacity.
type Lease struct {
	Chain  string       `json:"chain"`
	Holder string       `json:"holder"`
	Digest model.Digest `json:"digest"`
	// Scan is the name of the scan at the hub.
	Scan      string          `json:"scan"`
	Hub       string          `json:"hub"`
	Priority  int             `json:"priority,omitempty"`
	State     State           `json:"state"`
	Attempt   model.AttemptID `json:"attempt"`
	GrantedAt time.Time       `json:"grantedAt"`
	LastHeard time.Time       `json:"lastHeard,omitzero"`
	// Due is when the grant is sent again; zero when nothing is to be sent.
	Due time.Time `json:"due,omitzero"`
	// Sent counts how often the present grant was sent.
	Sent int `json:"sent,omitempty"`
	// Suspect asks for an early check of the holder.
	Suspect bool `json:"suspect,omitempty"`
	// Drain is set while the lease drains or is stuck.
	Drain *Drain `json:"drain,omitempty"`
}

// draining reports whether the hub, not the holder, decides about the lease.
func (l *Lease) draining() bool { return l.Drain != nil }

// Waiter is a scan that waits for a lease.
type Waiter struct {
	Chain  string       `json:"chain"`
	Holder string       `json:"holder"`
	Digest model.Digest `json:"digest"`
	Scan   string       `json:"scan"`
	// Hubs are acceptable; empty means all.
	Hubs []string `json:"hubs,omitempty"`
	// Priority is 0 for the most urgent.
	Priority int       `json:"priority,omitempty"`
	Since    time.Time `json:"since"`
	// Arrival orders all waiters by age, Position those of one priority: a waiter that is prioritized comes last in its new
	// priority.
	Arrival   int64     `json:"arrival"`
	Position  int64     `json:"position"`
	LastHeard time.Time `json:"lastHeard"`
	// Redirected is the hub that the waiter was sent to, because its digest has a lease there.
	Redirected string `json:"redirected,omitempty"`
}

// accepts reports whether the waiter accepts a lease on the hub.
func (w *Waiter) accepts(hub string) bool {
	return len(w.Hubs) == 0 || slices.Contains(w.Hubs, hub)
}

// Freed is a lease that was freed.
type Freed struct {
	Chain   string          `json:"chain"`
	Attempt model.AttemptID `json:"attempt"`
}

// New is an empty book of which it is known that no lease is held.
func New(now time.Time) *Book {
	return &Book{Last: model.AttemptID{Millis: now.UnixMilli()}, Checked: now}
}

// NewCold is a book that lost its state: a scan may hold a lease, so it grants nothing yet.
func NewCold(now time.Time) *Book {
	b := New(now)
	b.Cold = &Cold{Until: now.Add(ColdFor)}
	return b
}

// Lease finds the lease of a chain, nil when it has none.
func (b *Book) Lease(chain string) *Lease {
	for i := range b.Leases {
		if b.Leases[i].Chain == chain {
			return &b.Leases[i]
		}
	}
	return nil
}

// Waiter finds a chain in the queue, nil when it does not wait.
func (b *Book) Waiter(chain string) *Waiter {
	for i := range b.Waiters {
		if b.Waiters[i].Chain == chain {
			return &b.Waiters[i]
		}
	}
	return nil
}

// InUse counts the leases on a hub.
func (b *Book) InUse(hub string) int {
	n := 0
	for i := range b.Leases {
		l := &b.Leases[i]
		if l.Hub == hub && (!l.draining() || b.on(guardDrainingCounts)) {
			n++
		}
	}
	return n
}

// dropWaiter takes a chain out of the queue.
func (b *Book) dropWaiter(chain string) {
	b.Waiters = slices.DeleteFunc(b.Waiters, func(w Waiter) bool { return w.Chain == chain })
}

// freeLease ends a lease and remembers it. A removed hub is deleted with its last lease.
func (b *Book) freeLease(chain string) {
	l := b.Lease(chain)
	if l == nil {
		return
	}
	b.rememberFreed(chain, l.Attempt)
	b.Leases = slices.DeleteFunc(b.Leases, func(l Lease) bool { return l.Chain == chain })
	b.forgetRemoved()
}

// rememberFreed keeps the newest freed leases in mind.
func (b *Book) rememberFreed(chain string, attempt model.AttemptID) {
	b.Freed = append(b.Freed, Freed{Chain: chain, Attempt: attempt})
	if len(b.Freed) > remembered {
		b.Freed = slices.Delete(b.Freed, 0, len(b.Freed)-remembered)
	}
}

// wasFreed reports whether the attempt belongs to a lease of that chain that has been freed.
func (b *Book) wasFreed(chain string, attempt model.AttemptID) bool {
	return b.on(guardLateAnnounce) && slices.ContainsFunc(b.Freed, func(f Freed) bool {
		return f.Chain == chain && !f.Attempt.Less(attempt)
	})
}

// heardOf updates the newest attempt ID known.
func (b *Book) heardOf(attempt model.AttemptID) {
	if b.Last.Less(attempt) {
		b.Last = attempt
	}
}

// nextAttempt issues an attempt id that is newer than every one issued or heard of.
func (b *Book) nextAttempt(now time.Time) model.AttemptID {
	next := model.AttemptID{Millis: now.UnixMilli()}
	if b.on(guardAttempt) && !b.Last.Less(next) {
		next = model.AttemptID{Millis: b.Last.Millis, Counter: b.Last.Counter + 1}
	}
	b.Last = next
	return next
}
