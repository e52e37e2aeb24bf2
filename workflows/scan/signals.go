package scan

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

const (
	// announceEvery and announceSlowly are how often a scan repeats what it wants of the pool: often at first, when a
	// lost signal costs most, then seldom, because every repetition stays in the history.
	announceEvery  = 30 * time.Second
	announceSlowly = 5 * time.Minute
	// announceOften is how long the quick rhythm lasts.
	announceOften = 2 * time.Minute
)

// poolLink is a scan's side of the talk with HubPool. Requests are repeated until they are answered, and a lease held
// is announced now and then, so that a pool which lost its state learns of it.
type poolLink struct {
	scan  *scanImage
	inbox workflows.Inbox
	// wanted is set while the scan waits for a grant; granted is the newest answer not yet taken.
	wanted  bool
	granted *workflows.Grant
	// asked is when the scan began to want a lease, for the rhythm of repetitions.
	asked time.Time
	// available counts, per hub, how often the pool said that the hub answers again.
	available map[string]int
	// gaveUp is set once the lease was given up although the hub may not be done.
	gaveUp bool
	// ending is set while the run ends: what arrives then only changes the state that the next run begins with.
	ending bool
	// sending counts signals that have not arrived yet.
	sending int
	// changed wakes the listener when there is something new to repeat, or nothing more.
	changed workflow.Channel
	// alarm goes off when it is time to repeat.
	alarm workflows.Alarm
}

func newPoolLink(ctx workflow.Context, s *scanImage) *poolLink {
	p := &poolLink{scan: s, available: map[string]int{}, asked: workflow.Now(ctx), changed: workflow.NewBufferedChannel(ctx, 1)}
	p.openInbox()
	// What the pool says must also be heard while the scan cleans up after a cancellation.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	workflow.Go(ctx, p.listen)
	if s.in.State != nil && (s.in.State.Step != workflows.StepLease || s.in.State.Lease != nil) {
		// A request to announce may have been the last thing the run before received.
		p.announce(ctx)
	}
	return p
}

// openInbox says what is done with each signal.
func (p *poolLink) openInbox() {
	p.inbox.Rejected = &p.scan.state.Rejected
	workflows.Receive(&p.inbox, workflows.SignalGrant, func(ctx workflow.Context, g workflows.Grant) error {
		p.receiveGrant(ctx, g)
		return nil
	})
	workflows.Receive(&p.inbox, workflows.SignalHubAvailable, func(_ workflow.Context, h workflows.HubAvailable) error {
		if _, waits := p.available[h.Hub]; waits {
			p.available[h.Hub]++
		}
		return nil
	})
	workflows.Receive(&p.inbox, workflows.SignalAnnounce, func(ctx workflow.Context, _ workflows.Announce) error {
		// While the run ends nothing is sent any longer: the next run announces first of all.
		if !p.ending {
			p.announce(ctx)
		}
		return nil
	})
	workflows.Receive(&p.inbox, workflows.SignalUnwanted, func(workflow.Context, workflows.Unwanted) error {
		if !p.ending {
			p.scan.unwanted()
		}
		return nil
	})
	workflows.Receive(&p.inbox, workflows.SignalPrioritize, func(ctx workflow.Context, r workflows.Prioritize) error {
		if p.ending {
			p.scan.setPriority(r)
			return nil
		}
		p.scan.prioritize(ctx, r)
		return nil
	})
}

// listen takes the pool's signals and repeats what the scan wants or holds.
func (p *poolLink) listen(ctx workflow.Context) {
	for {
		p.setAlarm(ctx)
		selector := workflow.NewSelector(ctx)
		p.inbox.Listen(ctx, selector)
		selector.AddReceive(p.changed, func(c workflow.ReceiveChannel, _ bool) { c.Receive(ctx, nil) })
		p.alarm.Listen(selector, func() {
			if p.speaks() {
				p.announce(ctx)
			}
		})
		selector.Select(ctx)
	}
}

