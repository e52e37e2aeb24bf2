//go:build e2e

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// The points of a scan at which things are killed: both halves of PullImage, and the steps after it.
var points = []string{"PullImage", pointSBOM, "UploadScan", "AwaitHubScan"}

// pointSBOM is the second half of PullImage.
const pointSBOM = "SBOM"

// How long each point is made to last.
const (
	imageBytes  = 4 << 20
	pullRate    = "1000000"
	acceptDelay = "4s"
	hubTime     = "5s"
	listTime    = 4
)

// slowClient is the scan client behind a program that takes its time to make an SBOM, so that it can be killed meanwhile. It passes
// its input on, because the client ends when its input does.
func slowClient(t *testing.T) string {
	t.Helper()
	actual := rig.Built(t, "perceptor-scan")
	path := filepath.Join(t.TempDir(), "slow-client")
	script := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = sbom ]; then sleep %d; fi\nexec %s \"$@\"\n", listTime, actual)
	require.NoError(t, os.WriteFile(path, []byte(script), 0o700))
	return path
}

func startSlowDev(t *testing.T) *dev {
	return startDev(t, "--hub-scan-time", hubTime, "--hub-accept-delay", acceptDelay, "--registry-rate", pullRate)
}

// TestKilledWorker kills the worker of the current step with -9 at every point of a scan. The image completes, the hub has had
// exactly one successful scan of it and never more than its limit, and nothing is left behind.
func TestKilledWorker(t *testing.T) {
	d := startSlowDev(t)
	slow := slowClient(t)
	run := map[int]*rig.Program{}
	for number := range 2 {
		run[number] = d.StartWorker(t, number, "--scan-client", slow)
	}
	var scanned []model.Digest
	for _, point := range points {
		reference, digest := d.PushRandom(t, "killed/"+strings.ToLower(point), imageBytes)
		scanned = append(scanned, digest)
		d.Observe(t, reference, digest)
		d.awaitPoint(t, digest, point)
		victim := d.workerOf(t, digest, run)
		run[victim].Kill(t)
		run[victim] = d.StartWorker(t, victim, "--scan-client", slow)
	}
	for _, digest := range scanned {
		d.AwaitVerdict(t, digest, 4*time.Minute)
	}
	d.nothingLeft(t, scanned)
}

// TestTerminatedScan terminates ScanImage, as a click in Web UI does, at every point of a scan.
func TestTerminatedScan(t *testing.T) {
	d := startSlowDev(t)
	slow := slowClient(t)
	for number := range 2 {
		d.StartWorker(t, number, "--scan-client", slow)
	}
	var scanned []model.Digest
	for _, point := range points {
		reference, digest := d.PushRandom(t, "terminated/"+strings.ToLower(point), imageBytes)
		scanned = append(scanned, digest)
		d.Observe(t, reference, digest)
		d.awaitPoint(t, digest, point)
		require.NoError(t, d.Client.TerminateWorkflow(t.Context(), workflows.ScanImageID(digest), "", "test"))
	}
	for _, digest := range scanned {
		d.AwaitVerdict(t, digest, 4*time.Minute)
	}
	d.nothingLeft(t, scanned)
}

// awaitPoint waits until a scan is at a point. The image lies complete in its workspace while its SBOM is made.
func (d *dev) awaitPoint(t *testing.T, digest model.Digest, point string) {
	t.Helper()
	if point != pointSBOM {
		d.AwaitStep(t, digest, point)
		return
	}
	rig.Eventually(t, 90*time.Second, "the SBOM of "+string(digest), func() bool {
		found, err := filepath.Glob(filepath.Join(d.Directory, "scanners", "*", rig.WorkspacesDirectory, digest.Hex()+".*", "complete"))
		return err == nil && len(found) > 0
	})
}

// workerOf finds the worker that has the step under way, by the process id in its identity.
func (d *dev) workerOf(t *testing.T, digest model.Digest, run map[int]*rig.Program) int {
	t.Helper()
	described, err := d.Client.DescribeWorkflowExecution(t.Context(), workflows.ScanImageID(digest), "")
	require.NoError(t, err)
	require.NotEmpty(t, described.GetPendingActivities())
	identity := described.GetPendingActivities()[0].GetLastWorkerIdentity()
	for number, p := range run {
		if strings.HasSuffix(identity, fmt.Sprintf(" %d", p.Process.Pid)) {
			return number
		}
	}
	require.Fail(t, "no worker", "identity %q", identity)
	return 0
}

// nothingLeft says what must hold two minutes after the last scan: one success for each image, the limit kept, and no
// child, tar, workspace or lease left.
func (d *dev) nothingLeft(t *testing.T, scanned []model.Digest) {
	t.Helper()
	s := d.Stats(t)
	for _, digest := range scanned {
		require.Equal(t, 1, s.ScansByName[digest.Hex()], "successful scans of %s", digest)
	}
	require.LessOrEqual(t, s.MaxInProgress, 2)
	rig.Eventually(t, 2*time.Minute+10*time.Second, "workspaces, tars, children and leases to be gone", func() bool {
		status, err := d.Starter.Pool.Status(t.Context())
		return err == nil && len(status.Leases) == 0 && len(status.Waiters) == 0 && d.workspaces(t) == 0 && rig.ScanClients(t, d.Directory) == 0
	})
}

func (d *dev) workspaces(t *testing.T) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(d.Directory, "scanners", "*", rig.WorkspacesDirectory, "*"))
	require.NoError(t, err)
	return len(found)
}
