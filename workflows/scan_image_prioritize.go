package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
)

// become takes over a more urgent class and reports whether it was one.
func (s *scanImage) setPriority(r Prioritize) bool {
	if r.Priority.Rank() >= s.in.Priority.Rank() {
		return false
	}
	if s.in.Priority = r.Priority; r.Namespace != "" {
		s.in.Namespace = r.Namespace
	}
	return true
}

// raise makes the scan more urgent wherever it waits: in the backlog, or for a lease. What comes later is as urgent anyway.
func (s *scanImage) prioritize(ctx workflow.Context, r Prioritize) {
	if !s.setPriority(r) {
		return
	}
	s.updateDetails(ctx)
	if s.pool.wanted {
		s.pool.announce(ctx)
	}
	if s.state.Step == StepPull && s.state.Pulls > 0 {
		workflow.Go(ctx, s.prioritizePull)
	}
}

// raisePull moves the pull forward in the backlog, if it is still in its first attempt there.
func (s *scanImage) prioritizePull(ctx workflow.Context) {
	priority := s.priority()
	in := activities.PrioritizeStepInput{
		Workflow: workflow.GetInfo(ctx).WorkflowExecution.ID, Run: workflow.GetInfo(ctx).WorkflowExecution.RunID, Step: pullID(s.state.Pulls),
		Level: priority.PriorityKey, FairnessKey: priority.FairnessKey, FairnessWeight: priority.FairnessWeight,
	}
	var result activities.PrioritizeStepResult
	err := workflow.ExecuteActivity(lightStep(ctx, "raise the pull: "+string(s.in.Priority)), prioritizeSteps.PrioritizeStep, in).Get(ctx, &result)
	if err != nil {
		s.logger.Warn("pull raise", "error", err)
	}
}

// pullID names a pull, so that it can be found while it waits.
func pullID(pull int) string { return fmt.Sprintf("pull-%d", pull) }