// speaks reports whether there is something to repeat.
func (p *poolLink) speaks() bool { return p.wanted || p.held() != nil }

// setAlarm makes sure that the scan repeats in time what it wants or holds. An alarm that nothing needs any longer is left alone:
// to cancel it costs an event, and most scans are over before it goes off.
func (p *poolLink) setAlarm(ctx workflow.Context) {
	if !p.speaks() {
		return
	}
	every := announceSlowly
	if workflow.Now(ctx).Sub(p.asked) < announceOften {
		every = announceEvery
	}
	p.alarm.Set(ctx, workflow.Now(ctx).Add(every), "repeat the request to the pool")
}

func (p *poolLink) wake() { p.changed.SendAsync(struct{}{}) }

// receiveGrant handles one grant: new, repeated or late. A repeated one is confirmed, for the pool does not know that it arrived. Only a
// grant newer than every one before is a lease; an older one that arrives again was given back, and the pool has not heard so yet.
func (p *poolLink) receiveGrant(ctx workflow.Context, g workflows.Grant) {
	state := p.scan.state
	switch {
	case p.ending:
		if g.Chain == state.Chain && !g.WaitFor && p.wanted && state.Newest.Less(g.Attempt) {
			p.wanted, state.Lease, state.Newest = false, &g, g.Attempt
		}
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
	case !p.wanted && p.granted == nil && state.Lease == nil:
		p.sendRelease(ctx, &g, p.gaveUp && !state.Newest.Less(g.Attempt))
	}
}

// holds reports whether a grant is the one the scan works under, or is about to.
func (p *poolLink) holds(g workflows.Grant) bool {
	for _, held := range []*workflows.Grant{p.scan.state.Lease, p.granted} {
		if held != nil && held.Attempt == g.Attempt && !held.WaitFor {
			return true
		}
	}
	return false
}

// acquire asks for a lease and waits for an answer: a lease, or the hub that scans this image already.
func (p *poolLink) acquire(ctx workflow.Context) (workflows.Grant, error) {
	// The lease may have come while the scan looked at a hub that scanned its image already.
	if !p.wanted && p.granted == nil {
		p.wanted, p.granted, p.asked = true, nil, workflow.Now(ctx)
		p.announce(ctx)
		p.wake()
	}
	if err := workflow.Await(ctx, func() bool { return p.granted != nil }); err != nil {
		return workflows.Grant{}, err
	}
	grant := *p.granted
	p.granted = nil
	return grant, nil
}

// announce sends the pool what the scan wants or holds, or that it does neither: a pool that lost its state waits for
// every open scan to say so.
func (p *poolLink) announce(ctx workflow.Context) {
	state := p.scan.state
	if !p.wanted && state.Lease == nil {
		if p.granted == nil {
			p.sendRelease(ctx, nil, p.gaveUp)
		}
		return
	}
	ask := workflows.Acquire{
		Holder: workflow.GetInfo(ctx).WorkflowExecution.ID, Chain: state.Chain, Digest: p.scan.in.Digest,
		Scan: p.scan.in.HubNames.Scan, Priority: p.scan.in.Priority, Held: state.Lease,
	}
	switch {
	case state.Bound != "":
		ask.Hubs = []string{state.Bound}
	case state.External != nil:
		ask.Hubs = state.External.Hubs
	}
	sendToPool(ctx, p, workflows.SignalAcquire, ask)
}

func (p *poolLink) confirm(ctx workflow.Context, g workflows.Grant) {
	sendToPool(ctx, p, workflows.SignalConfirm, workflows.Confirm{Chain: g.Chain, Attempt: g.Attempt})
}

// release gives back the lease of a hub that is surely done, or leaves the queue of waiters.
func (p *poolLink) release(ctx workflow.Context) {
	if p.wanted || p.granted != nil || p.scan.state.Lease != nil {
		p.sendRelease(ctx, p.held(), false)
	}
}

