package workflows_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/workflows"
	"github.com/perceptor/perceptor/workflows/cluster"
	"github.com/perceptor/perceptor/workflows/image"
	"github.com/perceptor/perceptor/workflows/inventory"
	"github.com/perceptor/perceptor/workflows/pool"
	"github.com/perceptor/perceptor/workflows/refresh"
	"github.com/perceptor/perceptor/workflows/scan"
	"github.com/perceptor/perceptor/workflows/watchdog"
)

// TestRecordedHistoriesReplay replays what earlier builds did on a real server. A change that fails here would break
// workflows that are running: put it behind workflow.GetVersion.
func TestRecordedHistoriesReplay(t *testing.T) {
	histories, err := filepath.Glob("testdata/replay/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, histories)
	for _, history := range histories {
		t.Run(filepath.Base(history), func(t *testing.T) {
			replayer := worker.NewWorkflowReplayer()
			replayer.RegisterWorkflowWithOptions(scan.ScanImage, workflow.RegisterOptions{Name: workflows.TypeScanImage})
			replayer.RegisterWorkflowWithOptions(image.Image, workflow.RegisterOptions{Name: workflows.TypeImage})
			replayer.RegisterWorkflowWithOptions(pool.HubPool, workflow.RegisterOptions{Name: workflows.TypeHubPool})
			replayer.RegisterWorkflowWithOptions(inventory.Inventory, workflow.RegisterOptions{Name: workflows.TypeInventory})
			replayer.RegisterWorkflowWithOptions(cluster.Cluster, workflow.RegisterOptions{Name: workflows.TypeCluster})
			replayer.RegisterWorkflowWithOptions(refresh.RefreshHub, workflow.RegisterOptions{Name: workflows.TypeRefreshHub})
			replayer.RegisterWorkflowWithOptions(watchdog.Watchdog, workflow.RegisterOptions{Name: workflows.TypeWatchdog})
			file, err := os.Open(history)
			require.NoError(t, err)
			defer file.Close() //nolint:errcheck // only read
			events, err := client.HistoryFromJSON(file, client.HistoryJSONOptions{})
			require.NoError(t, err)
			// What a workflow is about is a part of its ID.
			id := events.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetWorkflowId()
			require.NotEmpty(t, id)
			require.NoError(t, replayer.ReplayWorkflowHistoryWithOptions(nil, events, worker.ReplayWorkflowHistoryOptions{
				OriginalExecution: workflow.Execution{ID: id},
			}))
		})
	}
}
