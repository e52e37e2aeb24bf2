package apibackend

import (
	"cmp"
	"context"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Hubs asks the pool for its hubs, leases and waiting scans.
func (b *Backend) Hubs(ctx context.Context) (api.HubsView, error) {
	status, err := b.starter.Pool.Status(ctx)
	if err != nil {
		return api.HubsView{}, explained(err)
	}
	view := api.HubsView{
		Hubs: []api.Hub{}, Leases: []api.Lease{}, Waiters: []api.Waiter{},
		ColdUntil: status.ColdUntil, ColdWaitsFor: status.ColdWaitsFor, Problem: status.Problem,
	}
	if status.Conflict != nil {
		view.Conflict = cmp.Or(status.Conflict.From, "a process without a name")
	}
	for _, h := range status.Hubs {
		view.Hubs = append(view.Hubs, api.Hub(h))
	}
	for _, l := range status.Leases {
		view.Leases = append(view.Leases, api.Lease{Digest: l.Digest, Hub: l.Hub, State: string(l.State), GrantedAt: l.GrantedAt})
	}
	for _, w := range status.Waiters {
		view.Waiters = append(view.Waiters, api.Waiter{Digest: w.Digest, Since: w.Since, WaitsFor: w.WaitsFor})
	}
	stuck, err := b.Stuck(ctx)
	if view.Stuck = stuck.Workflows; err != nil {
		view.NotWatched = err.Error()
	}
	return view, nil
}

// Stuck reads what the last look of the watchdog found.
func (b *Backend) Stuck(ctx context.Context) (api.Stuck, error) {
	found, err := b.starter.Watch.Last(ctx)
	if err != nil {
		return api.Stuck{}, explained(err)
	}
	stuck := api.Stuck{At: found.At, Count: found.StuckCount}
	for _, each := range found.Stuck {
		stuck.Workflows = append(stuck.Workflows, api.StuckWorkflow{WorkflowID: each.WorkflowID, Problem: each.Problem, Remedy: each.Remedy})
	}
	return stuck, nil
}

// LimitHub changes how many scans a hub may have at a time.
func (b *Backend) LimitHub(ctx context.Context, hub string, limit int) (api.Hub, error) {
	return hubOf(b.starter.Pool.SetLimit(ctx, workflows.HubLimit{Hub: hub, Limit: limit}))
}

// PauseHub keeps new scans from a hub until ResumeHub.
func (b *Backend) PauseHub(ctx context.Context, hub string) (api.Hub, error) {
	return hubOf(b.starter.Pool.Pause(ctx, hub))
}

// ResumeHub ends a pause.
func (b *Backend) ResumeHub(ctx context.Context, hub string) (api.Hub, error) {
	return hubOf(b.starter.Pool.Resume(ctx, hub))
}

// RetryHub asks a tripped hub again now.
func (b *Backend) RetryHub(ctx context.Context, hub string) error {
	return explained(b.starter.Pool.Probe(ctx, hub))
}

// ResetLeases releases the lease of an image, or every stuck lease without one. It names the images.
func (b *Backend) ResetLeases(ctx context.Context, d model.Digest) ([]model.Digest, error) {
	answer, err := b.starter.Pool.ResetLeases(ctx, workflows.LeaseReset{Digest: d, Stuck: d == ""})
	return answer.Freed, explained(err)
}

func hubOf(h workflows.HubStatus, err error) (api.Hub, error) {
	return api.Hub(h), explained(err)
}
