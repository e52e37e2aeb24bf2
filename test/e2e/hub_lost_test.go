//go:build e2e

package e2e_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/fault"
	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// TestHubThatLostItsDatabase deletes the database of one of two hubs while everything runs. Its images turn UNKNOWN and are scanned again.
// The other hub is killed and keeps its database: its images are left alone, without one upload.
func TestHubThatLostItsDatabase(t *testing.T) {
	b := startSystem(t)
	lost, kept := rig.StartHub(t, b.System, "lost", 2, fault.Faults{}), rig.StartHub(t, b.System, "kept", 2, fault.Faults{})
	b.Hubs = []*rig.HubProcess{lost, kept}
	b.Configure(t, rig.QuickScanners(time.Second))
	const number = 12
	b.PushImages(t, number)
	b.StartWorkers(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	b.ObserveAll(t)
	b.AwaitComplete(ctx, t, number)
	judgedBy := map[string][]model.Digest{}
	for _, image := range b.Images {
		view, err := b.Starter.Images.View(ctx, image.Digest)
		require.NoError(t, err)
		judgedBy[view.Verdicts[0].Hub] = append(judgedBy[view.Verdicts[0].Hub], image.Digest)
	}
	require.NotEmpty(t, judgedBy["lost"])
	require.NotEmpty(t, judgedBy["kept"])
	// A pass has seen both hubs as they are.
	for _, hub := range []string{"lost", "kept"} {
		b.awaitPass(t, hub)
	}
	uploads := func(h *rig.HubProcess) int {
		stats, err := h.Stats(ctx)
		require.NoError(t, err)
		return int(stats.UploadsAccepted)
	}
	before := uploads(kept)

	// While the hub is paused the images cannot be scanned again, so that UNKNOWN can be seen.
	_, err := b.Starter.Pool.Pause(ctx, "lost")
	require.NoError(t, err)
	_, err = b.Starter.Pool.Pause(ctx, "kept")
	require.NoError(t, err)
	lost.Restart(t, b.System, true)
	kept.Restart(t, b.System, false)
	var unknown atomic.Int32
	rig.Eventually(t, 3*time.Minute, "the images of the lost hub to be UNKNOWN", func() bool {
		unknown.Store(0)
		for _, d := range judgedBy["lost"] {
			if view, err := b.Starter.Images.View(ctx, d); err == nil && view.OverallStatus == model.OverallUnknown && len(view.Verdicts) == 0 {
				unknown.Add(1)
			}
		}
		return int(unknown.Load()) == len(judgedBy["lost"])
	})
	rows, _, err := b.Starter.Images.List(ctx, starter.ImageFilter{Status: model.StatusComplete}, 1000)
	require.NoError(t, err)
	require.LessOrEqual(t, len(rows), len(judgedBy["kept"])+1, "lists lag behind by a second")
	b.awaitPass(t, "kept")
	_, err = b.Starter.Pool.Resume(ctx, "lost")
	require.NoError(t, err)
	b.AwaitComplete(ctx, t, number)
	require.Equal(t, len(judgedBy["lost"]), uploads(lost), "each is scanned again, once")
	require.Equal(t, before, uploads(kept), "where nothing was lost nothing is scanned")
	for _, d := range judgedBy["kept"] {
		view, err := b.Starter.Images.View(ctx, d)
		require.NoError(t, err)
		require.Equal(t, "kept", view.Verdicts[0].Hub)
	}
}

// awaitPass waits until one more pass over a hub's changes has ended without trouble.
func (b *system) awaitPass(t *testing.T, hub string) {
	t.Helper()
	handle := b.Client.ScheduleClient().GetHandle(t.Context(), workflows.RefreshID(hub))
	require.NoError(t, b.Starter.Refreshes.Start(t.Context(), hub))
	began := time.Now()
	rig.Eventually(t, 2*time.Minute, "a pass over hub "+hub, func() bool {
		described, err := handle.Describe(context.Background())
		if err != nil || len(described.Info.RecentActions) == 0 || len(described.Info.RunningWorkflows) > 0 {
			return false
		}
		last := described.Info.RecentActions[len(described.Info.RecentActions)-1]
		if last.ActualTime.Before(began.Add(-time.Second)) {
			return false
		}
		var state workflows.RefreshState
		run := b.Client.GetWorkflow(context.Background(), last.StartWorkflowResult.WorkflowID, last.StartWorkflowResult.FirstExecutionRunID)
		return run.Get(context.Background(), &state) == nil && state.Trouble == nil && !state.Until.IsZero()
	})
}
