//go:build e2e

package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/fault"
	"github.com/perceptor/perceptor/internal/hub/builtin/rest"
	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
)

// verdictTime is how long the hub takes to answer each question for a verdict: long enough to kill the worker meanwhile.
const verdictTime = 4 * time.Second

// TestKilledBetweenReleaseAndVerdict kills the worker with -9 after AwaitHubScan has given the lease back, and before it has read
// the verdict. The next attempt gives the lease back again, which must take it from no other scan: the limit of the hub is one, and a
// second image waits for the lease. Both are scanned once.
func TestKilledBetweenReleaseAndVerdict(t *testing.T) {
	e := startSystem(t)
	slow := fault.Switch{Min: fault.Duration(verdictTime), Max: fault.Duration(verdictTime), On: []rest.PathClass{rest.ClassVerdict}}
	h := rig.StartHub(t, e.System, "one", 1, rig.WithFault(rig.SlowFaults(e.Seed, time.Second, time.Second), fault.Latency, slow))
	e.Hubs = []*rig.HubProcess{h}
	e.Configure(t, rig.QuickScanners(time.Second))
	e.PushImages(t, 2)
	e.StartWorkers(t, 1)
	e.ObserveAll(t)
	first := e.heldFirst(t)
	rig.Eventually(t, time.Minute, "the lease to be given back before the verdict is read", func() bool {
		status, err := e.Starter.Pool.Status(t.Context())
		if err != nil || len(status.Leases) > 0 && status.Leases[0].Digest == first {
			return false
		}
		now, err := e.Starter.Scans.CurrentStep(t.Context(), first)
		return err == nil && now.Step == "AwaitHubScan" && !now.Waiting
	})
	e.Workers[0].Kill(t)
	require.NoError(t, h.SetFaults(t.Context(), rig.SlowFaults(e.Seed, time.Second, time.Second)))
	again, err := e.LaunchWorker(0)
	require.NoError(t, err)
	e.Workers[0] = again
	for _, each := range e.Images {
		e.AwaitVerdict(t, each.Digest, 3*time.Minute)
	}
	stats, err := h.Stats(t.Context())
	require.NoError(t, err)
	for _, each := range e.Images {
		require.Equal(t, 1, int(stats.ScansByName[each.Digest.Hex()]), "scans of %s", each.Digest)
	}
	require.Equal(t, 1, int(stats.MaxInProgress))
	rig.Eventually(t, 90*time.Second, "all leases to be back", func() bool {
		status, err := e.Starter.Pool.Status(t.Context())
		return err == nil && status.LeaseCount == 0 && status.WaiterCount == 0
	})
}

// heldFirst waits for the first lease and answers its image.
func (e *system) heldFirst(t *testing.T) model.Digest {
	t.Helper()
	var held model.Digest
	rig.Eventually(t, time.Minute, "a lease", func() bool {
		status, err := e.Starter.Pool.Status(t.Context())
		if err != nil || len(status.Leases) == 0 {
			return false
		}
		held = status.Leases[0].Digest
		return true
	})
	return held
}
