package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/lease"
)

// checkBatch bounds how many holders one step asks about, so that it ends well within its time.
const checkBatch = 200

// listen lets a cold pool learn what is held: it lists the open scans, asks each of them, and asks every hub for a sign of life.
func (p *hubPool) listen(ctx workflow.Context) {
	cold := p.Book.Cold
	if !cold.Listed && !p.listing {
		p.listing = true
		p.ask(workflow.ExecuteActivity(lightStep(p.steps, "list the open scans"), poolSteps.ListHolders), p.takeHolders)
	}
	for _, hub := range cold.Unasked {
		p.probe(hub)
	}
	for len(p.announce) > 0 && p.room() > 0 {
		h := p.announce[0]
		p.announce = p.announce[1:]
		p.sendSignal(SignalAnnounce.SendTo(ctx, h.Name, Announce{}), h.Chain)
	}
}

// ask notes an activity under way.
func (p *hubPool) ask(future workflow.Future, take func(workflow.Context, workflow.Future)) {
	p.asked = append(p.asked, underWay{future: future, take: func(ctx workflow.Context) { take(ctx, future) }})
}

func (p *hubPool) takeHolders(ctx workflow.Context, f workflow.Future) {
	p.listing = false
	var list activities.ListHoldersResult
	if err := f.Get(ctx, &list); err != nil {
		p.logger.Warn("the open scans could not be listed", "error", err)
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
		p.ask(workflow.ExecuteActivity(lightStep(p.steps, "ask whether silent scans are open"), poolSteps.CheckHolders, in), p.takeClosed)
	}
}

func (p *hubPool) takeClosed(ctx workflow.Context, f workflow.Future) {
	p.checking = false
	var result activities.CheckHoldersResult
	if err := f.Get(ctx, &result); err != nil {
		p.logger.Warn("holders could not be checked", "error", err)
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
		future := workflow.ExecuteActivity(drainStep(p.steps, q.Hub, "is the hub done with a scan whose holder is gone?"), hubSteps.CheckHubScan, in)
		p.ask(future, func(ctx workflow.Context, f workflow.Future) { p.takeScan(ctx, f, q) })
	}
}

func (p *hubPool) takeScan(ctx workflow.Context, f workflow.Future, q lease.Question) {
	now := workflow.Now(ctx).UTC()
	var result activities.CheckHubScanResult
	err := f.Get(ctx, &result)
	switch {
	case err != nil:
		p.logger.Warn("a draining scan could not be asked for", "hub", q.Hub, "scan", q.Scan, "error", err)
		p.Book.ScanUnknown(q.Chain, now)
	case result.Trouble != nil:
		p.experience(q.Hub, result.Trouble.Class, result.Trouble.Reason, result.Trouble.RetryAfter, now)
		p.Book.ScanUnknown(q.Chain, now)
	default:
		p.experience(q.Hub, "", "", 0, now)
		p.Book.ScanSeen(q.Chain, lease.Seen{State: result.Scan.State, Started: result.Scan.StartedAt, Asked: q.Asked}, now)
	}
}
