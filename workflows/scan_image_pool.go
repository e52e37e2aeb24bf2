package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// poolLink is a scan's side of the talk with HubPool. Requests are repeated until they are answered, and a lease held
// is announced now and then, so that a pool which lost its state learns of it.
type poolLink struct {
	scan *scanImage
	// wanted is set while the scan waits for a grant; granted is the newest answer not yet taken.
	wanted  bool
	granted *Grant
	// asked is when the scan began to want a lease, for the rhythm of repetitions.
	asked time.Time
	// opened counts the times each hub was said to answer again.
	opened map[string]int
	// gaveUp is set once the lease was given up although the hub may not be done.
	gaveUp bool
	// sending counts signals that have not arrived yet.
	sending int
	// changed wakes the listener when there is something new to repeat, or nothing more.
	changed workflow.Channel
	// timer fires at timerAt, to repeat what there is to repeat then.
	timer   workflow.Future
	timerAt time.Time
	stop    workflow.CancelFunc
}

func newPoolLink(ctx workflow.Context, s *scanImage) *poolLink {
	p := &poolLink{scan: s, opened: map[string]int{}, asked: workflow.Now(ctx), changed: workflow.NewBufferedChannel(ctx, 1)}
	// What the pool says must also be heard while the scan cleans up after a cancellation.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	workflow.Go(ctx, p.listen)
	if s.in.State != nil && (s.in.State.Step != StepLease || s.in.State.Lease != nil) {
		// A request to announce may have been the last thing the run before received.
		p.announce(ctx)
	}
	return p
}

// listen takes the pool's signals and repeats what the scan wants or holds.
func (p *poolLink) listen(ctx workflow.Context) {
	grants, opens, announces := SignalGrant.Channel(ctx), SignalHubAvailable.Channel(ctx), SignalAnnounce.Channel(ctx)
	for {
		p.setTimer(ctx)
		selector := workflow.NewSelector(ctx)
		selector.AddReceive(grants, func(c workflow.ReceiveChannel, _ bool) { receive(ctx, c, func(g Grant) { p.take(ctx, g) }) })
		selector.AddReceive(opens, func(c workflow.ReceiveChannel, _ bool) { receive(ctx, c, func(o HubAvailable) { p.opened[o.Hub]++ }) })
		selector.AddReceive(announces, func(c workflow.ReceiveChannel, _ bool) { receive(ctx, c, func(Announce) { p.announce(ctx) }) })
		selector.AddReceive(SignalUnwanted.Channel(ctx), func(c workflow.ReceiveChannel, _ bool) { receive(ctx, c, func(Unwanted) { p.scan.unwanted() }) })
		selector.AddReceive(SignalPrioritize.Channel(ctx), func(c workflow.ReceiveChannel, _ bool) {
			receive(ctx, c, func(r Prioritize) { p.scan.prioritize(ctx, r) })
		})
		selector.AddReceive(p.changed, func(c workflow.ReceiveChannel, _ bool) { c.Receive(ctx, nil) })
		if p.timer != nil {
			selector.AddFuture(p.timer, func(workflow.Future) {
				p.timer = nil
				if p.speaks() {
					p.announce(ctx)
				}
			})
		}
		selector.Select(ctx)
	}
}

func receive[T any](ctx workflow.Context, c workflow.ReceiveChannel, take func(T)) {
	var value T
	c.Receive(ctx, &value)
	take(value)
}

// speaks reports whether there is something to repeat.
func (p *poolLink) speaks() bool { return p.wanted || p.held() != nil }

// setTimer makes sure that a timer fires when it is time to repeat. One that fires earlier, or that nothing needs any
// more, is left alone: to cancel it costs an event, and most scans are over before it fires.
func (p *poolLink) setTimer(ctx workflow.Context) {
	if !p.speaks() {
		return
	}
	every := announceSlowly
	if workflow.Now(ctx).Sub(p.asked) < announceOften {
		every = announceEvery
	}
	next := workflow.Now(ctx).Add(every)
	if p.timer != nil && !p.timerAt.After(next) {
		return
	}
	if p.timer != nil {
		p.stop()
	}
	var timerContext workflow.Context
	timerContext, p.stop = workflow.WithCancel(ctx)
	p.timerAt = next
	p.timer = workflow.NewTimerWithOptions(timerContext, every, workflow.TimerOptions{Summary: "repeat to the pool"})
}

