package starter

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/mocks"
	"google.golang.org/grpc"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// rates is a server that keeps the rate of one queue.
type rates struct {
	workflowservice.WorkflowServiceClient
	rate   *taskqueuepb.RateLimitConfig
	writes int
	err    error
}

func (r *rates) DescribeTaskQueue(_ context.Context, in *workflowservice.DescribeTaskQueueRequest, _ ...grpc.CallOption) (*workflowservice.DescribeTaskQueueResponse, error) {
	if in.GetTaskQueue().GetName() != workflows.HubQueue("main") {
		return nil, serviceerror.NewNotFound("another queue")
	}
	return &workflowservice.DescribeTaskQueueResponse{Config: &taskqueuepb.TaskQueueConfig{QueueRateLimit: r.rate}}, nil
}

func (r *rates) UpdateTaskQueueConfig(
	_ context.Context, in *workflowservice.UpdateTaskQueueConfigRequest, _ ...grpc.CallOption,
) (*workflowservice.UpdateTaskQueueConfigResponse, error) {
	if r.err != nil {
		return nil, r.err
	}
	update := in.GetUpdateQueueRateLimit()
	r.rate = &taskqueuepb.RateLimitConfig{RateLimit: update.GetRateLimit(), Metadata: &taskqueuepb.ConfigMetadata{Reason: update.GetReason()}}
	r.writes++
	return &workflowservice.UpdateTaskQueueConfigResponse{}, nil
}

func (r *rates) perSecond() float32 { return r.rate.GetRateLimit().GetRequestsPerSecond() }

func queues(t *testing.T) (Queues, *rates) {
	t.Helper()
	c, r := mocks.NewClient(t), &rates{}
	c.On("WorkflowService").Return(r)
	return New(c).Queues, r
}

func TestRateOfAHubOutlivesItsBreakdown(t *testing.T) {
	q, r := queues(t)
	ctx := t.Context()
	require.NoError(t, q.SetHubRate(ctx, "default", "main", 5))
	require.InDelta(t, 5, r.perSecond(), 0)
	require.NoError(t, q.StopHubQueue(ctx, "default", "main"))
	require.NotNil(t, r.rate.GetRateLimit())
	require.InDelta(t, 0, r.perSecond(), 0)
	require.NoError(t, q.SetHubRate(ctx, "default", "main", 7), "a worker starts while the hub is tripped")
	require.InDelta(t, 0, r.perSecond(), 0)
	require.NoError(t, q.OpenHubQueue(ctx, "default", "main"))
	require.InDelta(t, 7, r.perSecond(), 0)
	writes := r.writes
	require.NoError(t, q.SetHubRate(ctx, "default", "main", 7))
	require.NoError(t, q.OpenHubQueue(ctx, "default", "main"))
	require.Equal(t, writes, r.writes, "nothing has changed")
}

func TestRateSetByHandIsLeftAlone(t *testing.T) {
	q, r := queues(t)
	r.rate = &taskqueuepb.RateLimitConfig{RateLimit: &taskqueuepb.RateLimit{RequestsPerSecond: 1}, Metadata: &taskqueuepb.ConfigMetadata{Reason: "emergency"}}
	require.NoError(t, q.SetHubRate(t.Context(), "default", "main", 5))
	require.NoError(t, q.StopHubQueue(t.Context(), "default", "main"))
	require.NoError(t, q.OpenHubQueue(t.Context(), "default", "main"))
	require.Zero(t, r.writes)
}

func TestServerWithoutRates(t *testing.T) {
	q, r := queues(t)
	r.err = serviceerror.NewUnimplemented("unknown method")
	err := q.StopHubQueue(t.Context(), "default", "main")
	class, _ := activities.ClassOf(err)
	require.Equal(t, model.Unsupported, class)
}
