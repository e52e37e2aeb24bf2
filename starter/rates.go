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

// A rate's reason says whose it is. One that begins like these is ours: from the configuration, or 0 while the circuit
// breaker keeps the hub closed, with the reason that holds again afterwards behind it. Any other is an operator's, such as
// an emergency stop, and is left alone.
const (
	rateReason = "configured in perceptor: "
	stopReason = "closed by perceptor until the hub answers; then "
)

// SetHubRate bounds how many steps a second the server hands out of a hub's queue; each makes at most three calls. It
// writes only when no rate is set, or when the one that is came from an earlier configuration: a rate somebody has set by
// hand outlives every start of a worker. A rate of 0 sets no bound.
func (s *Starter) SetHubRate(ctx context.Context, namespace, hub string, perSecond float64) error {
	present, err := s.hubRate(ctx, namespace, hub)
	if err != nil {
		return err
	}
	wanted, was := rateReason+fmt.Sprint(perSecond), present.GetMetadata().GetReason()
	then, stopped := strings.CutPrefix(was, stopReason)
	switch {
	case stopped && then == wanted, !stopped && was == wanted, isForeign(present):
		return nil
	case stopped:
		return s.writeHubRate(ctx, namespace, hub, &taskqueuepb.RateLimit{}, stopReason+wanted)
	case perSecond == 0 && present.GetRateLimit() == nil:
		return nil
	}
	return s.writeHubRate(ctx, namespace, hub, rateLimit(perSecond), wanted)
}

// StopHubQueue lets the server hand out nothing from a hub's queue, until OpenHubQueue. A rate set by hand stays as it is.
func (s *Starter) StopHubQueue(ctx context.Context, namespace, hub string) error {
	present, err := s.hubRate(ctx, namespace, hub)
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
	return s.writeHubRate(ctx, namespace, hub, &taskqueuepb.RateLimit{}, stopReason+was)
}

// OpenHubQueue ends what StopHubQueue began, and nothing else: the rate is again what the configuration says.
func (s *Starter) OpenHubQueue(ctx context.Context, namespace, hub string) error {
	present, err := s.hubRate(ctx, namespace, hub)
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
	return s.writeHubRate(ctx, namespace, hub, rateLimit(perSecond), then)
}

// isForeign reports whether a rate was set by somebody else.
func isForeign(present *taskqueuepb.RateLimitConfig) bool {
	reason := present.GetMetadata().GetReason()
	return present.GetRateLimit() != nil && !strings.HasPrefix(reason, rateReason) && !strings.HasPrefix(reason, stopReason)
}

// rateLimit is nil for no bound.
func rateLimit(perSecond float64) *taskqueuepb.RateLimit {
	if perSecond <= 0 {
		return nil
	}
	return &taskqueuepb.RateLimit{RequestsPerSecond: float32(perSecond)}
}

func (s *Starter) writeHubRate(ctx context.Context, namespace, hub string, limit *taskqueuepb.RateLimit, reason string) error {
	_, err := s.temporal.WorkflowService().UpdateTaskQueueConfig(ctx, &workflowservice.UpdateTaskQueueConfigRequest{
		Namespace: namespace, Identity: "perceptor", TaskQueue: workflows.HubQueue(hub), TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY,
		UpdateQueueRateLimit: &workflowservice.UpdateTaskQueueConfigRequest_RateLimitUpdate{RateLimit: limit, Reason: reason},
	})
	if err != nil {
		return fmt.Errorf("set the rate of queue %s: %w", workflows.HubQueue(hub), asNoRates(err))
	}
	return nil
}

// noRates is the answer of a server that keeps no rates, or not for us.
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
func (s *Starter) hubRate(ctx context.Context, namespace, hub string) (*taskqueuepb.RateLimitConfig, error) {
	queue := workflows.HubQueue(hub)
	described, err := s.temporal.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue}, TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY, ReportConfig: true,
	})
	if err != nil {
		return nil, fmt.Errorf("read the rate of queue %s: %w", queue, err)
	}
	return described.GetConfig().GetQueueRateLimit(), nil
}
