package workflows_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"

	"github.com/perceptor/perceptor/workflows"
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
			replayer.RegisterWorkflow(workflows.ScanImage)
			replayer.RegisterWorkflow(workflows.Image)
			replayer.RegisterWorkflow(workflows.HubPool)
			replayer.RegisterWorkflow(workflows.Inventory)
			replayer.RegisterWorkflow(workflows.Cluster)
			replayer.RegisterWorkflow(workflows.RefreshHub)
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(nil, history))
		})
	}
}