// held is the grant the scan has, taken up or not; nil while it only waits.
func (p *poolLink) held() *workflows.Grant {
	if p.scan.state.Lease != nil {
		return p.scan.state.Lease
	}
	return p.granted
}

// giveUp is release for a scan that ends early: while it uploads or waits it is not known whether the hub is done.
// So the pool keeps the lease out until it has found out.
func (p *poolLink) giveUp(ctx workflow.Context) {
	step := p.scan.state.Step
	if p.scan.state.Lease != nil && (step == workflows.StepUpload || step == workflows.StepExternal || step == workflows.StepAwait) {
		p.gaveUp = true
		p.sendRelease(ctx, p.held(), true)
		return
	}
	p.release(ctx)
}

func (p *poolLink) sendRelease(ctx workflow.Context, held *workflows.Grant, unfinished bool) {
	r := p.releaseOf(ctx, held)
	r.Unfinished = unfinished
	p.released()
	sendToPool(ctx, p, workflows.SignalRelease, r)
}

// releaseOf is the message that gives a grant back, or what the scan wants where there is none.
func (p *poolLink) releaseOf(ctx workflow.Context, held *workflows.Grant) workflows.Release {
	r := workflows.Release{
		Chain: p.scan.state.Chain, Holder: workflow.GetInfo(ctx).WorkflowExecution.ID, Digest: p.scan.in.Digest, Scan: p.scan.in.HubNames.Scan,
	}
	if held != nil {
		r.Hub, r.Attempt = held.Hub, held.Attempt
	}
	return r
}

// handOver is the release that a step is to send for the scan; nil when there is no lease. Until the step has said that it did, the
// scan holds the lease.
func (p *poolLink) handOver(ctx workflow.Context) *activities.SignalPoolInput {
	if p.scan.state.Lease == nil {
		return nil
	}
	return &activities.SignalPoolInput{Name: workflows.SignalRelease.Name, Value: p.releaseOf(ctx, p.scan.state.Lease)}
}

// released notes that the scan holds and wants nothing.
func (p *poolLink) released() {
	p.wanted, p.granted, p.scan.state.Lease = false, nil, nil
	p.wake()
}

// reportFailure reports a hub's failure to the pool.
func (p *poolLink) reportFailure(ctx workflow.Context, hub string, trouble *activities.HubTrouble, waiting bool) {
	state := p.scan.state
	if state.Troubled == nil {
		state.Troubled = map[string]bool{}
	}
	state.Troubled[hub] = true
	sendToPool(ctx, p, workflows.SignalHubReport, workflows.HubReport{
		Holder: workflow.GetInfo(ctx).WorkflowExecution.ID, Hub: hub, Class: trouble.Class,
		Reason: trouble.Reason, RetryAfter: trouble.RetryAfter, Waiting: waiting,
	})
}

// reportSuccess reports to the pool the first success after a failure, and no other.
func (p *poolLink) reportSuccess(ctx workflow.Context, hub string) {
	if p.scan.state.Troubled[hub] {
		delete(p.scan.state.Troubled, hub)
		sendToPool(ctx, p, workflows.SignalHubReport, workflows.HubReport{Holder: workflow.GetInfo(ctx).WorkflowExecution.ID, Hub: hub})
	}
}

// waitUntilAvailable reports a failure and waits until the pool says that the hub answers again. A failure that waiting cannot
// help is returned. A pool that says nothing is not waited for: the hub is then asked again after a while.
func (p *poolLink) waitUntilAvailable(ctx workflow.Context, hub string, trouble *activities.HubTrouble) error {
	if !helpedByWaiting(trouble.Class) {
		return temporal.NewNonRetryableApplicationError(trouble.Reason, string(trouble.Class), nil)
	}
	before := p.available[hub]
	p.available[hub] = before // only hubs that were waited for are counted
	p.reportFailure(ctx, hub, trouble, true)
	p.scan.state.Waiting = "hub " + hub + " to answer again: " + trouble.Reason
	p.scan.updateDetails(ctx)
	_, err := workflow.AwaitWithTimeout(ctx, max(announceSlowly, trouble.RetryAfter), func() bool { return p.available[hub] > before })
	p.scan.state.Waiting = ""
	return err
}

