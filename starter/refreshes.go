package starter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Refreshes is the client of the schedules by which every hub is asked what has changed, and of the passes themselves.
type Refreshes struct{ link }

// RefreshPlan is how often a hub is asked what has changed.
type RefreshPlan struct {
	// Hub is the configured name of the hub.
	Hub string
	// Every is the time between two passes; it must be positive.
	Every time.Duration
}

// scheduleCatchUp is how late a scheduled workflow may begin after an outage of the server; one makes up for all that were missed.
const scheduleCatchUp = time.Minute

// Configure adds the Schedules that are missing, and changes the interval of others. A pause by an operator stays.
func (r Refreshes) Configure(ctx context.Context, plans []RefreshPlan) error {
	for _, plan := range plans {
		if err := r.planRefresh(ctx, plan); err != nil {
			return fmt.Errorf("schedule the refresh of hub %s: %w", plan.Hub, err)
		}
	}
	return nil
}

// RemoveOthers removes the Schedules of hubs that are in none of the plans. Only the process whose list of hubs is in use may do so.
func (r Refreshes) RemoveOthers(ctx context.Context, plans []RefreshPlan) error {
	listed, err := r.temporal.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: 100})
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
		if err := r.temporal.ScheduleClient().GetHandle(ctx, entry.ID).Delete(ctx); err != nil && !isNotFound(err) {
			return fmt.Errorf("remove schedule %s: %w", entry.ID, err)
		}
	}
	return nil
}

func (r Refreshes) planRefresh(ctx context.Context, plan RefreshPlan) error {
	return r.schedule(ctx, workflows.RefreshID(plan.Hub), plan.Every, plan.Every/10, &client.ScheduleWorkflowAction{
		ID: workflows.RefreshID(plan.Hub), Workflow: workflows.TypeRefreshHub, TaskQueue: workflows.TaskQueue,
		Args:          []any{workflows.RefreshHubInput{Hub: plan.Hub}},
		StaticSummary: "read again what changed at hub " + plan.Hub,
	})
}

// schedule makes a Schedule that starts a workflow at an interval, or changes the interval of the one there is.
func (l link) schedule(ctx context.Context, id string, every, jitter time.Duration, action *client.ScheduleWorkflowAction) error {
	schedules := l.temporal.ScheduleClient()
	spec := client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: every}}, Jitter: jitter}
	handle := schedules.GetHandle(ctx, id)
	known, err := handle.Describe(ctx)
	switch {
	case isNotFound(err):
		_, err = schedules.Create(ctx, client.ScheduleOptions{
			ID: id, Spec: spec, CatchupWindow: scheduleCatchUp, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, Action: action,
		})
		if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
			return nil
		}
		return err
	case err != nil:
		return err
	case sameInterval(known.Schedule.Spec, every):
		return nil
	}
	return handle.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		in.Description.Schedule.Spec = &spec
		return &client.ScheduleUpdate{Schedule: &in.Description.Schedule}, nil
	}})
}

func sameInterval(spec *client.ScheduleSpec, every time.Duration) bool {
	return spec != nil && len(spec.Intervals) == 1 && spec.Intervals[0].Every == every
}

// Start begins a pass over what has changed at a hub, after the one in progress if there is one. It does not wait for it.
func (r Refreshes) Start(ctx context.Context, hub string) error {
	err := r.temporal.ScheduleClient().GetHandle(ctx, workflows.RefreshID(hub)).
		Trigger(ctx, client.ScheduleTriggerOptions{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE})
	if isNotFound(err) {
		return fmt.Errorf("hub %q has no schedule for refreshing: run perceptor setup, or start a worker that knows the hub", hub)
	}
	if err != nil {
		return fmt.Errorf("refresh hub %s: %w", hub, err)
	}
	return nil
}

// JudgedBy lists the images with a verdict of a hub on one of these project versions, each a model.VersionKey.
func (r Refreshes) JudgedBy(ctx context.Context, hub string, versions []string) ([]activities.JudgedImage, error) {
	if len(versions) == 0 {
		return nil, nil
	}
	quoted := make([]string, len(versions))
	for i, version := range versions {
		quoted[i] = quote(version)
	}
	return r.judged(ctx, hub, fmt.Sprintf("%s IN (%s)", workflows.AttributeHubVersion.GetName(), strings.Join(quoted, ", ")))
}

// JudgedShare lists the images with a verdict of a hub whose digests begin with some hexadecimal digits.
func (r Refreshes) JudgedShare(ctx context.Context, hub, digits string) ([]activities.JudgedImage, error) {
	return r.judged(ctx, hub, fmt.Sprintf("%s STARTS_WITH %s", workflows.AttributeDigest.GetName(), quote(model.DigestPrefix+digits)))
}

func (r Refreshes) judged(ctx context.Context, hub, condition string) ([]activities.JudgedImage, error) {
	query := fmt.Sprintf(`%s AND %s = %s AND %s`, running(workflows.TypeImage), workflows.AttributeHub.GetName(), quote(hub), condition)
	var found []activities.JudgedImage
	err := r.eachListed(ctx, query, func(each *workflowpb.WorkflowExecutionInfo) {
		found = append(found, judgedImage(each.GetSearchAttributes().GetIndexedFields()))
	})
	if err != nil {
		return nil, fmt.Errorf("list the images judged by hub %s: %w", hub, err)
	}
	return found, nil
}

func judgedImage(fields map[string]*commonpb.Payload) activities.JudgedImage {
	var j activities.JudgedImage
	readField(fields, workflows.AttributeDigest, &j.Digest)
	readField(fields, workflows.AttributeHubVersion, &j.Version)
	readField(fields, workflows.AttributeAsOf, &j.AsOf)
	return j
}

// Judge sends a hub's newer verdict to an image. It reports false when no such image is known.
func (r Refreshes) Judge(ctx context.Context, d model.Digest, v model.Verdict) (bool, error) {
	err := r.signal(ctx, workflows.ImageID(d), workflows.SignalJudged.Name, workflows.Judged{Verdict: v})
	if isNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// RescanLost asks for a new scan when the image still shows a verdict that the hub no longer has, and no scan is in progress.
func (r Refreshes) RescanLost(ctx context.Context, d model.Digest, hub, version string) (bool, error) {
	view, err := Images(r).View(ctx, d)
	if errors.Is(err, ErrUnknownImage) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	shown := slices.ContainsFunc(view.Verdicts, func(v model.Verdict) bool {
		return v.Hub == hub && model.VersionKey(v.VersionURL) == version
	})
	if !shown || view.Scanning {
		return false, nil
	}
	err = Images(r).Rescan(ctx, d, workflows.Rescan{
		Reason: "hub " + hub + " no longer has its verdict", Priority: workflows.PriorityBackground, LostHub: hub, LostVersion: version,
	})
	if errors.Is(err, ErrUnknownImage) {
		return false, nil
	}
	return err == nil, err
}