func (p *poolLink) wake() { p.changed.SendAsync(struct{}{}) }

// take handles one grant: new, repeated or late. A repeated one is confirmed, for the pool does not know that it arrived. Only a
// grant newer than every one before is a lease; an older one that arrives again was given back, and the pool has not heard so yet.
func (p *poolLink) take(ctx workflow.Context, g Grant) {
	state := p.scan.state
	switch {
	case g.Chain != state.Chain:
		// Meant for an earlier scan under this workflow id; the pool finds out by itself that it has ended.
	case g.WaitFor:
		if p.wanted {
			p.granted = &g
		}
	case p.holds(g):
		p.confirm(ctx, g)
	case p.wanted && state.Newest.Less(g.Attempt):
		p.wanted, p.granted, state.Newest = false, &g, g.Attempt
		if !p.scan.in.Told {
			p.confirm(ctx, g)
		}
	case !p.wanted && p.granted == nil && state.Lease == nil:
		p.sendRelease(ctx, &g, p.gaveUp && !state.Newest.Less(g.Attempt))
	}
}

// holds reports whether a grant is the one the scan works under, or is about to.
func (p *poolLink) holds(g Grant) bool {
	for _, held := range []*Grant{p.scan.state.Lease, p.granted} {
		if held != nil && held.Attempt == g.Attempt && !held.WaitFor {
			return true
		}
	}
	return false
}

// acquire asks for a lease and waits for an answer: a lease, or the hub that is at this image already.
func (p *poolLink) acquire(ctx workflow.Context) (Grant, error) {
	// The lease may have come while the scan looked at a hub that was at its image already.
	if !p.wanted && p.granted == nil {
		p.wanted, p.granted, p.asked = true, nil, workflow.Now(ctx)
		p.announce(ctx)
		p.wake()
	}
	if err := workflow.Await(ctx, func() bool { return p.granted != nil }); err != nil {
		return Grant{}, err
	}
	grant := *p.granted
	p.granted = nil
	return grant, nil
}

// announce tells the pool what the scan wants or holds, and that it does neither: a pool that lost its state waits for
// every open scan to say so.
func (p *poolLink) announce(ctx workflow.Context) {
	state := p.scan.state
	if !p.wanted && state.Lease == nil {
		if p.granted == nil {
			p.sendRelease(ctx, nil, p.gaveUp)
		}
		return
	}
	ask := Acquire{
		Holder: workflow.GetInfo(ctx).WorkflowExecution.ID, Chain: state.Chain, Digest: p.scan.in.Digest,
		Scan: p.scan.in.HubNames.Scan, Priority: p.scan.in.Priority, Held: state.Lease,
	}
	if state.Bound != "" {
		ask.Hubs = []string{state.Bound}
	}
	sendToPool(ctx, p, SignalAcquire, ask)
}

func (p *poolLink) confirm(ctx workflow.Context, g Grant) {
	sendToPool(ctx, p, SignalConfirm, Confirm{Chain: g.Chain, Attempt: g.Attempt})
}

// release gives back the lease of a hub that is surely done, or the place among those who wait for one.
func (p *poolLink) release(ctx workflow.Context) {
	if p.wanted || p.granted != nil || p.scan.state.Lease != nil {
		p.sendRelease(ctx, p.held(), false)
	}
}

// held is the grant the scan has, taken up or not; nil while it only waits.
func (p *poolLink) held() *Grant {
	if p.scan.state.Lease != nil {
		return p.scan.state.Lease
	}
	return p.granted
}

// giveUp is release for a scan that ends early: while it uploads or waits nobody knows whether the hub is done, so the
// pool keeps the lease out until it has found out.
func (p *poolLink) giveUp(ctx workflow.Context) {
	step := p.scan.state.Step
	if p.scan.state.Lease != nil && (step == StepUpload || step == StepAwait) {
		p.gaveUp = true
		p.sendRelease(ctx, p.held(), true)
		return
	}
	p.release(ctx)
}

