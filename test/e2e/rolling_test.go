//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
)

const (
	// rollingBound ends the test whatever happens.
	rollingBound = 10 * time.Minute
	// rollingDrain is how long a stopping scanner may let its images finish: far longer than these take.
	rollingDrain = 3 * time.Minute
)

// TestRollingRestart restarts four scanners one after the other, as a rollout does, while images are scanned. No SBOM
// is made or uploaded twice.
func TestRollingRestart(t *testing.T) {
	rig.Wanted(t, rig.EnvLong)
	b := startSystem(t)
	number := rig.ImagesWanted(t, 200)
	base := rig.SlowFaults(b.Seed, time.Second, 5*time.Second)
	b.Hubs = []*rig.HubProcess{rig.StartHub(t, b.System, "three", 3, base), rig.StartHub(t, b.System, "five", 5, base)}
	b.Configure(t, rig.QuickScanners(rollingDrain))
	b.PushImages(t, number)
	b.StartWorkers(t, 4)
	ctx, cancel := context.WithTimeout(t.Context(), rollingBound)
	defer cancel()
	b.ObserveAll(t)
	b.AwaitComplete(ctx, t, number/10)
	for i := range b.Workers {
		b.restart(ctx, t, i)
	}
	before, err := b.Starter.Scans.ListOpen(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, before, "the scans were over before the last scanner was restarted: use more images")
	b.AwaitComplete(ctx, t, number)
	b.judgeRolling(t, number)
}

// restart stops a scanner in good order and starts it again.
func (b *system) restart(ctx context.Context, t *testing.T, i int) {
	t.Helper()
	began := time.Now()
	b.Workers[i].Signal(syscall.SIGTERM)
	select {
	case err := <-b.Workers[i].Ended:
		require.NoError(t, err, "worker %d", i)
	case <-ctx.Done():
		require.FailNow(t, "time is up", "worker %d is still stopping", i)
	}
	p, err := b.LaunchWorker(i)
	require.NoError(t, err)
	b.Workers[i] = p
	t.Logf("worker %d restarted after %s", i, time.Since(began).Round(time.Second))
}

// judgeRolling counts SBOMs and uploads.
func (b *system) judgeRolling(t *testing.T, number int) {
	t.Helper()
	listed, err := os.ReadFile(b.SBOMLog)
	require.NoError(t, err)
	sboms := bytes.Count(listed, []byte("\n"))
	uploads := 0
	for _, h := range b.Hubs {
		s, err := h.Stats(context.Background())
		require.NoError(t, err)
		uploads += int(s.UploadsStarted)
	}
	scans, _, wrong := b.scans(t)
	t.Logf("%d SBOMs, %d uploads begun, %d scans", sboms, uploads, scans)
	require.Empty(t, wrong)
	repeated := max(sboms, uploads, scans) - number
	result := fmt.Sprintf("rolling e2e: %d complete, %d scans repeated", b.CountComplete(t), repeated)
	require.Equal(t, fmt.Sprintf("rolling e2e: %d complete, 0 scans repeated", number), result)
	rig.AnnounceResult(t, result)
}
