package starter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/workflows"
)

// Pool is the client of the one workflow that shares out the hubs: which scan may use which hub, and how many at a time.
type Pool struct{ link }

// ConfigureHubs sends the configured hubs to the pool, and starts the pool when there is none. The very first pool, while no
// scan is running, grants leases at once. Every other new pool first waits until it knows which leases are in use. Whether the list is
// used, the pool decides: see workflows.Configure. Status shows it.
func (p Pool) ConfigureHubs(ctx context.Context, list workflows.Configure) error {
	var err error
	if len(list.Hubs) == 0 {
		// A process without hubs of its own changes none: an empty list never replaces another.
		_, err = p.Status(ctx)
		if errors.Is(err, ErrNoPool) {
			err = errClosed
		}
	} else {
		err = p.signal(ctx, workflows.HubPoolID, workflows.SignalConfigure.Name, list)
	}
	if err == nil {
		return nil
	}
	if !isNotFound(err) {
		return fmt.Errorf("configure the pool of hubs: %w", err)
	}
	err = p.startPool(ctx, list)
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		// Another process was quicker, with a list of hubs of its own.
		return p.ConfigureHubs(ctx, list)
	}
	return err
}

// Signal sends the pool a signal of a scan. When no pool is running and the signal asks for a lease, the pool is started with
// this list of hubs. Any other signal then needs no receiver and is dropped.
func (p Pool) Signal(ctx context.Context, name string, value any, list workflows.Configure) error {
	err := p.signal(ctx, workflows.HubPoolID, name, value)
	if !isNotFound(err) {
		return err
	}
	if name != workflows.SignalAcquire.Name {
		return nil
	}
	if err := p.ConfigureHubs(ctx, list); err != nil {
		return err
	}
	return p.signal(ctx, workflows.HubPoolID, name, value)
}

// startPool starts the pool, as the very first one when there never was another and no scan is running.
func (p Pool) startPool(ctx context.Context, list workflows.Configure) error {
	open, err := Scans(p).ListOpen(ctx)
	if err != nil {
		return fmt.Errorf("start the pool of hubs: %w", err)
	}
	kept, err := p.keptBefore(ctx)
	if err != nil {
		return err
	}
	in := workflows.HubPoolInput{Hubs: list.Hubs, Generation: list.Generation, From: list.From}
	if len(open) == 0 {
		first := in
		first.Fresh = true
		err := p.executePool(ctx, first, enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE)
		if !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
			return err
		}
	}
	in.Kept = kept
	return p.executePool(ctx, in, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)
}

// keptBefore reads an operator's changes from the memo of the last pool. None when there was no pool, or the server has forgotten it.
func (p Pool) keptBefore(ctx context.Context) ([]workflows.KeptHub, error) {
	described, err := p.temporal.DescribeWorkflowExecution(ctx, workflows.HubPoolID, "")
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("describe the last pool of hubs: %w", err)
	}
	var kept []workflows.KeptHub
	if payload := described.GetWorkflowExecutionInfo().GetMemo().GetFields()[workflows.MemoKept]; payload != nil {
		if err := converter.GetDefaultDataConverter().FromPayload(payload, &kept); err != nil {
			return nil, fmt.Errorf("read what operators changed of the hubs: %w", err)
		}
	}
	return kept, nil
}

// wedgedAfter is how many times in a row a workflow's task must have failed until the workflow counts as wedged. The server makes
// that many attempts within about half a minute. A task that no worker takes stays in its first attempt.
const wedgedAfter = 4

// ReplaceWedged terminates a pool whose task fails again and again, so that the next process that needs a pool starts another. It
// reports whether it did. What operators changed is kept in the memo, and which leases are out the new pool learns from the scans.
func (p Pool) ReplaceWedged(ctx context.Context) (bool, error) {
	described, err := p.temporal.DescribeWorkflowExecution(ctx, workflows.HubPoolID, "")
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("describe the pool of hubs: %w", err)
	}
	info := described.GetWorkflowExecutionInfo()
	if info.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING || described.GetPendingWorkflowTask().GetAttempt() < wedgedAfter {
		return false, nil
	}
	reason := fmt.Sprintf("its workflow task failed %d times in a row", described.GetPendingWorkflowTask().GetAttempt()-1)
	err = p.temporal.TerminateWorkflow(ctx, workflows.HubPoolID, info.GetExecution().GetRunId(), reason)
	if err != nil && !isNotFound(err) {
		return false, fmt.Errorf("terminate the wedged pool of hubs: %w", err)
	}
	return true, nil
}

