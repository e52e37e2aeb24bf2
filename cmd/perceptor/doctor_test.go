package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStuckWorkflowsAreShown shows what the watchdog found where people look, and says so where it has not looked.
func TestStuckWorkflowsAreShown(t *testing.T) {
	f := newFake(t)
	f.watched = `{"stuck":[{"workflowID":"inventory/east/shop","problem":"its workflow task fails again and again"}],"stuckCount":7}`
	shown := f.command(t, "hub", "status")
	require.Equal(t, exitOK, shown.code, shown.problems)
	require.Contains(t, shown.out, "stuck   inventory/east/shop: its workflow task fails again and again; perceptor doctor shows what to do")
	require.Contains(t, shown.out, "and 6 more")
	require.Contains(t, f.command(t, "hub", "status", "-o", "json").out, `"stuckCount": 7`)

	f.unwatched = true
	require.Contains(t, f.command(t, "hub", "status").out, "Whether a workflow is stuck is not known: ")
	require.Contains(t, f.command(t, "hub", "status", "-o", "json").out, `"notWatched": "`)

	fine := newFake(t)
	require.NotContains(t, fine.command(t, "hub", "status").out, "stuck  ")
}
