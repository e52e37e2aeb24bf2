package starter

import (
	"context"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Doing is what a scan is doing at this moment, as the server knows it: no worker needs to be there to tell.
type Doing struct {
	// Step is the name of the step under way; empty between two steps, or while the scan waits for a lease.
	Step string
	// Waiting is set while no worker has taken the step yet, or until its next try.
	Waiting bool
	// Attempt counts from 1.
	Attempt int
	// Progress is what the step last told of itself.
	Progress activities.Progress
	// Hub is what the hub last said while the scan waits for it.
	Hub string
	// WaitingFor says what the scan waits for while no step is under way.
	WaitingFor string
	// LastFailure is why the attempt before failed.
	LastFailure string
}

// Doing asks the server what the newest scan of an image is doing; the zero value when none is open.
func (s *Starter) Doing(ctx context.Context, d model.Digest) (Doing, error) {
	described, err := s.temporal.DescribeWorkflowExecution(ctx, workflows.ScanImageID(d), "")
	if isNotFound(err) {
		return Doing{}, nil
	}
	if err != nil {
		return Doing{}, fmt.Errorf("describe the scan of %s: %w", d, err)
	}
	if described.GetWorkflowExecutionInfo().GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return Doing{}, nil
	}
	if len(described.GetPendingActivities()) == 0 {
		view, err := s.Scan(ctx, d)
		return Doing{WaitingFor: view.WaitingFor}, err
	}
	return doing(described.GetPendingActivities()[0]), nil
}

func doing(a *workflowpb.PendingActivityInfo) Doing {
	now := Doing{
		Step: a.GetActivityType().GetName(), Attempt: int(a.GetAttempt()),
		Waiting:     a.GetState() == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED,
		LastFailure: a.GetLastFailure().GetMessage(),
	}
	payloads := a.GetHeartbeatDetails().GetPayloads()
	if len(payloads) == 0 {
		return now
	}
	// Every long step beats with Progress but AwaitHubScan, which beats with what the hub said; a form that does not fit
	// leaves its part empty.
	var told struct {
		activities.Progress
		Hub string `json:"hub"`
	}
	if err := converter.GetDefaultDataConverter().FromPayload(payloads[0], &told); err == nil {
		now.Progress, now.Hub = told.Progress, told.Hub
	}
	return now
}