// helpedByWaiting reports whether a hub may be asked again after a failure: wrong credentials count, because an
// operator fixes them at the hub and every scan would fail until then.
func helpedByWaiting(class model.FailureClass) bool {
	return class.Temporary() || class == model.Unauthorized
}

// settle waits until every signal has been sent.
func (p *poolLink) settle(ctx workflow.Context) error {
	return workflow.Await(ctx, func() bool { return p.sending == 0 })
}

// receivePending takes the signals that have arrived but not been read, before the next run, and the lease that has come since.
func (p *poolLink) receivePending(ctx workflow.Context) {
	if p.granted != nil && !p.granted.WaitFor {
		p.scan.state.Lease, p.granted = p.granted, nil
	}
	p.ending = true
	p.inbox.ReceivePending(ctx)
}

// sendToPool sends the pool a signal in the background, and again until it has arrived.
func sendToPool[T workflows.Message](ctx workflow.Context, p *poolLink, s workflows.Signal[T], value T) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	p.sending++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { p.sending-- }()
		step := workflows.LocalStep(ctx, s.Name)
		for {
			err := workflow.ExecuteLocalActivity(step, scanSteps.SignalPool, activities.SignalPoolInput{Name: s.Name, Value: value}).Get(ctx, nil)
			if err == nil || workflow.Sleep(ctx, announceEvery) != nil {
				return
			}
			p.scan.logger.Warn("pool of hubs could not be signaled; sent again soon", "signal", s.Name, "error", err)
		}
	})
}

// setPriority takes a higher priority and reports whether it was one.
func (s *scanImage) setPriority(r workflows.Prioritize) bool {
	if r.Priority.Rank() >= s.in.Priority.Rank() {
		return false
	}
	if s.in.Priority = r.Priority; r.Namespace != "" {
		s.in.Namespace = r.Namespace
	}
	return true
}

// prioritize gives the scan a higher priority wherever it waits: in the backlog, or for a lease. Later steps have it anyway.
func (s *scanImage) prioritize(ctx workflow.Context, r workflows.Prioritize) {
	if !s.setPriority(r) {
		return
	}
	s.updateDetails(ctx)
	if s.pool.wanted {
		s.pool.announce(ctx)
	}
	if s.state.Step == workflows.StepPull && s.state.Pulls > 0 {
		workflow.Go(ctx, s.prioritizePull)
	}
}

// prioritizePull moves the pull forward in the backlog, if it is still in its first attempt there.
func (s *scanImage) prioritizePull(ctx workflow.Context) {
	priority := pullPriority(s.in, s.state)
	in := activities.PrioritizeStepInput{
		Workflow: workflow.GetInfo(ctx).WorkflowExecution.ID, Run: workflow.GetInfo(ctx).WorkflowExecution.RunID, Step: pullID(s.state.Pulls),
		Level: priority.PriorityKey, FairnessKey: priority.FairnessKey, FairnessWeight: priority.FairnessWeight,
	}
	var result activities.PrioritizeStepResult
	err := workflow.ExecuteActivity(workflows.LightStep(ctx, "prioritize the pull: "+string(s.in.Priority)), prioritizeSteps.PrioritizeStep, in).Get(ctx, &result)
	if err != nil {
		s.logger.Warn("waiting pull could not be prioritized", "error", err)
	}
}

// pullID names a pull, so that it can be found while it waits.
func pullID(pull int) string { return fmt.Sprintf("pull-%d", pull) }
