package lease

import (
	"fmt"
	"time"

	"github.com/perceptor/perceptor/model"
)

// chain is one scan: it asks for a lease, uploads, waits for the hub, gives the lease back, and ends.
type chain struct {
	id, holder string
	digest     model.Digest
	hubs       []string
	priority   int
	// waiting and grant are what it wants and has; work is its upload.
	waiting bool
	grant   *Grant
	work    *work
	// newest is the newest attempt it has had: an older one that arrives late is not taken again.
	newest model.AttemptID
	// unknown is set when it gave its lease back without knowing whether the hub is done.
	unknown bool
	// leaving counts the releases under way: a scan ends only when they have arrived.
	leaving int
	repeat  time.Time
	closed  bool
}

func (w *world) newChain(n, urgency int) {
	c := &chain{
		id: fmt.Sprintf("c%d", len(w.chains)), digest: model.Digest(fmt.Sprintf("sha256:%064d", n)),
		holder: fmt.Sprintf("scan/%d", n), priority: urgency, waiting: true,
	}
	if w.chance(4) {
		c.hubs = []string{w.hubs[w.rand.IntN(len(w.hubs))].Name}
	}
	w.chains = append(w.chains, c)
	w.note("%s wants %s, priority %d, hubs %v", c.id, c.holder, c.priority, c.hubs)
	c.ask(w)
}

// open reports whether a scan of that image is open; the server allows one at a time.
func (w *world) open(holder string) bool {
	for _, c := range w.chains {
		if c.holder == holder && !c.closed {
			return true
		}
	}
	return false
}

func (c *chain) request() Request {
	return Request{Chain: c.id, Holder: c.holder, Digest: c.digest, Hubs: c.hubs, Priority: c.priority}
}

func (c *chain) ask(w *world) {
	r := c.request()
	c.repeat = w.now.Add(30 * time.Second)
	w.send("acquire "+c.id, func(b *Book, now time.Time) { b.Acquire(r, now) })
}

// announce says what the chain has, if it has anything.
func (c *chain) announce(w *world) {
	switch {
	case c.grant != nil:
		r := c.request()
		r.Held = &Announced{Hub: c.grant.Hub, Attempt: c.grant.Attempt}
		c.repeat = w.now.Add(30 * time.Second)
		w.confirmed[Freed{Chain: c.id, Attempt: r.Held.Attempt}] = true
		w.send("announce "+c.id, func(b *Book, now time.Time) { b.Acquire(r, now) })
	case c.waiting:
		c.ask(w)
	default:
		w.send("nothing "+c.id, func(b *Book, now time.Time) { b.Release(Returned{Chain: c.id}, now) })
	}
}

// receiveGrant receives a grant: the first one it waits for, a newer attempt of the one it has, or one it no longer wants.
func (c *chain) receiveGrant(w *world, g Grant) {
	switch {
	case c.closed:
		if w.chance(2) {
			w.book.Suspect(c.id)
		}
	case g.WaitFor:
	case c.waiting && c.newest.Less(g.Attempt), c.grant != nil && !g.Attempt.Less(c.grant.Attempt):
		c.waiting, c.grant, c.newest = false, &g, g.Attempt
		w.confirmed[Freed{Chain: c.id, Attempt: g.Attempt}] = true
		w.send("confirm "+c.id, func(b *Book, now time.Time) { b.Confirm(c.id, g.Attempt, now) })
	case c.grant == nil:
		// It has left the queue meanwhile, or given the lease back; what it said then it says again.
		c.giveBack(w, g, c.unknown)
	}
}

// giveBack gives a lease back. A scan awaits the delivery, so this message is never lost while there is a pool.
func (c *chain) giveBack(w *world, g Grant, unfinished bool) {
	r := Returned{Chain: c.id, Holder: c.holder, Digest: c.digest, Hub: g.Hub, Attempt: g.Attempt, Unfinished: unfinished}
	c.leaving++
	arrived := false
	w.post("release "+c.id, func(b *Book, now time.Time) {
		if !arrived {
			c.leaving--
		}
		arrived = true
		b.Release(r, now)
	})
}

// act is the next step of the scan, if it is its time.
func (c *chain) act(w *world) {
	switch {
	case c.closed:
	case c.grant == nil && !c.waiting:
		c.closed = c.leaving == 0 && w.chance(4)
	case w.now.After(c.repeat):
		c.announce(w)
	case c.grant == nil:
		if w.chance(60) && c.priority > 0 {
			c.priority--
			c.ask(w)
		}
	case c.work == nil:
		c.upload(w)
	case c.work.refused && !w.now.Before(c.work.accepted):
		// Surely not accepted: the lease goes back and another is wanted.
		w.note("%s is refused", c.id)
		c.giveBack(w, *c.grant, false)
		c.work, c.grant, c.waiting = nil, nil, true
		c.ask(w)
	case !w.now.Before(c.work.done):
		w.note("%s is done", c.id)
		c.giveBack(w, *c.grant, false)
		c.grant = nil
	case w.chance(40):
		// Its host was lost: it cannot know whether the upload goes on.
		w.note("%s gives up", c.id)
		c.giveBack(w, *c.grant, true)
		c.grant, c.unknown = nil, true
	case w.chance(40):
		r := c.request()
		r.Held = &Announced{Hub: c.grant.Hub, Attempt: c.grant.Attempt}
		w.send("announce "+c.id, func(b *Book, now time.Time) { b.Acquire(r, now) })
	}
}

// upload starts the upload: it ends within the time a dead host may look alive, and the hub shows it within its settle time.
func (c *chain) upload(w *world) {
	if !w.chance(3) {
		return
	}
	settle := time.Duration(0)
	for _, h := range w.hubs {
		if h.Name == c.grant.Hub {
			settle = h.Settle
		}
	}
	longest, slowest := 15_000, 90_000
	if w.stormy {
		longest, slowest = 100, 100
	}
	accepted := w.now.Add(time.Duration(w.rand.IntN(longest)) * time.Millisecond)
	visible := accepted
	if settle > 0 {
		visible = accepted.Add(time.Duration(w.rand.Int64N(int64(settle))))
	}
	c.work = &work{
		chain: c.id, hub: c.grant.Hub, digest: c.digest, accepted: accepted, visible: visible, refused: w.chance(6),
		done: visible.Add(time.Duration(w.rand.IntN(slowest)) * time.Millisecond),
	}
	w.note("%s uploads to %s until %s, done %s, refused %t", c.id, c.grant.Hub, accepted.Format("05.000"), c.work.done.Format("04:05.000"), c.work.refused)
	w.works = append(w.works, c.work)
}
