//go:build e2e

package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestExamplePerceiver builds the perceiver of examples/ as its reader would, and runs it against perceptor-dev: it reports
// pods through the SDK and reads the verdict back.
func TestExamplePerceiver(t *testing.T) {
	perceiver := filepath.Join(t.TempDir(), "perceiver")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", perceiver, "./perceiver")
	build.Dir = "../../examples"
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)

	d := startDev(t)
	d.StartWorker(t, 1)
	known, digest := d.PushRandom(t, "example/known", 1<<10)
	missing := d.Registry + "/example/missing:1"
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, perceiver, "--cluster", "example", "--wait", "90s", known, missing)
	run.Env = append(os.Environ(), "TEMPORAL_ADDRESS="+d.Temporal)
	said, err = run.CombinedOutput()
	require.NoError(t, err, "%s", said)
	require.Contains(t, string(said), "default pod-1 Complete ")
	require.Contains(t, string(said), "default pod-2 Failed UNKNOWN 0\n")
	require.Contains(t, string(said), missing+" not-found")
	view := d.AwaitVerdict(t, digest, time.Minute)
	require.Len(t, view.Verdicts, 1)
}
