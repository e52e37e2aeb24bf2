package starter

import (
	"context"
	"fmt"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/perceptor/perceptor/workflows"
)

// rateReason marks a rate as one from the configuration. Any other reason is an operator's, such as an emergency stop,
// and is left alone.
const rateReason = "configured in perceptor: "

// SetHubRate bounds how many steps a second the server hands out of a hub's queue; each makes at most three calls. It
// writes only when no rate is set, or when the one that is came from an earlier configuration: a rate somebody has set by
// hand outlives every start of a worker. A rate of 0 sets no bound.
func (s *Starter) SetHubRate(ctx context.Context, namespace, hub string, perSecond float64) error {
	queue := workflows.HubQueue(hub)
	present, err := s.hubRate(ctx, namespace, queue)
	if err != nil {
		return err
	}
	wanted := rateReason + fmt.Sprint(perSecond)
	was := present.GetMetadata().GetReason()
	foreign := present.GetRateLimit() != nil && !strings.HasPrefix(was, rateReason)
	if foreign || was == wanted || perSecond == 0 && present.GetRateLimit() == nil {
		return nil
	}
	update := &workflowservice.UpdateTaskQueueConfigRequest_RateLimitUpdate{Reason: wanted}
	if perSecond > 0 {
		update.RateLimit = &taskqueuepb.RateLimit{RequestsPerSecond: float32(perSecond)}
	}
	_, err = s.temporal.WorkflowService().UpdateTaskQueueConfig(ctx, &workflowservice.UpdateTaskQueueConfigRequest{
		Namespace: namespace, Identity: "perceptor", TaskQueue: queue, TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY, UpdateQueueRateLimit: update,
	})
	if err != nil {
		return fmt.Errorf("set the rate of queue %s: %w", queue, err)
	}
	return nil
}

// hubRate is the rate a queue has; nil without one.
func (s *Starter) hubRate(ctx context.Context, namespace, queue string) (*taskqueuepb.RateLimitConfig, error) {
	described, err := s.temporal.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue}, TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY, ReportConfig: true,
	})
	if err != nil {
		return nil, fmt.Errorf("read the rate of queue %s: %w", queue, err)
	}
	return described.GetConfig().GetQueueRateLimit(), nil
}
