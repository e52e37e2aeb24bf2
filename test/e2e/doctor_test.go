//go:build e2e

package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// startBroken starts a workflow whose task fails again and again: no worker has its type.
func (h *hostileSystem) startBroken(t *testing.T, id string) {
	t.Helper()
	h.sent.Add(1)
	_, err := h.Client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: workflows.TaskQueue}, "NoSuchType")
	require.NoError(t, err)
}

// TestDoctor wedges the workflow of an image. Everything says so: doctor, hub status, explain and the metric. Doctor repairs it, and
// leaves the others alone.
func TestDoctor(t *testing.T) {
	h := &hostileSystem{dev: startDev(t), judged: map[model.Digest]bool{}}
	h.LoadComplete(t)
	h.StartWorker(t, 0)
	h.scanNew(t, "doctor/first")
	reference, wedged := h.PushApp(t, "doctor/wedged", 1000)
	h.judged[wedged] = true
	doctor := func(args ...string) rig.Outcome {
		return rig.Run(t, "perceptor", append([]string{"doctor", "--dev", h.Directory}, args...)...)
	}
	fine := doctor()
	require.Zero(t, fine.Code, fine.Stderr)
	require.Contains(t, fine.Stdout, "every workflow goes on by itself")
	rig.Eventually(t, 90*time.Second, "the metric to say that nothing is stuck", func() bool { return h.stuckMetric(t) == 0 })
	pool := h.runOf(t, workflows.HubPoolID)

	id := workflows.ImageID(wedged)
	h.startBroken(t, id)
	rig.Eventually(t, 3*time.Minute, "the watchdog to see the wedged image", func() bool {
		found, err := h.Starter.Watch.Last(t.Context())
		return err == nil && found.StuckCount == 1
	})
	ill := doctor()
	require.Equal(t, 2, ill.Code)
	require.Contains(t, ill.Stdout, id)
	require.Contains(t, ill.Stdout, "terminate it", "the remedy")
	require.Contains(t, ill.Stderr, "--repair")
	status := rig.Run(t, "perceptor", "hub", "status", "--dev", h.Directory)
	require.Contains(t, status.Stdout, "stuck   "+id)
	explained := rig.Run(t, "perceptor", "explain", string(wedged), "--dev", h.Directory)
	require.Equal(t, 2, explained.Code)
	require.Contains(t, explained.Stderr, id+" cannot go on")
	rig.Eventually(t, time.Minute, "the metric", func() bool { return h.stuckMetric(t) == 1 })

	mended := doctor("--repair")
	require.Zero(t, mended.Code, mended.Stderr)
	rig.Eventually(t, 30*time.Second, "doctor to find nothing", func() bool { return doctor().Code == 0 })
	require.Equal(t, pool, h.runOf(t, workflows.HubPoolID), "what was well is left alone")
	h.Observe(t, reference, wedged)
	h.AwaitVerdict(t, wedged, time.Minute)

	// A pool that is wedged is replaced by the workers, without doctor.
	h.end(t, workflows.HubPoolID)
	h.startBroken(t, workflows.HubPoolID)
	rig.Eventually(t, 2*time.Minute, "another pool", func() bool {
		status, err := h.Starter.Pool.Status(t.Context())
		return err == nil && len(status.Hubs) == 1
	})
	h.scanNew(t, "doctor/last")
}

func (h *hostileSystem) runOf(t *testing.T, id string) string {
	t.Helper()
	described, err := h.Client.DescribeWorkflowExecution(t.Context(), id, "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, described.GetWorkflowExecutionInfo().GetStatus())
	return described.GetWorkflowExecutionInfo().GetExecution().GetRunId()
}

// stuckMetric reads how many workflows the metric counts as stuck; -1 while it is not known.
func (h *hostileSystem) stuckMetric(t *testing.T) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.API+"/metrics", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	for n, line := range []string{"perceptor_core_workflows_stuck 0\n", "perceptor_core_workflows_stuck 1\n"} {
		if strings.Contains(string(text), line) {
			return n
		}
	}
	return -1
}
