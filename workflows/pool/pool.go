package pool

import (
	"slices"
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/internal/lease"
	"github.com/perceptor/perceptor/workflows"
)

// Nil pointers by which the workflow names its steps.
var (
	hubSteps  *activities.HubSteps
	poolSteps *activities.PoolSteps
)

// hubPool is one run of HubPool: the state, and what is under way.
type hubPool struct {
	*workflows.HubPoolState

	logger  log.Logger
	started time.Time
	inbox   workflows.Inbox
	// steps is the context of every activity: cancelled before the run ends, since each question can be asked again.
	steps       workflow.Context
	cancelSteps workflow.CancelFunc
	// outgoing and asked are what is on its way to scans, and the activities under way.
	outgoing []underWay
	asked    []underWay
	// announce are the open scans a cold pool still has to ask what they hold.
	announce []lease.Holder
	// checking, listing and probing keep one question of a kind from being asked twice at a time.
	checking, listing bool
	probing           map[string]bool
	switching         map[string]bool
	// old fires when the run is too old; it runs beside the alarm, which scans start and stop.
	old   workflow.Future
	alarm workflows.Alarm
	// changed is set by updates.
	changed bool
}

// underWay is something whose end is not known yet, and what to do once it is.
type underWay struct {
	future     workflow.Future
	takeResult func(ctx workflow.Context)
}

func (u underWay) ready() bool { return u.future.IsReady() }

// takeReady takes what has come to its end out of a list, to which that may add.
func takeReady(ctx workflow.Context, list *[]underWay) {
	all := *list
	*list = nil
	for _, u := range all {
		if u.ready() {
			u.takeResult(ctx)
		} else {
			*list = append(*list, u)
		}
	}
}

// HubPool shares out every hub's capacity. It takes everything that has arrived, lets the book of leases decide, sends
// what the book answers, and sleeps until something arrives or is due. It runs for ever, as a chain of runs.
func HubPool(ctx workflow.Context, in workflows.HubPoolInput) error {
	p, err := newHubPool(ctx, in)
	if err != nil {
		return err
	}
	for {
		p.receiveSignals(ctx)
		if workflows.ShouldContinueAsNew(ctx, p.started) {
			return p.continueAsNew(ctx)
		}
		p.dispatch(ctx)
		if err := p.keep(ctx); err != nil {
			return p.end(ctx, err)
		}
		workflow.SetCurrentDetails(ctx, p.details(ctx))
		p.setAlarm(ctx)
		if err := workflow.Await(ctx, func() bool { return p.hasWork(ctx) }); err != nil {
			return p.end(ctx, err)
		}
	}
}

func newHubPool(ctx workflow.Context, in workflows.HubPoolInput) (*hubPool, error) {
	now := workflow.Now(ctx).UTC()
	state, wrong := workflows.Continued(ctx, in.State.Value)
	switch {
	case state != nil:
		state.Book.AskAgain(now)
	case in.Fresh && wrong == nil:
		state = &workflows.HubPoolState{Book: lease.New(now)}
	default:
		state = &workflows.HubPoolState{Book: lease.NewCold(now)}
	}
	p := &hubPool{
		HubPoolState: state, logger: workflow.GetLogger(ctx), started: now, alarm: workflows.Alarm{Soonest: time.Millisecond},
		probing: map[string]bool{}, switching: map[string]bool{},
	}
	p.inbox.Rejected = &state.Rejected
	if wrong != nil {
		p.inbox.Reject(ctx, workflows.RejectedInput, wrong)
	}
	if state.Kept == nil {
		state.Kept = checkedKept(in.Kept)
	}
	if len(in.Hubs) > 0 {
		p.configure(workflows.Configure{Hubs: in.Hubs, Generation: in.Generation, From: in.From}, now)
	}
	p.steps, p.cancelSteps = workflow.WithCancel(ctx)
	if cold := state.Book.Cold; cold != nil && cold.Listed {
		p.announce = append(p.announce, cold.Silent...)
	}
	p.openInbox()
	p.old = workflow.NewTimerWithOptions(ctx, workflows.QuietRun, workflow.TimerOptions{Summary: "a new run, because this one is old"})
	return p, p.register(ctx)
}

// hasWork reports whether there is something to take.
func (p *hubPool) hasWork(ctx workflow.Context) bool {
	if p.changed || p.old.IsReady() || p.alarm.IsRinging() || p.inbox.HasPending(ctx) {
		return true
	}
	return slices.ContainsFunc(p.outgoing, underWay.ready) || slices.ContainsFunc(p.asked, underWay.ready)
}

// receiveSignals brings everything that has arrived into the state: signals, and the ends of steps.
func (p *hubPool) receiveSignals(ctx workflow.Context) {
	p.changed = false
	p.alarm.Silence()
	p.inbox.ReceivePending(ctx)
	takeReady(ctx, &p.outgoing)
	takeReady(ctx, &p.asked)
}

// dispatch starts and sends what the state asks for now.
func (p *hubPool) dispatch(ctx workflow.Context) {
	now := workflow.Now(ctx).UTC()
	if !p.Book.WarmUp(now) {
		p.warmUp(ctx)
	}
	p.probeTripped(now)
	p.switchQueues()
	p.checkHolders(now)
	p.askHubs(now)
	p.notifyWaiting(ctx)
	var grants []lease.Grant
	for _, answers := range []func(int) []lease.Grant{
		func(most int) []lease.Grant { return p.Book.GrantNext(now, most) },
		func(most int) []lease.Grant { return p.Book.Resend(now, most) },
		p.Book.Redirect,
	} {
		grants = append(grants, answers(p.room()-len(grants))...)
	}
	p.sendGrants(ctx, grants)
}

// setAlarm makes sure that the pool wakes when the next thing is due.
func (p *hubPool) setAlarm(ctx workflow.Context) {
	now := workflow.Now(ctx).UTC()
	next := p.nextWake(now)
	switch {
	case next.IsZero():
		p.alarm.Stop()
	case p.room() > 0:
		p.alarm.Set(ctx, next, "next check of leases and hubs")
	}
}

// nextWake is when something is due without anything arriving; zero for never.
func (p *hubPool) nextWake(now time.Time) time.Time {
	due := []time.Time{p.Book.NextWake(), p.nextProbe()}
	if !p.checking {
		due = append(due, p.Book.NextCheck(now))
	}
	var next time.Time
	for _, t := range due {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

// continueAsNew waits until nothing that this run has sent can get lost. The next run asks again what this run has asked, and
// answers what arrives meanwhile.
func (p *hubPool) continueAsNew(ctx workflow.Context) error {
	p.cancelSteps()
	p.alarm.Stop()
	for {
		settled := func() bool { return p.delivered() && workflow.AllHandlersFinished(ctx) }
		if err := workflow.Await(ctx, settled); err != nil {
			return p.end(ctx, err)
		}
		takeReady(ctx, &p.outgoing)
		p.inbox.ReceivePending(ctx)
		if len(p.outgoing) == 0 {
			next := workflows.HubPoolInput{State: inventory.Packed[workflows.HubPoolState]{Value: p.HubPoolState}}
			return workflow.NewContinueAsNewError(ctx, workflows.TypeHubPool, next)
		}
	}
}

// end waits for what was sent, since the server drops a signal whose sender has closed.
func (p *hubPool) end(ctx workflow.Context, cause error) error {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	if err := workflow.Await(ctx, p.delivered); err != nil {
		return err
	}
	return cause
}
