package refresh

import (
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/workflows"
)

// noteUnanswered ends the pass after a step that ended without an answer: the hub's queue is stopped, or no worker is there.
func (r *refreshHub) noteUnanswered(ctx workflow.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	class, reason := activities.FailureOf(err)
	r.logger.Info("refresh ended early: hub was not asked", "hub", r.hub, "class", class, "reason", reason)
	r.state.Trouble = &activities.HubTrouble{Class: class, Reason: reason}
	return nil
}

// noteTrouble ends the pass, and reports a failure that passes to the pool. Others it does not report: that a login may not read
// one list says nothing about scans.
func (r *refreshHub) noteTrouble(ctx workflow.Context, t *activities.HubTrouble) {
	if r.state.Trouble != nil {
		return
	}
	r.state.Trouble = t
	if t.Class.Temporary() {
		r.state.Troubled = true
		r.report(ctx, workflows.HubReport{Hub: r.hub, Class: t.Class, Reason: t.Reason, RetryAfter: t.RetryAfter})
	}
}

func (r *refreshHub) noteSuccess(ctx workflow.Context) {
	if r.state.Troubled {
		r.state.Troubled = false
		r.report(ctx, workflows.HubReport{Hub: r.hub})
	}
}

func (r *refreshHub) report(ctx workflow.Context, report workflows.HubReport) {
	step := workflows.LocalStep(ctx, workflows.SignalHubReport.Name)
	err := workflow.ExecuteLocalActivity(step, scanSteps.SignalPool, activities.SignalPoolInput{Name: workflows.SignalHubReport.Name, Value: report}).Get(ctx, nil)
	if err != nil {
		r.logger.Warn("pool of hubs could not be signaled", "signal", workflows.SignalHubReport.Name, "error", err)
	}
}
