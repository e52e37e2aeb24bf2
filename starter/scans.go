package starter

import (
	"cmp"
	"context"
	"fmt"

	activitypb "go.temporal.io/api/activity/v1"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Scans is the client of the workflows that scan one image each, once. Request asks for scans in the name of a person.
type Scans struct{ link }

// View asks the newest scan of an image how far it is. It gives ErrUnknownImage when the image was not scanned lately.
func (s Scans) View(ctx context.Context, d model.Digest) (workflows.ScanView, error) {
	var view workflows.ScanView
	err := s.query(ctx, workflows.ScanImageID(d), workflows.QueryStatus, &view)
	if isNotFound(err) {
		return view, fmt.Errorf("view the scan of %s: %w", d, ErrUnknownImage)
	}
	return view, err
}

// Workspace asks the newest scan of an image on which scanner host, and in which workspace, the image lies. It gives
// ErrUnknownImage when the image was not scanned lately. Scanner hosts use it to find workspaces that no scan needs.
func (s Scans) Workspace(ctx context.Context, d model.Digest) (workflows.WorkspaceView, error) {
	var view workflows.WorkspaceView
	err := s.query(ctx, workflows.ScanImageID(d), workflows.QueryWorkspace, &view)
	if isNotFound(err) {
		return view, fmt.Errorf("find the workspace of %s: %w", d, ErrUnknownImage)
	}
	return view, err
}

// CurrentStep is what a scan does at this moment, as the Temporal server knows it: no worker is needed to answer.
type CurrentStep struct {
	// Step is the name of the step in progress; empty between two steps, and while the scan waits for a lease.
	Step string `json:"step,omitempty"`
	// Waiting is set until a worker takes the step, and between two attempts.
	Waiting bool `json:"waiting,omitempty"`
	// Attempt counts from 1; 0 when no step is in progress.
	Attempt int `json:"attempt,omitempty"`
	// Progress is what the step last reported.
	Progress activities.Progress `json:"progress,omitzero"`
	// Hub is the hub's own word for the state of the scan, while the scan waits for the hub.
	Hub string `json:"hub,omitempty"`
	// WaitingFor says what the scan waits for while no step is in progress.
	WaitingFor string `json:"waitingFor,omitempty"`
	// LastFailure is why the attempt before failed.
	LastFailure string `json:"lastFailure,omitempty"`
}

// CurrentStep asks what the scan of an image does now. It gives the zero value when the image is not being scanned.
func (s Scans) CurrentStep(ctx context.Context, d model.Digest) (CurrentStep, error) {
	described, err := s.temporal.DescribeWorkflowExecution(ctx, workflows.ScanImageID(d), "")
	if isNotFound(err) {
		return CurrentStep{}, nil
	}
	if err != nil {
		return CurrentStep{}, fmt.Errorf("describe the scan of %s: %w", d, err)
	}
	if described.GetWorkflowExecutionInfo().GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return CurrentStep{}, nil
	}
	if len(described.GetPendingActivities()) == 0 {
		view, err := s.View(ctx, d)
		return CurrentStep{WaitingFor: view.WaitingFor}, err
	}
	return currentStep(described.GetPendingActivities()[0]), nil
}

func currentStep(a *workflowpb.PendingActivityInfo) CurrentStep {
	now := CurrentStep{
		Step: a.GetActivityType().GetName(), Attempt: int(a.GetAttempt()),
		Waiting:     a.GetState() == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED,
		LastFailure: a.GetLastFailure().GetMessage(),
	}
	payloads := a.GetHeartbeatDetails().GetPayloads()
	if len(payloads) == 0 {
		return now
	}
	// AwaitHubScan reports what the hub said, every other long step reports Progress. A form that does not fit leaves its
	// part empty.
	var reported struct {
		activities.Progress
		Hub string `json:"hub"`
	}
	if err := converter.GetDefaultDataConverter().FromPayload(payloads[0], &reported); err == nil {
		now.Progress, now.Hub = reported.Progress, reported.Hub
	}
	return now
}

