package pool_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// randomRuns is how many chains of runs are judged; each is several runs of the real workflow.
const randomRuns = 300

// crowd is scans and hubs around a chain of pool runs. Its agenda outlives each run, as the server's queues do.
type crowd struct {
	rand   *rand.Rand
	env    *poolEnv
	agenda []*appointment
	scans  []*playedScan
	works  []*playedWork
	limits map[string]int
	broken string
	// idle is since when no scan has wanted anything.
	idle time.Time
}

// appointment is something that will happen, in whatever run the pool is then.
type appointment struct {
	at   time.Time
	do   func()
	done bool
}

// playedScan is a ScanImage: one chain.
type playedScan struct {
	n       int
	chain   string
	waiting bool
	closed  bool
	newest  model.AttemptID
	grant   *workflows.Grant
}

// playedWork is what a hub is busy with.
type playedWork struct {
	hub, name string
	accepted  time.Time
	done      time.Time
}

func (c *crowd) chance(n int) bool { return c.rand.IntN(n) == 0 }

func (c *crowd) seconds(low, high int) time.Duration {
	return time.Duration(1000*low+c.rand.IntN(1000*(high-low))) * time.Millisecond
}

// later makes an appointment.
func (c *crowd) later(after time.Duration, do func()) {
	a := &appointment{at: c.env.Now().Add(after), do: do}
	c.agenda = append(c.agenda, a)
	c.register(a)
}

func (c *crowd) register(a *appointment) {
	c.env.at(max(a.at.Sub(c.env.Now()), 0), func() {
		if !a.done {
			a.done = true
			c.env.locked(a.do)
		}
	})
}

// signal sends to the pool; now and then it is lost or comes twice.
func (c *crowd) signal(name string, value any, surely bool) {
	if !surely && c.chance(20) {
		return
	}
	for range 1 + c.rand.IntN(20)/19 {
		c.later(c.seconds(0, 1)/4, func() { c.env.SignalWorkflow(name, value) })
	}
}

// start lets a new chain of the n-th image ask for a lease.
func (c *crowd) start(n int) {
	s := &playedScan{n: n, chain: fmt.Sprintf("chain-%d", len(c.scans)), waiting: true}
	c.scans = append(c.scans, s)
	c.env.open[holderOf(n)] = s.chain
	c.repeat(s)
	if c.chance(4) {
		c.later(c.seconds(0, 60), func() { c.kill(s) })
	}
}

// repeat says what the scan wants or holds, again and again.
func (c *crowd) repeat(s *playedScan) {
	if s.closed || !s.waiting && s.grant == nil {
		return
	}
	a := workflows.Acquire{Holder: holderOf(s.n), Chain: s.chain, Digest: poolDigest(s.n), Priority: workflows.PriorityPod, Held: s.grant}
	c.signal(workflows.SignalAcquire.Name, a, false)
	c.later(30*time.Second, func() { c.repeat(s) })
}

// kill terminates a scan; what it uploads goes on. The image is started again.
func (c *crowd) kill(s *playedScan) {
	if s.closed || !s.waiting && s.grant == nil {
		return
	}
	s.closed = true
	delete(c.env.open, holderOf(s.n))
	c.later(c.seconds(1, 20), func() { c.start(s.n) })
}

// takeGrant plays the scan that gets a grant.
func (c *crowd) takeGrant(to string, g workflows.Grant) {
	var s *playedScan
	for _, each := range c.scans {
		if each.chain == g.Chain && holderOf(each.n) == to {
			s = each
		}
	}
	switch {
	case s == nil || s.closed || g.WaitFor:
	case s.waiting && s.newest.Less(g.Attempt):
		s.waiting, s.grant, s.newest = false, &g, g.Attempt
		if s.n%2 == 0 {
			// One of an earlier build, which does not know that it is known to have it.
			c.signal(workflows.SignalConfirm.Name, workflows.Confirm{Chain: g.Chain, Attempt: g.Attempt}, false)
		}
		c.upload(s)
	case s.grant != nil && s.grant.Attempt == g.Attempt:
		c.signal(workflows.SignalConfirm.Name, workflows.Confirm{Chain: g.Chain, Attempt: g.Attempt}, false)
	case s.grant == nil:
		c.giveBack(s, g)
	}
}

func (c *crowd) giveBack(s *playedScan, g workflows.Grant) {
	c.signal(workflows.SignalRelease.Name, workflows.Release{
		Chain: s.chain, Attempt: g.Attempt, Hub: g.Hub, Holder: holderOf(s.n), Digest: poolDigest(s.n),
	}, true)
}

