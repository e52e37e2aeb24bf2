//go:build e2e

package e2e_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// rate is what the server keeps for a hub's queue.
func (d *dev) rate(t *testing.T, hub string) *taskqueuepb.RateLimitConfig {
	t.Helper()
	described, err := d.Client.WorkflowService().DescribeTaskQueue(context.Background(), &workflowservice.DescribeTaskQueueRequest{
		Namespace: "default", TaskQueue: &taskqueuepb.TaskQueue{Name: workflows.HubQueue(hub)}, TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY, ReportConfig: true,
	})
	require.NoError(t, err)
	return described.GetConfig().GetQueueRateLimit()
}

// setRate is what an operator does by hand.
func (d *dev) setRate(t *testing.T, hub string, limit *taskqueuepb.RateLimit, reason string) {
	t.Helper()
	_, err := d.Client.WorkflowService().UpdateTaskQueueConfig(t.Context(), &workflowservice.UpdateTaskQueueConfigRequest{
		Namespace: "default", TaskQueue: workflows.HubQueue(hub), TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY,
		UpdateQueueRateLimit: &workflowservice.UpdateTaskQueueConfigRequest_RateLimitUpdate{RateLimit: limit, Reason: reason},
	})
	require.NoError(t, err)
}

// TestHubRateSetByHandOutlivesTheConfiguration sets a rate from the configuration, changes it, and stops the queue by hand.
func TestHubRateSetByHandOutlivesTheConfiguration(t *testing.T) {
	d := startDev(t)
	perSecond := func() float64 { return float64(d.rate(t, "main").GetRateLimit().GetRequestsPerSecond()) }
	configure := func(each float64) {
		require.NoError(t, d.Starter.Queues.SetHubRate(t.Context(), "default", "main", each))
	}
	stop := func() { require.NoError(t, d.Starter.Queues.StopHubQueue(t.Context(), "default", "main")) }
	open := func() { require.NoError(t, d.Starter.Queues.OpenHubQueue(t.Context(), "default", "main")) }
	for _, each := range []float64{20, 5} {
		configure(each)
		require.InDelta(t, each, perSecond(), 0.01)
	}
	stop()
	require.Zero(t, perSecond())
	configure(8)
	require.Zero(t, perSecond(), "a worker that starts does not open a closed hub's queue")
	stop()
	open()
	require.InDelta(t, 8, perSecond(), 0.01, "the newest configuration holds afterwards")
	stop()
	d.setRate(t, "main", &taskqueuepb.RateLimit{}, "stop")
	open()
	require.Zero(t, perSecond(), "a stop by hand while the hub is tripped stays when the hub is available again")
	configure(7)
	require.Zero(t, perSecond(), "and a worker's start")
	stop()
	open()
	require.Equal(t, "stop", d.rate(t, "main").GetMetadata().GetReason())
	d.setRate(t, "main", nil, "")
	stop()
	open()
	require.Nil(t, d.rate(t, "main").GetRateLimit(), "without a rate before there is none afterwards")
}

// TestAHubThatIsDownIsLeftAlone has a hub fail while a scan waits for it: the queue is stopped, so that nothing calls it
// but the probe, and what was waiting goes on by itself within seconds once it answers again.
func TestAHubThatIsDownIsLeftAlone(t *testing.T) {
	d := startDev(t, "--hub-scan-time", "6s")
	d.StartWorker(t, 0)
	reference, digest := d.PushRandom(t, "down/waiting", 1<<20)
	d.Observe(t, reference, digest)
	d.AwaitStep(t, digest, "AwaitHubScan")
	d.faults(t, `{"switches": {"fail": {"status": 503}}}`)
	rig.Eventually(t, time.Minute, "the queue to be stopped", func() bool {
		return strings.HasPrefix(d.rate(t, "builtin").GetMetadata().GetReason(), "stopped by perceptor")
	})
	require.NotNil(t, d.rate(t, "builtin").GetRateLimit())
	before := d.failed(t)
	time.Sleep(10 * time.Second)
	require.LessOrEqual(t, d.failed(t)-before, 4, "a probe or two, and no poll")
	_, _, err := d.Starter.Images.Findings(t.Context(), model.Verdict{Hub: "builtin"})
	require.ErrorContains(t, err, "the hub has not answered since", "a person reads why the question has no answer")
	d.faults(t, `{}`)
	rig.Eventually(t, time.Minute, "the queue to be open", func() bool { return d.rate(t, "builtin").GetRateLimit() == nil })
	d.AwaitVerdict(t, digest, 20*time.Second)
	require.Equal(t, 1, d.Stats(t).UploadsAccepted)
}

// faults sets the switches of the built-in hub.
func (d *dev) faults(t *testing.T, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "https://"+d.Hub+"/internal/faults", strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Authorization", "token "+d.HubToken)
	request.Header.Set("Content-Type", "application/json")
	response, err := d.HubClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Less(t, response.StatusCode, 300)
}

// failed counts the requests that the switch "fail" has answered.
func (d *dev) failed(t *testing.T) int {
	t.Helper()
	var s struct {
		Hits map[string]int `json:"fault_hits"`
	}
	d.internal(t, "/internal/stats", &s)
	return s.Hits["fail"]
}
