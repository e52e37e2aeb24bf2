package pool

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/lease"
	"github.com/perceptor/perceptor/workflows"
)

// checkBatch bounds how many holders one step asks about, so that it ends well within its time.
const checkBatch = 200

// warmUp lets a cold pool learn what is held: it lists the open scans, asks each of them, and asks every hub for a sign of life.
func (p *hubPool) warmUp(ctx workflow.Context) {
	cold := p.Book.Cold
	if !cold.Listed && !p.listing {
		p.listing = true
		p.track(workflow.ExecuteActivity(workflows.LightStep(p.steps, "list the open scans"), poolSteps.ListHolders), p.takeHolders)
	}
	for _, hub := range cold.Unasked {
		p.probe(hub)
	}
	for len(p.announce) > 0 && p.room() > 0 {
		h := p.announce[0]
		p.announce = p.announce[1:]
		p.sendSignal(workflows.SignalAnnounce.SendTo(ctx, h.Name, workflows.Announce{}), h.Chain)
	}
}

// track notes an activity under way.
func (p *hubPool) track(future workflow.Future, takeAnswer func(workflow.Context, workflow.Future)) {
	p.asked = append(p.asked, underWay{future: future, takeResult: func(ctx workflow.Context) { takeAnswer(ctx, future) }})
}

func (p *hubPool) takeHolders(ctx workflow.Context, f workflow.Future) {
	p.listing = false
	var list activities.ListHoldersResult
	if err := f.Get(ctx, &list); err != nil {
		p.logger.Warn("open scans could not be listed", "error", err)
		return
	}
	holders := make([]lease.Holder, len(list.Holders))
	for i, h := range list.Holders {
		holders[i] = lease.Holder{Name: h.WorkflowID, Chain: h.Chain}
	}
	p.Book.Expect(holders)
	if p.Book.Cold != nil {
		p.announce = append(p.announce, p.Book.Cold.Silent...)
	}
}

// checkHolders asks the server whether silent holders are still open.
func (p *hubPool) checkHolders(now time.Time) {
	if p.checking {
		return
	}
	holders := p.Book.ToCheck(now)
	for len(holders) > 0 {
		n := min(len(holders), checkBatch)
		var in activities.CheckHoldersInput
		for _, h := range holders[:n] {
			in.Holders = append(in.Holders, activities.Holder{WorkflowID: h.Name, Chain: h.Chain})
		}
		holders = holders[n:]
		p.checking = true
		p.track(workflow.ExecuteActivity(workflows.LightStep(p.steps, "ask whether silent scans are open"), poolSteps.CheckHolders, in), p.takeClosed)
	}
}

func (p *hubPool) takeClosed(ctx workflow.Context, f workflow.Future) {
	p.checking = false
	var result activities.CheckHoldersResult
	if err := f.Get(ctx, &result); err != nil {
		p.logger.Warn("silent scans could not be checked", "error", err)
		return
	}
	now := workflow.Now(ctx).UTC()
	for _, h := range result.Closed {
		p.Book.HolderClosed(h.Chain, now)
	}
}

// askHubs asks the hubs for the scans of draining leases.
func (p *hubPool) askHubs(now time.Time) {
	for _, q := range p.Book.ToAsk(now) {
		in := activities.CheckHubScanInput{Hub: q.Hub, Name: q.Scan}
		future := workflow.ExecuteActivity(workflows.DrainStep(p.steps, q.Hub, "is the hub done with a scan whose holder is gone"), hubSteps.CheckHubScan, in)
		p.track(future, func(ctx workflow.Context, f workflow.Future) { p.takeScan(ctx, f, q) })
	}
}

func (p *hubPool) takeScan(ctx workflow.Context, f workflow.Future, q lease.Question) {
	now := workflow.Now(ctx).UTC()
	var result activities.CheckHubScanResult
	err := f.Get(ctx, &result)
	switch {
	case err != nil:
		p.logger.Warn("draining scan could not be looked up", "hub", q.Hub, "scan", q.Scan, "error", err)
		p.Book.ScanUnknown(q.Chain, now)
	case result.Trouble != nil:
		p.noteExperience(q.Hub, result.Trouble.Class, result.Trouble.Reason, result.Trouble.RetryAfter, now)
		p.Book.ScanUnknown(q.Chain, now)
	default:
		p.noteExperience(q.Hub, "", "", 0, now)
		p.Book.ScanSeen(q.Chain, lease.Seen{State: result.Scan.State, Started: result.Scan.StartedAt, Asked: q.Asked}, now)
	}
}

// maxOutgoing bounds the signals under way at a time; the server refuses a workflow with more than 2,000.
const maxOutgoing = 500

// room is how many more signals may be under way.
func (p *hubPool) room() int { return max(maxOutgoing-len(p.outgoing), 0) }

// sendGrants sends grants by steps that are part of the same decision: the server has the decision before a scan gets its
// grant. So no scan uploads under a lease that the pool does not know.
func (p *hubPool) sendGrants(ctx workflow.Context, grants []lease.Grant) {
	for batch := range slices.Chunk(grants, activities.NotifyAtMost) {
		p.notifyGrants(ctx, batch)
	}
}

func grantOf(g lease.Grant) workflows.Grant {
	return workflows.Grant{Chain: g.Chain, Hub: g.Hub, Attempt: g.Attempt, WaitFor: g.WaitFor}
}

// notifyGrants has one step send a batch of grants. A delivered grant is in the history of its scan, and is sent again much later
// only. A scan that has ended is checked. A grant that was missed is sent again when it is due, or when the scan asks again.
func (p *hubPool) notifyGrants(ctx workflow.Context, grants []lease.Grant) {
	var signals []activities.ScanSignal
	for _, g := range grants {
		signals = append(signals, activities.ScanSignal{
			Scan: activities.Holder{WorkflowID: g.Holder, Chain: g.Chain}, Name: workflows.SignalGrant.Name, Value: grantOf(g),
		})
	}
	step := workflows.NotifyStep(ctx, fmt.Sprintf("send %d grants", len(signals)))
	future := workflow.ExecuteActivity(step, poolSteps.NotifyScans, activities.NotifyScansInput{Signals: signals})
	p.outgoing = append(p.outgoing, underWay{future: future, takeResult: func(ctx workflow.Context) { p.grantsNotified(ctx, future, grants) }})
}

func (p *hubPool) grantsNotified(ctx workflow.Context, step workflow.Future, grants []lease.Grant) {
	var result activities.NotifyScansResult
	err := step.Get(ctx, &result)
	for _, g := range grants {
		scan := activities.Holder{WorkflowID: g.Holder, Chain: g.Chain}
		switch {
		case err != nil || slices.Contains(result.Gone, scan):
			p.Book.Suspect(g.Chain)
		case !g.WaitFor && !slices.Contains(result.Missed, scan):
			p.Book.GrantDelivered(g.Chain, g.Attempt, workflow.Now(ctx).UTC())
		}
	}
}

// sendSignal notes a signal from the pool to one scan, whose chain may be unknown. A scan that could not be reached may have
// ended; the server is asked.
func (p *hubPool) sendSignal(future workflow.Future, chain string) {
	p.outgoing = append(p.outgoing, underWay{future: future, takeResult: func(ctx workflow.Context) {
		if err := future.Get(ctx, nil); err != nil && chain != "" {
			p.Book.Suspect(chain)
		}
	}})
}

// delivered reports whether the fate of all that was sent is known.
func (p *hubPool) delivered() bool {
	return !slices.ContainsFunc(p.outgoing, func(u underWay) bool { return !u.ready() })
}
