package starter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Queues is the client of the task queues of the hubs: how many steps a second the server gives out of each.
type Queues struct{ link }

// The reason of a rate says who set it. A reason that begins like these is Perceptor's: from the configuration, or 0 while
// the hub is tripped, followed by the reason that holds again afterwards. Any other is an operator's, such as an emergency
// stop, and is left alone.
const (
	rateReason = "configured in perceptor: "
	stopReason = "stopped by perceptor until the hub answers; then "
)

// SetHubRate limits how many steps a second the server gives out of a hub's queue; each makes at most three calls to the
// hub. It writes only when no rate is set, or when the present one came from an earlier configuration: a rate set by hand
// outlives every start of a worker. A rate of 0 sets no limit. A server that keeps no rates is an error of class unsupported.
func (q Queues) SetHubRate(ctx context.Context, namespace, hub string, perSecond float64) error {
	present, err := q.hubRate(ctx, namespace, hub)
	if err != nil {
		return err
	}
	wanted, was := rateReason+fmt.Sprint(perSecond), present.GetMetadata().GetReason()
	then, stopped := strings.CutPrefix(was, stopReason)
	switch {
	case stopped && then == wanted, !stopped && was == wanted, isForeign(present):
		return nil
	case stopped:
		return q.writeHubRate(ctx, namespace, hub, &taskqueuepb.RateLimit{}, stopReason+wanted)
	case perSecond == 0 && present.GetRateLimit() == nil:
		return nil
	}
	return q.writeHubRate(ctx, namespace, hub, rateLimit(perSecond), wanted)
}

// StopHubQueue lets the server give out nothing from a hub's queue, until OpenHubQueue. A rate set by hand stays as it is.
func (q Queues) StopHubQueue(ctx context.Context, namespace, hub string) error {
	present, err := q.hubRate(ctx, namespace, hub)
	if err != nil {
		return err
	}
	was := present.GetMetadata().GetReason()
	if isForeign(present) || strings.HasPrefix(was, stopReason) {
		return nil
	}
	if !strings.HasPrefix(was, rateReason) {
		was = rateReason + "0"
	}
	return q.writeHubRate(ctx, namespace, hub, &taskqueuepb.RateLimit{}, stopReason+was)
}

// OpenHubQueue undoes StopHubQueue, and nothing else: the rate is again the configured one.
func (q Queues) OpenHubQueue(ctx context.Context, namespace, hub string) error {
	present, err := q.hubRate(ctx, namespace, hub)
	if err != nil {
		return err
	}
	then, stopped := strings.CutPrefix(present.GetMetadata().GetReason(), stopReason)
	if !stopped {
		return nil
	}
	perSecond, err := strconv.ParseFloat(strings.TrimPrefix(then, rateReason), 64)
	if err != nil {
		perSecond = 0 // the next worker that starts sets it right
	}
	return q.writeHubRate(ctx, namespace, hub, rateLimit(perSecond), then)
}

// isForeign reports whether a rate was set by someone else.
func isForeign(present *taskqueuepb.RateLimitConfig) bool {
	reason := present.GetMetadata().GetReason()
	return present.GetRateLimit() != nil && !strings.HasPrefix(reason, rateReason) && !strings.HasPrefix(reason, stopReason)
}

// rateLimit is nil for no limit.
func rateLimit(perSecond float64) *taskqueuepb.RateLimit {
	if perSecond <= 0 {
		return nil
	}
	return &taskqueuepb.RateLimit{RequestsPerSecond: float32(perSecond)}
}

func (q Queues) writeHubRate(ctx context.Context, namespace, hub string, limit *taskqueuepb.RateLimit, reason string) error {
	_, err := q.temporal.WorkflowService().UpdateTaskQueueConfig(ctx, &workflowservice.UpdateTaskQueueConfigRequest{
		Namespace: namespace, Identity: "perceptor", TaskQueue: workflows.HubQueue(hub), TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY,
		UpdateQueueRateLimit: &workflowservice.UpdateTaskQueueConfigRequest_RateLimitUpdate{RateLimit: limit, Reason: reason},
	})
	if err != nil {
		return fmt.Errorf("set the rate of queue %s: %w", workflows.HubQueue(hub), asNoRates(err))
	}
	return nil
}

// noRates is the error of a server that keeps no rates, or does not let Perceptor set them.
type noRates struct{ error }

func (noRates) FailureClass() model.FailureClass { return model.Unsupported }
func (noRates) RetryAfter() time.Duration        { return 0 }
func (e noRates) Unwrap() error                  { return e.error }

func asNoRates(err error) error {
	var unknown *serviceerror.Unimplemented
	var denied *serviceerror.PermissionDenied
	if errors.As(err, &unknown) || errors.As(err, &denied) {
		return noRates{err}
	}
	return err
}

// hubRate is the rate a hub's queue has; nil without one.
func (q Queues) hubRate(ctx context.Context, namespace, hub string) (*taskqueuepb.RateLimitConfig, error) {
	queue := workflows.HubQueue(hub)
	described, err := q.temporal.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue}, TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY, ReportConfig: true,
	})
	if err != nil {
		return nil, fmt.Errorf("read the rate of queue %s: %w", queue, err)
	}
	return described.GetConfig().GetQueueRateLimit(), nil
}
