//go:build integration

package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
)

// TestHubRateSetByHandOutlivesTheConfiguration sets a rate from the configuration, changes it, and stops the queue by hand.
func TestHubRateSetByHandOutlivesTheConfiguration(t *testing.T) {
	d := startDev(t)
	rate := func() *taskqueuepb.RateLimitConfig {
		described, err := d.client.WorkflowService().DescribeTaskQueue(t.Context(), &workflowservice.DescribeTaskQueueRequest{
			Namespace: "default", TaskQueue: &taskqueuepb.TaskQueue{Name: "hub-main"}, TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY, ReportConfig: true,
		})
		require.NoError(t, err)
		return described.GetConfig().GetQueueRateLimit()
	}
	for _, each := range []float64{20, 5} {
		require.NoError(t, d.starter.SetHubRate(t.Context(), "default", "main", each))
		require.InDelta(t, each, rate().GetRateLimit().GetRequestsPerSecond(), 0.01)
	}
	_, err := d.client.WorkflowService().UpdateTaskQueueConfig(t.Context(), &workflowservice.UpdateTaskQueueConfigRequest{
		Namespace: "default", TaskQueue: "hub-main", TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY,
		UpdateQueueRateLimit: &workflowservice.UpdateTaskQueueConfigRequest_RateLimitUpdate{RateLimit: &taskqueuepb.RateLimit{}, Reason: "stop"},
	})
	require.NoError(t, err)
	require.NoError(t, d.starter.SetHubRate(t.Context(), "default", "main", 7))
	require.Zero(t, rate().GetRateLimit().GetRequestsPerSecond(), "a stop by hand is left alone")
	require.Equal(t, "stop", rate().GetMetadata().GetReason())
}
