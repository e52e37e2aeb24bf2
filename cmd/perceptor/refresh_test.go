//go:build integration || record

package main_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/internal/devdir"
	"github.com/perceptor/perceptor/internal/hub/blackduck"
	"github.com/perceptor/perceptor/workflows"
)

// refresh has the hub asked now and answers with what that pass did, and its workflow id.
func (d *dev) refresh(t *testing.T) (workflows.RefreshState, string) {
	t.Helper()
	handle := d.client.ScheduleClient().GetHandle(t.Context(), workflows.RefreshID("builtin"))
	described, err := handle.Describe(t.Context())
	require.NoError(t, err)
	known := described.Info.NumActions
	require.NoError(t, d.starter.Refreshes.Start(t.Context(), "builtin"))
	var state workflows.RefreshState
	var id string
	eventually(t, 30*time.Second, "a pass to end", func() bool {
		described, err = handle.Describe(context.Background())
		if err != nil || described.Info.NumActions <= known || len(described.Info.RunningWorkflows) > 0 {
			return false
		}
		recent := described.Info.RecentActions
		started := recent[len(recent)-1].StartWorkflowResult
		id = started.WorkflowID
		return d.client.GetWorkflow(context.Background(), id, started.FirstExecutionRunID).Get(context.Background(), &state) == nil
	})
	require.Nil(t, state.Trouble)
	return state, id
}

// deleteAtHub removes a project version, as a person would at the hub.
func (d *dev) deleteAtHub(t *testing.T, address string) {
	t.Helper()
	told := devdir.Hub(d.directory, d.Hub)
	hub, err := blackduck.New(blackduck.Options{Name: told.Name, URL: told.URL, TokenFile: told.TokenFile, CAFile: told.CAFile})
	require.NoError(t, err)
	defer hub.Close()
	require.NoError(t, hub.DeleteVersion(t.Context(), address))
}
