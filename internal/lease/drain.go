package lease

import (
	"slices"
	"time"

	"github.com/perceptor/perceptor/model"
)

// The times of draining.
const (
	// Fence is how long an upload may go on after its holder was found gone: twice the heartbeat timeout of an upload (10 s),
	// since a worker cut off from the server notices after at most 1.6 of them.
	Fence = 20 * time.Second
	// Hold is for how long a hub may answer "in progress" before the lease is shown as stuck.
	Hold = 2 * time.Hour
	// A hub is asked again after one fiftieth of the time the scan has been there, between shortestAsk and longestAsk.
	askFraction = 50
	shortestAsk = 250 * time.Millisecond
	longestAsk  = 60 * time.Second
	// troubledAsk is the pause after a hub could not answer.
	troubledAsk = 5 * time.Second
	// askPatience is how long an answer may take before the question counts as lost.
	askPatience = 5 * time.Minute
	// clockGrain allows for hubs that give times in whole seconds.
	clockGrain = time.Second
)

// Drain is how far the question to the hub has come.
type Drain struct {
	Since time.Time `json:"since"`
	// Gone is set when the holder is known to have ended, so that what it sent late is ignored.
	Gone bool `json:"gone,omitempty"`
	// NextAsk is when the hub is asked next.
	NextAsk time.Time `json:"nextAsk"`
	// Absent is when the hub first answered, after the fence, that it knows no such scan; zero when it did not, or knew it since.
	Absent time.Time `json:"absent,omitzero"`
	// LastAnswer is when the hub last answered; zero when the last question found no answer.
	LastAnswer time.Time `json:"lastAnswer,omitzero"`
	// Answered is for how long the hub has answered "in progress".
	Answered time.Duration `json:"answered,omitempty"`
}

// drain starts to ask the hub about a lease.
func (b *Book) drain(l *Lease, now time.Time) {
	if l.draining() {
		return
	}
	l.State, l.Due, l.Suspect = Draining, time.Time{}, false
	l.Drain = &Drain{Since: now, NextAsk: now}
}

// HolderClosed notes that the chain has ended: what it waited for is dropped, what it held drains.
func (b *Book) HolderClosed(chain string, now time.Time) {
	b.markHeard(chain)
	b.dropWaiter(chain)
	l := b.Lease(chain)
	if l == nil {
		return
	}
	if !b.on(guardDrain) {
		b.freeLease(chain)
		return
	}
	b.drain(l, now)
	l.Drain.Gone = true
}

// Question asks a hub about a scan.
type Question struct {
	Chain string
	Hub   string
	// Scan is its name at the hub.
	Scan string
	// Asked is when the question was put.
	Asked time.Time
}

// Seen is a hub's answer to a Question.
type Seen struct {
	State model.HubScanState
	// Started is when the hub accepted the scan, by its own clock.
	Started time.Time
	// Asked repeats the question's: what a slow answer says was true at some time after that, not now.
	Asked time.Time
}

// ToAsk answers the questions to hubs that are due. Each counts as asked: ScanSeen or ScanUnknown bring the answer.
// A tripped hub is not asked.
func (b *Book) ToAsk(now time.Time) []Question {
	var questions []Question
	for i := range b.Leases {
		l := &b.Leases[i]
		if !l.draining() || l.Drain.NextAsk.After(now) || b.isTripped(l.Hub) {
			continue
		}
		l.Drain.NextAsk = now.Add(askPatience)
		questions = append(questions, Question{Chain: l.Chain, Hub: l.Hub, Scan: l.Scan, Asked: now})
	}
	return questions
}

// AskAgain forgets the questions under way, because their answers will not come.
func (b *Book) AskAgain(now time.Time) {
	for i := range b.Leases {
		if l := &b.Leases[i]; l.draining() && l.Drain.NextAsk.After(now) {
			l.Drain.NextAsk = now
		}
	}
}

func (b *Book) isTripped(hub string) bool {
	h := b.Hub(hub)
	return h != nil && h.Tripped
}

// ScanUnknown notes that the hub could not answer. That time counts for nothing.
func (b *Book) ScanUnknown(chain string, now time.Time) {
	l := b.Lease(chain)
	if l == nil || !l.draining() {
		return
	}
	l.Drain.LastAnswer = time.Time{}
	l.Drain.NextAsk = now.Add(max(troubledAsk, askPause(l, now)))
}

// ScanSeen takes the hub's answer about a draining lease.
func (b *Book) ScanSeen(chain string, seen Seen, now time.Time) {
	l := b.Lease(chain)
	if l == nil || !l.draining() {
		return
	}
	switch seen.State {
	case model.HubScanInProgress:
		b.scanInProgress(l, now)
	case model.HubScanComplete, model.HubScanFailed:
		// A scan of the same name that the hub had before this lease says nothing about this one.
		if b.on(guardOwnScan) && seen.Started.Before(l.GrantedAt.Truncate(clockGrain).Add(-clockGrain)) {
			b.scanAbsent(l, seen.Asked, now)
			return
		}
		b.freeLease(chain)
	default:
		b.scanAbsent(l, seen.Asked, now)
	}
}

// scanInProgress keeps the lease out, and shows it as stuck when the hub has said so for too long.
func (b *Book) scanInProgress(l *Lease, now time.Time) {
	d := l.Drain
	if !d.LastAnswer.IsZero() {
		d.Answered += now.Sub(d.LastAnswer)
	}
	d.LastAnswer, d.Absent = now, time.Time{}
	if d.Answered >= Hold {
		l.State = Stuck
	}
	d.NextAsk = now.Add(askPause(l, now))
}

// scanAbsent frees the lease when the hub has said so twice, after the fence and with its settle time between.
func (b *Book) scanAbsent(l *Lease, asked, now time.Time) {
	d := l.Drain
	d.LastAnswer = now
	fence := d.Since.Add(Fence)
	settle := time.Duration(0)
	if h := b.Hub(l.Hub); h != nil {
		settle = h.Settle
	}
	switch {
	case b.on(guardFence) && asked.Before(fence):
		d.NextAsk = later(fence, now)
	case !b.on(guardTwice):
		b.freeLease(l.Chain)
	case d.Absent.IsZero():
		d.Absent = now
		d.NextAsk = now.Add(max(settle, shortestAsk))
	case asked.Before(d.Absent.Add(settle)):
		d.NextAsk = later(d.Absent.Add(settle), now)
	default:
		b.freeLease(l.Chain)
	}
}

// later is the later of two times.
func later(a, c time.Time) time.Time {
	if a.Before(c) {
		return c
	}
	return a
}

// askPause grows with the time the scan has been at the hub.
func askPause(l *Lease, now time.Time) time.Duration {
	return min(max(now.Sub(l.GrantedAt)/askFraction, shortestAsk), longestAsk)
}

// Reset frees the draining and stuck leases of a digest, or every stuck one when the digest is empty, because an operator
// knows that the hub is done. It answers the digests freed.
func (b *Book) Reset(digest model.Digest) []model.Digest {
	var chains []string
	var freed []model.Digest
	for i := range b.Leases {
		l := &b.Leases[i]
		if l.draining() && (l.Digest == digest || digest == "" && l.State == Stuck) {
			chains = append(chains, l.Chain)
			freed = append(freed, l.Digest)
		}
	}
	for _, chain := range chains {
		b.freeLease(chain)
	}
	return slices.Compact(freed)
}
