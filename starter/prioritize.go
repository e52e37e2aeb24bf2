package starter

import (
	"context"
	"fmt"

	activitypb "go.temporal.io/api/activity/v1"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Raise makes an image that somebody refers to as urgent as a class, also when it waits already.
func (s *Starter) Prioritize(ctx context.Context, d model.Digest, r workflows.Prioritize) error {
	err := s.temporal.SignalWorkflow(ctx, workflows.ImageID(d), "", workflows.SignalPrioritize.Name, r)
	if isNotFound(err) {
		return fmt.Errorf("raise %s: %w", d, ErrUnknownImage)
	}
	if err != nil {
		return fmt.Errorf("raise %s: %w", d, err)
	}
	return nil
}

// RaiseStep gives a step that waits in a queue another priority. One in a later attempt is left alone: it would lose the
// delay that its failure asked for.
func (s *Starter) PrioritizeStep(ctx context.Context, namespace string, in activities.PrioritizeStepInput) (bool, error) {
	described, err := s.temporal.DescribeWorkflowExecution(ctx, in.Workflow, in.Run)
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("describe %s: %w", in.Workflow, err)
	}
	waiting := false
	for _, each := range described.GetPendingActivities() {
		waiting = waiting || each.GetActivityId() == in.Step && each.GetAttempt() <= 1 && each.GetState() == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED
	}
	if !waiting {
		return false, nil
	}
	_, err = s.temporal.WorkflowService().UpdateActivityOptions(ctx, &workflowservice.UpdateActivityOptionsRequest{
		Namespace: namespace, Identity: "perceptor",
		Execution: &commonpb.WorkflowExecution{WorkflowId: in.Workflow, RunId: in.Run},
		Activity:  &workflowservice.UpdateActivityOptionsRequest_Id{Id: in.Step},
		ActivityOptions: &activitypb.ActivityOptions{Priority: &commonpb.Priority{
			PriorityKey: int32(in.Level), FairnessKey: in.FairnessKey, FairnessWeight: in.FairnessWeight, //nolint:gosec // 1 to 5
		}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"priority.priority_key", "priority.fairness_key", "priority.fairness_weight"}},
	})
	if isNotFound(err) {
		return false, nil // it has ended meanwhile
	}
	if err != nil {
		return false, fmt.Errorf("raise %s of %s: %w", in.Step, in.Workflow, err)
	}
	return true, nil
}
