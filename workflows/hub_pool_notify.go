package workflows

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/lease"
)

// maxOutgoing bounds the signals under way at a time; the server refuses a workflow with more than 2,000.
const maxOutgoing = 500

// room is how many more signals may be under way.
func (p *hubPool) room() int { return max(maxOutgoing-len(p.outgoing), 0) }

// sendGrants tells scans what they were granted, by steps that are part of the same decision: the server has it before anybody
// hears of it, so that no scan uploads under a lease of which the pool does not know.
func (p *hubPool) sendGrants(ctx workflow.Context, grants []lease.Grant) {
	if len(grants) == 0 {
		return
	}
	byStep := workflow.GetVersion(ctx, "grants-are-told-by-a-step", workflow.DefaultVersion, 1) > workflow.DefaultVersion
	for batch := range slices.Chunk(grants, activities.NotifyAtMost) {
		if byStep {
			p.notifyGrants(ctx, batch)
			continue
		}
		for _, g := range batch {
			p.sendSignal(SignalGrant.SendTo(ctx, g.Holder, grantOf(g)), g.Chain)
		}
	}
}

func grantOf(g lease.Grant) Grant {
	return Grant{Chain: g.Chain, Hub: g.Hub, Attempt: g.Attempt, WaitFor: g.WaitFor}
}

// tell has one step tell a batch of scans. A grant that a scan was told is in its history, and need not be sent again soon; a scan
// that has ended is looked after; one that was missed is told again when it is time, or when it asks again.
func (p *hubPool) notifyGrants(ctx workflow.Context, grants []lease.Grant) {
	var signals []activities.ScanSignal
	for _, g := range grants {
		signals = append(signals, activities.ScanSignal{
			Scan: activities.Holder{WorkflowID: g.Holder, Chain: g.Chain}, Name: SignalGrant.Name, Value: grantOf(g),
		})
	}
	step := notifyStep(ctx, fmt.Sprintf("tell %d scans what they were granted", len(signals)))
	future := workflow.ExecuteActivity(step, poolSteps.NotifyScans, activities.NotifyScansInput{Signals: signals})
	p.outgoing = append(p.outgoing, underWay{future: future, take: func(ctx workflow.Context) { p.grantsNotified(ctx, future, grants) }})
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

// sendSignal notes a signal from the pool to one scan, of which the chain may be unknown. Whoever could not be reached may have
// ended; the server is asked.
func (p *hubPool) sendSignal(future workflow.Future, chain string) {
	p.outgoing = append(p.outgoing, underWay{future: future, take: func(ctx workflow.Context) {
		if err := future.Get(ctx, nil); err != nil && chain != "" {
			p.Book.Suspect(chain)
		}
	}})
}

// delivered reports whether the fate of all that was sent is known.
func (p *hubPool) delivered() bool {
	return !slices.ContainsFunc(p.outgoing, func(u underWay) bool { return !u.ready() })
}