func (p *poolLink) sendRelease(ctx workflow.Context, held *Grant, unfinished bool) {
	r := Release{
		Chain: p.scan.state.Chain, Holder: workflow.GetInfo(ctx).WorkflowExecution.ID, Digest: p.scan.in.Digest,
		Scan: p.scan.in.HubNames.Scan, Unfinished: unfinished,
	}
	if held != nil {
		r.Hub, r.Attempt = held.Hub, held.Attempt
	}
	p.wanted, p.granted, p.scan.state.Lease = false, nil, nil
	sendToPool(ctx, p, SignalRelease, r)
	p.wake()
}

// failed tells the pool of a hub's failure.
func (p *poolLink) failed(ctx workflow.Context, hub string, trouble *activities.HubTrouble, waiting bool) {
	state := p.scan.state
	if state.Troubled == nil {
		state.Troubled = map[string]bool{}
	}
	state.Troubled[hub] = true
	sendToPool(ctx, p, SignalHubReport, HubReport{
		Holder: workflow.GetInfo(ctx).WorkflowExecution.ID, Hub: hub, Class: trouble.Class,
		Reason: trouble.Reason, RetryAfter: trouble.RetryAfter, Waiting: waiting,
	})
}

// succeeded tells the pool of the first success after a failure, and of no other.
func (p *poolLink) succeeded(ctx workflow.Context, hub string) {
	if p.scan.state.Troubled[hub] {
		delete(p.scan.state.Troubled, hub)
		sendToPool(ctx, p, SignalHubReport, HubReport{Holder: workflow.GetInfo(ctx).WorkflowExecution.ID, Hub: hub})
	}
}

// waitOut reports a failure and waits until the pool says that the hub answers again. A failure that waiting cannot
// help is returned. A pool that says nothing is not waited for: the hub is then asked again after a while.
func (p *poolLink) waitOut(ctx workflow.Context, hub string, trouble *activities.HubTrouble) error {
	if !helpedByWaiting(trouble.Class) {
		return temporal.NewNonRetryableApplicationError(trouble.Reason, string(trouble.Class), nil)
	}
	before := p.opened[hub]
	p.failed(ctx, hub, trouble, true)
	p.scan.state.Waiting = "hub " + hub + " to answer again: " + trouble.Reason
	p.scan.updateDetails(ctx)
	_, err := workflow.AwaitWithTimeout(ctx, max(announceSlowly, trouble.RetryAfter), func() bool { return p.opened[hub] > before })
	p.scan.state.Waiting = ""
	return err
}

// helpedByWaiting reports whether a hub may be asked again after a failure: wrong credentials count, because an
// operator mends them at the hub and every scan would fail until then.
func helpedByWaiting(class model.FailureClass) bool {
	return class.Temporary() || class == model.Unauthorized
}

// settle waits until every signal has been sent.
func (p *poolLink) settle(ctx workflow.Context) error {
	return workflow.Await(ctx, func() bool { return p.sending == 0 })
}

// drain takes the signals that have arrived but not been read, before the next run, and the lease that has come since.
func (p *poolLink) receivePending(ctx workflow.Context) {
	if p.granted != nil && !p.granted.WaitFor {
		p.scan.state.Lease, p.granted = p.granted, nil
	}
	SignalGrant.ReceivePending(ctx, func(g Grant) {
		if g.Chain == p.scan.state.Chain && !g.WaitFor && p.wanted && p.scan.state.Newest.Less(g.Attempt) {
			p.wanted, p.scan.state.Lease, p.scan.state.Newest = false, &g, g.Attempt
		}
	})
	SignalHubAvailable.ReceivePending(ctx, func(HubAvailable) {})
	SignalAnnounce.ReceivePending(ctx, func(Announce) {})
	SignalUnwanted.ReceivePending(ctx, func(Unwanted) {})
	SignalPrioritize.ReceivePending(ctx, func(r Prioritize) { p.scan.setPriority(r) })
}

// sendToPool tells the pool something in the background, until it has arrived.
func sendToPool[T any](ctx workflow.Context, p *poolLink, s Signal[T], value T) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	p.sending++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { p.sending-- }()
		step := localStep(ctx, s.Name)
		for {
			err := workflow.ExecuteLocalActivity(step, scanSteps.SignalPool, activities.SignalPoolInput{Name: s.Name, Value: value}).Get(ctx, nil)
			if err == nil || workflow.Sleep(ctx, announceEvery) != nil {
				return
			}
			p.scan.logger.Warn("pool signal", "signal", s.Name, "error", err)
		}
	})
}