// StartScan starts the scan of an image, of which one runs at most: the workflow ID sees to that. When one runs already, the answer
// names it, and says whether it is the one that this key has started before.
func (s Scans) StartScan(ctx context.Context, in activities.StartScanInput) (activities.StartScanResult, error) {
	var none activities.StartScanResult
	scan, ok := in.Input.(workflows.ScanImageInput)
	if !ok {
		return none, fmt.Errorf("the input of a scan is a %T", in.Input)
	}
	if err := scan.Check(); err != nil {
		return none, fmt.Errorf("input of a scan: %w", err)
	}
	options := start{
		id: workflows.ScanImageID(scan.Digest), summary: "scan " + scan.Names[0].Reference(),
		attributes: temporal.NewSearchAttributes(
			workflows.AttributeDigest.ValueSet(workflows.Keyword(string(scan.Digest))),
			workflows.AttributeRepository.ValueSet(workflows.Keyword(scan.Names[0].Repository)),
		),
	}.options(enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING)
	options.WorkflowExecutionErrorWhenAlreadyStarted = true
	options.EnableEagerStart = true
	options.Priority = temporal.Priority{PriorityKey: workflows.ScanLevel}
	options.Memo = map[string]any{workflows.MemoImage: workflows.ScanStart{Image: workflows.ImageID(scan.Digest), Key: in.Key}}
	run, err := s.temporal.ExecuteWorkflow(ctx, options, workflows.TypeScanImage, scan)
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return s.runningScan(ctx, options.ID, in.Key)
	}
	if err != nil {
		return none, fmt.Errorf("start %s: %w", options.ID, err)
	}
	return activities.StartScanResult{Chain: run.GetRunID()}, nil
}

// runningScan is the answer for a scan that runs already. One that has closed meanwhile is an error: then another can be started.
func (s Scans) runningScan(ctx context.Context, id, key string) (activities.StartScanResult, error) {
	described, err := s.temporal.DescribeWorkflowExecution(ctx, id, "")
	if err != nil {
		return activities.StartScanResult{}, fmt.Errorf("describe %s: %w", id, err)
	}
	info := described.GetWorkflowExecutionInfo()
	if info.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return activities.StartScanResult{}, fmt.Errorf("%s has closed meanwhile", id)
	}
	// A memo that cannot be read is that of a scan that was started by hand.
	var by workflows.ScanStart
	if payload := info.GetMemo().GetFields()[workflows.MemoImage]; payload != nil {
		if err := converter.GetDefaultDataConverter().FromPayload(payload, &by); err != nil {
			by = workflows.ScanStart{}
		}
	}
	return activities.StartScanResult{Chain: cmp.Or(info.GetFirstRunId(), info.GetExecution().GetRunId()), Other: by.Key != key}, nil
}

// IsOpen reports whether a scan is running. When the holder names a chain, it reports whether that very chain is running.
func (s Scans) IsOpen(ctx context.Context, h activities.Holder) (bool, error) {
	described, err := s.temporal.DescribeWorkflowExecution(ctx, h.WorkflowID, "")
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("describe %s: %w", h.WorkflowID, err)
	}
	info := described.GetWorkflowExecutionInfo()
	if info.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return false, nil
	}
	return h.Chain == "" || info.GetFirstRunId() == h.Chain, nil
}

// ListOpen lists every running scan. The list lags about a second behind: a pool that lost its state does not rely on it
// alone, but also waits for the scans to announce themselves.
func (s Scans) ListOpen(ctx context.Context) ([]activities.Holder, error) {
	var holders []activities.Holder
	err := s.eachListed(ctx, running(workflows.TypeScanImage), func(each *workflowpb.WorkflowExecutionInfo) {
		chain := each.GetFirstRunId()
		if chain == "" {
			chain = each.GetExecution().GetRunId()
		}
		holders = append(holders, activities.Holder{WorkflowID: each.GetExecution().GetWorkflowId(), Chain: chain})
	})
	if err != nil {
		return nil, fmt.Errorf("list open scans: %w", err)
	}
	return holders, nil
}

// SignalScan sends a signal to a running scan. It reports false when none is running under this ID.
func (s Scans) SignalScan(ctx context.Context, workflowID, name string, value any) (bool, error) {
	err := s.signal(ctx, workflowID, name, value)
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("signal %s: %w", workflowID, err)
	}
	return true, nil
}

// PrioritizeStep gives a step that waits in a queue another priority there, and reports whether it did. A step in a later
// attempt is left alone: it would lose the delay that its failure asked for.
func (s Scans) PrioritizeStep(ctx context.Context, namespace string, in activities.PrioritizeStepInput) (bool, error) {
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
		return false, fmt.Errorf("prioritize step %s of %s: %w", in.Step, in.Workflow, err)
	}
	return true, nil
}