func (p Pool) executePool(ctx context.Context, in workflows.HubPoolInput, reuse enumspb.WorkflowIdReusePolicy) error {
	var memo map[string]any
	if len(in.Kept) > 0 {
		memo = map[string]any{workflows.MemoKept: in.Kept}
	}
	_, err := p.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       workflows.HubPoolID,
		TaskQueue:                                workflows.TaskQueue,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowIDReusePolicy:                    reuse,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            "the pool of hubs: which scan may use which hub",
		Priority:                                 temporal.Priority{PriorityKey: workflows.PoolLevel},
		Memo:                                     memo,
	}, workflows.TypeHubPool, in)
	if err != nil {
		return fmt.Errorf("start the pool of hubs: %w", err)
	}
	return nil
}

// Status asks the pool for its hubs, its leases and the scans that wait. It gives ErrNoPool when no pool is running.
func (p Pool) Status(ctx context.Context) (workflows.HubPoolStatus, error) {
	var status workflows.HubPoolStatus
	err := p.queryOpen(ctx, workflows.HubPoolID, workflows.QueryStatus, &status)
	if isNotFound(err) {
		return status, ErrNoPool
	}
	return status, err
}

// Hubs lists the hubs that scans may use, and why one is not available now. It gives ErrNoPool when no pool is running.
func (p Pool) Hubs(ctx context.Context) ([]activities.HubState, error) {
	status, err := p.Status(ctx)
	if err != nil {
		return nil, err
	}
	var hubs []activities.HubState
	for _, h := range status.Hubs {
		if h.Disabled || h.Removed {
			continue
		}
		state := activities.HubState{Name: h.Name}
		switch {
		case h.Paused:
			state.Unavailable = "paused by an operator"
		case !h.TrippedSince.IsZero():
			state.Unavailable = "tripped: " + h.Reason
		}
		hubs = append(hubs, state)
	}
	return hubs, nil
}

// updateTimeout is how long an operator waits until a worker has carried out an update.
const updateTimeout = 20 * time.Second

// SetLimit changes how many scans a hub may have at a time, until the configuration names another number. A RejectedError
// says why the pool refused.
func (p Pool) SetLimit(ctx context.Context, change workflows.HubLimit) (workflows.HubStatus, error) {
	var status workflows.HubStatus
	return status, p.update(ctx, workflows.UpdateLimit, change, &status)
}

// Pause keeps new scans from a hub until Resume. Scans that have a lease go on.
func (p Pool) Pause(ctx context.Context, hub string) (workflows.HubStatus, error) {
	var status workflows.HubStatus
	return status, p.update(ctx, workflows.UpdatePause, hub, &status)
}

// Resume ends a pause.
func (p Pool) Resume(ctx context.Context, hub string) (workflows.HubStatus, error) {
	var status workflows.HubStatus
	return status, p.update(ctx, workflows.UpdateResume, hub, &status)
}

// ResetLeases releases leases whose scans the hub has already finished, which an operator must know.
func (p Pool) ResetLeases(ctx context.Context, reset workflows.LeaseReset) (workflows.LeaseResetAnswer, error) {
	var answer workflows.LeaseResetAnswer
	return answer, p.update(ctx, workflows.UpdateReset, reset, &answer)
}

// Probe asks a tripped hub again now; it becomes available when it answers. A pause that the hub itself asked for is kept.
func (p Pool) Probe(ctx context.Context, hub string) error {
	status, err := p.Status(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(status.Hubs, func(h workflows.HubStatus) bool { return h.Name == hub && !h.Removed }) {
		return RejectedError{fmt.Sprintf("no hub is named %q", hub)}
	}
	err = p.signal(ctx, workflows.HubPoolID, workflows.SignalHubReport.Name, workflows.HubReport{Holder: "operator", Hub: hub})
	if isNotFound(err) {
		return ErrNoPool
	}
	if err != nil {
		return fmt.Errorf("probe hub %s: %w", hub, err)
	}
	return nil
}

func (p Pool) update(ctx context.Context, name string, in, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	handle, err := p.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: workflows.HubPoolID, UpdateName: name, Args: []any{in}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, answer)
	}
	var app *temporal.ApplicationError
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &app):
		return RejectedError{app.Message()}
	case errors.As(err, &missing):
		return ErrNoPool
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
