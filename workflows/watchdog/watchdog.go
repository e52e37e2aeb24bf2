package watchdog

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/workflows"
)

// watchSteps is a nil pointer by which the workflow names its steps.
var watchSteps *activities.WatchSteps

// Watchdog looks once after all workflows. Its result stays readable until the next look.
func Watchdog(ctx workflow.Context, _ workflows.WatchdogInput) (workflows.WatchdogResult, error) {
	var found workflows.WatchdogResult
	step := workflow.ExecuteActivity(workflows.WatchStep(ctx, "look after all workflows"), watchSteps.CheckWorkflows)
	if err := step.Get(ctx, &found); err != nil {
		workflow.SetCurrentDetails(ctx, "**The workflows could not be looked at:** "+err.Error())
		return found, fmt.Errorf("look after all workflows: %w", err)
	}
	workflow.SetCurrentDetails(ctx, details(found))
	return found, nil
}
