package activities

import (
	"context"

	"go.temporal.io/sdk/activity"
)

// Queues are the task queues of the hubs, as the server keeps them.
type Queues interface {
	// StopHubQueue lets the server hand out nothing from a hub's queue, until OpenHubQueue. A rate set by hand stays as it is.
	StopHubQueue(ctx context.Context, namespace, hub string) error
	// OpenHubQueue ends what StopHubQueue began, and nothing else.
	OpenHubQueue(ctx context.Context, namespace, hub string) error
}

// SwitchQueueInput says whether steps for a hub may start.
type SwitchQueueInput struct {
	Hub  string `json:"hub"`
	Open bool   `json:"open"`
}

// SwitchQueue stops or opens a hub's queue: steps that are under way or due for another try then wait at the server,
// and no longer call a hub that is down.
func (s *PoolSteps) SwitchQueue(ctx context.Context, in SwitchQueueInput) error {
	namespace := activity.GetInfo(ctx).Namespace
	if in.Open {
		return asApplicationError(s.queues.OpenHubQueue(ctx, namespace, in.Hub))
	}
	return asApplicationError(s.queues.StopHubQueue(ctx, namespace, in.Hub))
}
