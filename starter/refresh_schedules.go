package starter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/workflows"
)

// RefreshPlan is how often a hub is asked what has changed.
type RefreshPlan struct {
	Hub   string
	Every time.Duration
}

// refreshCatchUp is how late a pass may begin after an outage of the server; one pass makes up for all that were missed.
const refreshCatchUp = time.Minute

// ConfigureRefresh makes the Schedules what the plans say: it adds those that are missing, changes the rhythm of others,
// and removes those of hubs that are not configured any more. A pause by an operator stays.
func (s *Starter) ConfigureRefresh(ctx context.Context, plans []RefreshPlan) error {
	for _, plan := range plans {
		if err := s.planRefresh(ctx, plan); err != nil {
			return fmt.Errorf("schedule the refresh of hub %s: %w", plan.Hub, err)
		}
	}
	listed, err := s.temporal.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: 100})
	if err != nil {
		return fmt.Errorf("list schedules: %w", err)
	}
	for listed.HasNext() {
		entry, err := listed.Next()
		if err != nil {
			return fmt.Errorf("list schedules: %w", err)
		}
		hub, ours := strings.CutPrefix(entry.ID, workflows.RefreshPrefix)
		if !ours || slices.ContainsFunc(plans, func(p RefreshPlan) bool { return p.Hub == hub }) {
			continue
		}
		if err := s.temporal.ScheduleClient().GetHandle(ctx, entry.ID).Delete(ctx); err != nil && !isNotFound(err) {
			return fmt.Errorf("remove schedule %s: %w", entry.ID, err)
		}
	}
	return nil
}

func (s *Starter) planRefresh(ctx context.Context, plan RefreshPlan) error {
	schedules := s.temporal.ScheduleClient()
	spec := client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: plan.Every}}, Jitter: plan.Every / 10}
	handle := schedules.GetHandle(ctx, workflows.RefreshID(plan.Hub))
	known, err := handle.Describe(ctx)
	switch {
	case isNotFound(err):
		_, err = schedules.Create(ctx, client.ScheduleOptions{
			ID: workflows.RefreshID(plan.Hub), Spec: spec, CatchupWindow: refreshCatchUp, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
			Action: &client.ScheduleWorkflowAction{
				ID: workflows.RefreshID(plan.Hub), Workflow: workflows.TypeRefreshHub, TaskQueue: workflows.TaskQueue,
				Args:          []any{workflows.RefreshHubInput{Hub: plan.Hub}},
				StaticSummary: "read again what changed at hub " + plan.Hub,
			},
		})
		if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
			return nil
		}
		return err
	case err != nil:
		return err
	case sameRhythm(known.Schedule.Spec, plan.Every):
		return nil
	}
	return handle.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		in.Description.Schedule.Spec = &spec
		return &client.ScheduleUpdate{Schedule: &in.Description.Schedule}, nil
	}})
}

func sameRhythm(spec *client.ScheduleSpec, every time.Duration) bool {
	return spec != nil && len(spec.Intervals) == 1 && spec.Intervals[0].Every == every
}

// RefreshNow begins a pass over what has changed at a hub, unless one is under way, and does not wait for it.
func (s *Starter) RefreshNow(ctx context.Context, hub string) error {
	err := s.temporal.ScheduleClient().GetHandle(ctx, workflows.RefreshID(hub)).
		Trigger(ctx, client.ScheduleTriggerOptions{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE})
	if isNotFound(err) {
		return fmt.Errorf("hub %q has no schedule for refreshing: run perceptor setup, or start a worker that knows the hub", hub)
	}
	if err != nil {
		return fmt.Errorf("refresh hub %s: %w", hub, err)
	}
	return nil
}
