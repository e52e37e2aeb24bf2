//go:build e2e

package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// rollingBound ends the test whatever happens.
	rollingBound = 10 * time.Minute
	// rollingDrain is how long a stopping scanner may let its images finish: far longer than these take.
	rollingDrain = 3 * time.Minute
)

// TestRollingRestart restarts four scanners one after the other, as a rollout does, while images are scanned. Nothing is
// listed or uploaded twice.
func TestRollingRestart(t *testing.T) {
	b := startBench(t)
	number := imagesWanted(t, 200)
	base := slow(b.seed, time.Second, 5*time.Second)
	b.hubs = []*hubProcess{startHub(t, b, "three", 3, base), startHub(t, b, "five", 5, base)}
	b.configure(t, quickly(rollingDrain))
	b.pushImages(t, number)
	b.startWorkers(t, 4)
	ctx, cancel := context.WithTimeout(t.Context(), rollingBound)
	defer cancel()
	b.observeAll(t)
	b.awaitComplete(ctx, t, number/10)
	for i := range b.workers {
		b.restart(ctx, t, i)
	}
	before, err := b.starter.Scans.ListOpen(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, before, "the scans were over before the last scanner was restarted: use more images")
	b.awaitComplete(ctx, t, number)
	b.judgeRolling(t, number)
}

// restart stops a scanner in good order and starts it again.
func (b *bench) restart(ctx context.Context, t *testing.T, i int) {
	t.Helper()
	began := time.Now()
	b.workers[i].signal(syscall.SIGTERM)
	select {
	case err := <-b.workers[i].ended:
		require.NoError(t, err, "worker %d", i)
	case <-ctx.Done():
		require.FailNow(t, "time is up", "worker %d is still stopping", i)
	}
	p, err := b.launchWorker(i)
	require.NoError(t, err)
	b.workers[i] = p
	t.Logf("worker %d restarted after %s", i, time.Since(began).Round(time.Second))
}

// judgeRolling counts listings and uploads.
func (b *bench) judgeRolling(t *testing.T, number int) {
	t.Helper()
	listed, err := os.ReadFile(b.lists)
	require.NoError(t, err)
	listings := bytes.Count(listed, []byte("\n"))
	uploads := 0
	for _, h := range b.hubs {
		s, err := h.stats(context.Background())
		require.NoError(t, err)
		uploads += int(s.UploadsStarted)
	}
	scans, _, wrong := b.scans(t)
	t.Logf("%d listings, %d uploads begun, %d scans", listings, uploads, scans)
	require.Empty(t, wrong)
	repeated := max(listings, uploads, scans) - number
	result := fmt.Sprintf("rolling e2e: %d complete, %d scans repeated", b.completeImages(t), repeated)
	require.Equal(t, fmt.Sprintf("rolling e2e: %d complete, 0 scans repeated", number), result)
	announceResult(t, result)
}
