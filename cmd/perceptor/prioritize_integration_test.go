//go:build integration

package main_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// TestRaisedImageGoesFirst has images wait for a scanner, and raises the one that came last: it is scanned before all others.
func TestRaisedImageGoesFirst(t *testing.T) {
	d := startDev(t)
	d.worker(t, 0, "--roles", "workflows,hub")
	var waiting []model.Digest
	for i := range 6 {
		reference, digest := d.push(t, fmt.Sprintf("raise/image-%d", i), 1<<10)
		d.observe(t, reference, digest)
		waiting = append(waiting, digest)
		eventually(t, time.Minute, "the image to wait in the backlog", func() bool {
			now, err := d.starter.Scans.CurrentStep(t.Context(), digest)
			return err == nil && now.Step == "PullImage" && now.Waiting
		})
	}
	raised := waiting[len(waiting)-1]
	said := d.perceptor(t, "prioritize", string(raised))
	require.Zero(t, said.code, said.stderr)
	require.Equal(t, string(raised)+" moves to the front of the queue\n", said.stdout)
	eventually(t, time.Minute, "the pull to be alone before all others in the queue", func() bool {
		described, err := d.client.WorkflowService().DescribeTaskQueue(t.Context(), &workflowservice.DescribeTaskQueueRequest{
			Namespace: "default", TaskQueue: &taskqueuepb.TaskQueue{Name: workflows.PullQueue(workflows.DefaultDomain)},
			TaskQueueType: enumspb.TASK_QUEUE_TYPE_ACTIVITY, ReportStats: true,
		})
		return err == nil && described.GetStatsByPriorityKey()[1].GetApproximateBacklogCount() == 1
	})
	d.worker(t, 1, "--roles", "scan", "--workspaces", "1")
	started := map[model.Digest]time.Time{}
	for _, digest := range waiting {
		d.complete(t, digest, 2*time.Minute)
		started[digest] = d.pulledAt(t, digest)
	}
	slices.SortFunc(waiting, func(a, b model.Digest) int { return started[a].Compare(started[b]) })
	for _, digest := range waiting {
		t.Logf("%s pulled at %s", digest, started[digest].Format(time.StampMilli))
	}
	require.Equal(t, raised, waiting[0])
	unknown := d.perceptor(t, "prioritize", "sha256:"+fmt.Sprintf("%064d", 7))
	require.Equal(t, exitTrouble, unknown.code)
	require.Contains(t, unknown.stderr, "no such image is known")
}

// pulledAt is when a scanner began to pull an image.
func (d *dev) pulledAt(t *testing.T, digest model.Digest) time.Time {
	t.Helper()
	history := d.client.GetWorkflowHistory(t.Context(), workflows.ScanImageID(digest), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
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