// upload makes the hub busy. An upload ends within the time a lost host may look alive.
func (c *crowd) upload(s *playedScan) {
	grant := *s.grant
	accepted := c.env.Now().Add(c.seconds(0, 15))
	w := &playedWork{hub: grant.Hub, name: poolDigest(s.n).Hex(), accepted: accepted, done: accepted.Add(c.seconds(1, 40))}
	c.works = append(c.works, w)
	c.judge()
	c.later(w.done.Sub(c.env.Now()), func() {
		if s.closed {
			return
		}
		s.grant = nil
		c.giveBack(s, grant)
		c.later(2*time.Second, func() {
			s.closed = true
			delete(c.env.open, holderOf(s.n))
		})
	})
}

// judge counts what every hub is busy with.
func (c *crowd) judge() {
	now := c.env.Now()
	for hub, limit := range c.limits {
		busy := 0
		for _, w := range c.works {
			if w.hub == hub && now.Before(w.done) {
				busy++
			}
		}
		if busy > limit {
			c.broken = fmt.Sprintf("%s is busy with %d scans, its limit is %d", hub, busy, limit)
		}
	}
}

// find is what a hub says of a name: of the newest scan it has accepted.
func (c *crowd) find(hub, name string) model.HubScan {
	scan := model.HubScan{Hub: hub, Name: name, State: model.HubScanAbsent}
	now := c.env.Now()
	for _, w := range c.works {
		if w.hub != hub || w.name != name || w.accepted.After(now) {
			continue
		}
		scan.State, scan.StartedAt = model.HubScanInProgress, w.accepted
		if !now.Before(w.done) {
			scan.State = model.HubScanComplete
		}
	}
	return scan
}

// settled reports whether all scans have been idle for four minutes: the time in which the last drain must end.
func (c *crowd) settled() bool {
	for _, s := range c.scans {
		if !s.closed {
			c.idle = time.Time{}
			return false
		}
	}
	if len(c.env.open) > 0 || c.idle.IsZero() {
		c.idle = c.env.Now()
		return false
	}
	return c.env.Now().Sub(c.idle) > 4*time.Minute
}

// play is one run of the pool, until it is to continue as new.
func (c *crowd) play(t *testing.T, in workflows.HubPoolInput, from time.Time) (workflows.HubPoolInput, time.Time) {
	e := newPoolEnv(t)
	e.SetStartTime(from)
	if c.env != nil {
		e.open = c.env.open
	}
	c.env = e
	e.find = c.find
	e.react = func(o outgoing) error {
		e.mu.Lock()
		defer e.mu.Unlock()
		if _, open := e.open[o.to]; !open {
			return &temporal.UnknownExternalWorkflowExecutionError{}
		}
		if g, ok := o.value.(workflows.Grant); ok && !c.chance(20) {
			c.later(0, func() { c.takeGrant(o.to, g) })
		}
		return nil
	}
	for _, a := range c.agenda {
		c.register(a)
	}
	next := e.run(in, c.seconds(20, 300))
	var open []*appointment
	for _, a := range c.agenda {
		if !a.done {
			open = append(open, a)
		}
	}
	c.agenda = open
	return next, e.Now()
}

func TestHubPoolHoldsItsLimitsInRandomRuns(t *testing.T) {
	t.Parallel()
	for seed := range uint64(randomRuns) {
		c := &crowd{rand: rand.New(rand.NewPCG(seed, 11)), limits: map[string]int{}}
		in := workflows.HubPoolInput{Fresh: true}
		for i := range 1 + c.rand.IntN(2) {
			name, limit := fmt.Sprintf("hub-%c", 'a'+i), 1+c.rand.IntN(3)
			c.limits[name] = limit
			in.Hubs = append(in.Hubs, workflows.HubConfig{Name: name, Limit: limit})
		}
		for n := range 4 + c.rand.IntN(8) {
			c.agenda = append(c.agenda, &appointment{at: poolStart.Add(c.seconds(0, 40)), do: func() { c.start(n) }})
		}
		now := poolStart
		for runs := 0; runs == 0 || !c.settled(); runs++ {
			require.Less(t, now.Sub(poolStart), 3*time.Hour, "seed %d: a scan waits for ever", seed)
			in, now = c.play(t, in, now)
			require.Empty(t, c.broken, "seed %d", seed)
		}
		require.Empty(t, in.State.Value.Book.Leases, "seed %d: leaked", seed)
		require.Empty(t, in.State.Value.Book.Waiters, "seed %d: leaked", seed)
	}
}
