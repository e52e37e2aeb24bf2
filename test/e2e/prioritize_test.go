//go:build e2e

package e2e_test

import (
	"fmt"
	"slices"
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

// TestRaisedImageGoesFirst has images wait for a scanner, and prioritizes the one that came last: it is scanned before all others.
func TestRaisedImageGoesFirst(t *testing.T) {
	d := startDev(t)
	d.StartWorker(t, 0, "--roles", "workflows,hub")
	var waiting []model.Digest
	for i := range 6 {
		reference, digest := d.PushRandom(t, fmt.Sprintf("prioritize/image-%d", i), 1<<10)
		d.Observe(t, reference, digest)
		waiting = append(waiting, digest)
		rig.Eventually(t, time.Minute, "the image to wait in the backlog", func() bool {
			now, err := d.Starter.Scans.CurrentStep(t.Context(), digest)
			return err == nil && now.Step == "PullImage" && now.Waiting
		})
	}
	prioritized := waiting[len(waiting)-1]
	said := d.perceptor(t, "prioritize", string(prioritized))
	require.Zero(t, said.Code, said.Stderr)
	require.Equal(t, string(prioritized)+" moves to the front of the queue\n", said.Stdout)
	rig.Eventually(t, time.Minute, "the pull to be alone before all others in the queue", func() bool {
		described, err := d.Client.WorkflowService().DescribeTaskQueue(t.Context(), &workflowservice.DescribeTaskQueueRequest{
			Namespace: "default", TaskQueue: &taskqueuepb.TaskQueue{Name: workflows.PullQueue(workflows.DefaultDomain)},
			TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY, ReportStats: true,
		})
		return err == nil && described.GetStatsByPriorityKey()[1].GetApproximateBacklogCount() == 1
	})
	d.StartWorker(t, 1, "--roles", "scan", "--workspaces", "1")
	started := map[model.Digest]time.Time{}
	for _, digest := range waiting {
		d.AwaitVerdict(t, digest, 2*time.Minute)
		started[digest] = d.pulledAt(t, digest)
	}
	slices.SortFunc(waiting, func(a, b model.Digest) int { return started[a].Compare(started[b]) })
	for _, digest := range waiting {
		t.Logf("%s pulled at %s", digest, started[digest].Format(time.StampMilli))
	}
	require.Equal(t, prioritized, waiting[0])
	unknown := d.perceptor(t, "prioritize", "sha256:"+fmt.Sprintf("%064d", 7))
	require.Equal(t, exitTrouble, unknown.Code)
	require.Contains(t, unknown.Stderr, "no such image is known")
}

// pulledAt is when a scanner began to pull an image.
func (d *dev) pulledAt(t *testing.T, digest model.Digest) time.Time {
	t.Helper()
	history := d.Client.GetWorkflowHistory(t.Context(), workflows.ScanImageID(digest), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	var pull int64
	for history.HasNext() {
		event, err := history.Next()
		require.NoError(t, err)
		if event.GetActivityTaskScheduledEventAttributes().GetActivityId() == "pull-1" {
			pull = event.GetEventId()
		}
		if start := event.GetActivityTaskStartedEventAttributes(); pull != 0 && start.GetScheduledEventId() == pull {
			return event.GetEventTime().AsTime()
		}
	}
	require.Fail(t, "never pulled", "%s", digest)
	return time.Time{}
}
