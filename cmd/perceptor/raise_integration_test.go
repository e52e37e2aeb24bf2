//go:build integration

package main_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/image"
	"github.com/perceptor/perceptor/workflows"
)

// TestRaisedImageGoesFirst has images wait for a scanner, and raises the one that came last: it is scanned before all others.
func TestRaisedImageGoesFirst(t *testing.T) {
	d := startDev(t)
	d.worker(t, 0, "--roles", "workflows,hub")
	var waiting []image.Digest
	for i := range 6 {
		reference, digest := d.push(t, fmt.Sprintf("raise/image-%d", i), 1<<10)
		d.observe(t, reference, digest)
		waiting = append(waiting, digest)
		eventually(t, time.Minute, "the image to wait in the backlog", func() bool {
			now, err := d.starter.Doing(t.Context(), digest)
			return err == nil && now.Step == "PullImage" && now.Waiting
		})
	}
	raised := waiting[len(waiting)-1]
	said := d.perceptor(t, "raise", string(raised))
	require.Zero(t, said.code, said.stderr)
	require.Equal(t, string(raised)+" goes first\n", said.stdout)
	eventually(t, time.Minute, "the pull to have its new priority", func() bool {
		described, err := d.client.DescribeWorkflowExecution(t.Context(), workflows.ScanImageID(raised), "")
		require.NoError(t, err)
		for _, step := range described.GetPendingActivities() {
			if step.GetActivityId() == "pull-1" {
				return step.GetPriority().GetPriorityKey() == 1
			}
		}
		return false
	})
	d.worker(t, 1, "--roles", "scan", "--berths", "1")
	first := d.complete(t, raised, 2*time.Minute).Verdicts[0].ScanStarted
	for _, digest := range waiting[:len(waiting)-1] {
		require.True(t, first.Before(d.complete(t, digest, 2*time.Minute).Verdicts[0].ScanStarted), digest)
	}
	unknown := d.perceptor(t, "raise", "sha256:"+fmt.Sprintf("%064d", 7))
	require.Equal(t, exitTrouble, unknown.code)
	require.Contains(t, unknown.stderr, "no such image is known")
}
