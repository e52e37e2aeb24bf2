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
	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/workflows"
)

// ErrNoPool is the answer while no pool of hubs is running.
var ErrNoPool = errors.New("the pool of hubs is not running; run perceptor setup, or start a worker")

// ConfigureHubs tells the pool the configured hubs, and starts it when there is none. A pool that never was, while no
// scan is open, has nothing to wait for; any other new pool starts closed until it knows what is out.
func (s *Starter) ConfigureHubs(ctx context.Context, hubs []workflows.HubConfig) error {
	err := s.temporal.SignalWorkflow(ctx, workflows.HubPoolID, "", workflows.SignalConfigure.Name, workflows.Configure{Hubs: hubs})
	if err == nil {
		return nil
	}
	if !isNotFound(err) {
		return fmt.Errorf("configure the pool of hubs: %w", err)
	}
	err = s.startPool(ctx, hubs)
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		// Somebody else was quicker, with a list of hubs of their own.
		return s.ConfigureHubs(ctx, hubs)
	}
	return err
}

// SignalPool sends the pool a signal of a scan. A pool that is gone is started, with these hubs, when the scan wants a
// lease of it; whatever else a scan has to say to it is done with.
func (s *Starter) SignalPool(ctx context.Context, name string, value any, hubs []workflows.HubConfig) error {
	err := s.temporal.SignalWorkflow(ctx, workflows.HubPoolID, "", name, value)
	if !isNotFound(err) {
		return err
	}
	if name != workflows.SignalAcquire.Name {
		return nil
	}
	if err := s.ConfigureHubs(ctx, hubs); err != nil {
		return err
	}
	return s.temporal.SignalWorkflow(ctx, workflows.HubPoolID, "", name, value)
}

// startPool starts the pool.
func (s *Starter) startPool(ctx context.Context, hubs []workflows.HubConfig) error {
	open, err := s.ListOpen(ctx)
	if err != nil {
		return fmt.Errorf("start the pool of hubs: %w", err)
	}
	if len(open) == 0 {
		err := s.executePool(ctx, workflows.HubPoolInput{Fresh: true, Hubs: hubs}, enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE)
		if !temporal.IsWorkflowExecutionAlreadyStartedError(err) {
			return err
		}
	}
	return s.executePool(ctx, workflows.HubPoolInput{Hubs: hubs}, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE)
}

func (s *Starter) executePool(ctx context.Context, in workflows.HubPoolInput, reuse enumspb.WorkflowIdReusePolicy) error {
	_, err := s.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                                       workflows.HubPoolID,
		TaskQueue:                                workflows.TaskQueue,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowIDReusePolicy:                    reuse,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            "the pool of hubs: who may scan where",
		Priority:                                 temporal.Priority{PriorityKey: workflows.PoolLevel},
	}, workflows.TypeHubPool, in)
	if err != nil {
		return fmt.Errorf("start the pool of hubs: %w", err)
	}
	return nil
}

// HubPool asks the pool what it knows.
func (s *Starter) HubPool(ctx context.Context) (workflows.HubPoolStatus, error) {
	var status workflows.HubPoolStatus
	err := s.query(ctx, workflows.HubPoolID, workflows.QueryStatus, &status)
	if errors.Is(err, ErrUnknownImage) {
		return status, ErrNoPool
	}
	return status, err
}

// Hubs lists the hubs scans may go to, for the steps.
func (s *Starter) Hubs(ctx context.Context) ([]activities.HubState, error) {
	status, err := s.HubPool(ctx)
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
			state.Unavailable = "closed: " + h.Reason
		}
		hubs = append(hubs, state)
	}
	return hubs, nil
}

// updateTimeout is how long an operator waits for a worker to take an update.
const updateTimeout = 20 * time.Second

// SetLimit changes how many scans a hub may have at a time.
func (s *Starter) SetLimit(ctx context.Context, change workflows.HubLimit) (workflows.HubStatus, error) {
	var status workflows.HubStatus
	return status, s.update(ctx, workflows.UpdateLimit, change, &status)
}

// Pause keeps a hub from getting new scans until it is resumed.
func (s *Starter) Pause(ctx context.Context, hub string) (workflows.HubStatus, error) {
	var status workflows.HubStatus
	return status, s.update(ctx, workflows.UpdatePause, hub, &status)
}

// Resume ends a pause.
func (s *Starter) Resume(ctx context.Context, hub string) (workflows.HubStatus, error) {
	var status workflows.HubStatus
	return status, s.update(ctx, workflows.UpdateResume, hub, &status)
}

// ResetLeases frees leases of which an operator knows that their hub is done.
func (s *Starter) ResetLeases(ctx context.Context, reset workflows.LeaseReset) (workflows.LeaseResetAnswer, error) {
	var answer workflows.LeaseResetAnswer
	return answer, s.update(ctx, workflows.UpdateReset, reset, &answer)
}

// ProbeHub has a hub that is closed because it failed asked again now; it opens when it answers. A pause that the hub itself
// asked for is kept.
func (s *Starter) ProbeHub(ctx context.Context, hub string) error {
	status, err := s.HubPool(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(status.Hubs, func(h workflows.HubStatus) bool { return h.Name == hub && !h.Removed }) {
		return RejectedError{fmt.Sprintf("no hub is named %q", hub)}
	}
	err = s.temporal.SignalWorkflow(ctx, workflows.HubPoolID, "", workflows.SignalHubReport.Name, workflows.HubReport{Holder: "operator", Hub: hub})
	if isNotFound(err) {
		return ErrNoPool
	}
	if err != nil {
		return fmt.Errorf("probe hub %s: %w", hub, err)
	}
	return nil
}

func (s *Starter) update(ctx context.Context, name string, in, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	handle, err := s.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
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
