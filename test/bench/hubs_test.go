//go:build bench

package bench_test

import (
	"context"
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

// The hubs of the backlog: what they may have at a time, and between what times they take for a scan. Nothing computes.
const (
	hubLeast, hubMost   = 2 * time.Second, 15 * time.Second
	listLeast, listMost = time.Second, 5 * time.Second
	backlogBound        = 15 * time.Minute
	// backlogRate is the rate of each hub's queue in steps per second.
	backlogRate = 200
	// backlogHosts scanners with backlogWorkspaces each make SBOMs faster than the hubs scan.
	backlogHosts, backlogWorkspaces = 2, 20
)

// stockTimers are the server's own settings for its queues of timers and other tasks.
const stockTimers = `
history.timerProcessorMaxTimeShift: [{value: 1s}]
history.queueReaderStuckCriticalAttempts: [{value: 3}]
history.timerProcessorMaxPollRPS: [{value: 20}]
history.transferProcessorMaxPollRPS: [{value: 20}]
`

// BenchmarkBacklog scans images through hubs with limits of 1 and 5 that share one backlog, and through one with a limit of
// 20, which once more has a server with its own settings for timers. Of each hub, leases_L is the part of the limit that is
// out while work waits, s_idle_L is for how long a lease is out while the hub does not work on its scan: the way to the
// upload, the upload, and from the hub's end to the release.
func BenchmarkBacklog(b *testing.B) {
	b.Run("few", func(b *testing.B) { backlog(b, 300, []int{1, 5}) })
	b.Run("many", func(b *testing.B) { backlog(b, 300, []int{20}) })
	b.Run("stock", func(b *testing.B) {
		settings := filepath.Join(b.TempDir(), "stock.yaml")
		require.NoError(b, os.WriteFile(settings, []byte(stockTimers), 0o600))
		backlog(b, 300, []int{20}, "--temporal-settings", settings)
	})
}

func backlog(b *testing.B, images int, limits []int, args ...string) {
	e := startSystem(b, args...)
	for _, limit := range limits {
		h := rig.StartHub(b, e.System, fmt.Sprintf("limit-%d", limit), limit, rig.SlowFaults(e.Seed, hubLeast, hubMost))
		h.Rate = backlogRate
		e.Hubs = append(e.Hubs, h)
	}
	number := rig.ImagesWanted(b, images)
	e.Configure(b, rig.Scanners{Drain: time.Second, Workspaces: backlogWorkspaces, SBOMLeast: listLeast, SBOMMost: listMost})
	e.PushImages(b, number)
	for b.Loop() {
		e.ObserveAll(b)
		e.StartWorkers(b, backlogHosts)
		ctx, cancel := context.WithTimeout(b.Context(), backlogBound)
		e.AwaitComplete(ctx, b, number)
		cancel()
	}
	b.ReportMetric(0, "ns/op")
	e.reportLeases(b, number)
}

func (b *system) reportLeases(t *testing.B, number int) {
	t.Helper()
	all := b.Leases(t)
	require.Len(t, all, number)
	b.LogLeases(t)
	for _, h := range b.Hubs {
		// While there are more images without a lease than workspaces, images wait in the backlog.
		last := all[number-backlogHosts*backlogWorkspaces].Granted
		used := usedLeases(all, h, last)
		idle := b.idleLeases(t, all, h, last)
		s, err := h.Stats(context.Background())
		require.NoError(t, err)
		t.ReportMetric(used, fmt.Sprintf("leases_%d", h.Limit))
		t.ReportMetric(rig.Percentile(idle, 0.5).Seconds(), fmt.Sprintf("s_idle_%d_p50", h.Limit))
		t.ReportMetric(rig.Percentile(idle, 0.99).Seconds(), fmt.Sprintf("s_idle_%d_p99", h.Limit))
		t.ReportMetric(float64(s.MaxInProgress), fmt.Sprintf("most_%d", h.Limit))
		t.Logf("%s: %d scans in the steady part, highest in progress %d", h.Name, len(idle), s.MaxInProgress)
		if used < 0.98 {
			t.Errorf("%s had %.3f of its leases out while work waited, at least 0.98 wanted", h.Name, used)
		}
		if int(s.MaxInProgress) > h.Limit {
			t.Errorf("%s had %d scans in progress, at most %d allowed", h.Name, s.MaxInProgress, h.Limit)
		}
	}
}

// usedLeases is the part of a hub's limit that is out on average, from when all of it was out for the first time until a
// given time.
func usedLeases(all []rig.HeldLease, h *rig.HubProcess, until time.Time) float64 {
	var from time.Time
	granted := 0
	for _, lease := range all {
		if lease.Hub != h.Name {
			continue
		}
		if granted++; granted == h.Limit {
			from = lease.Granted
			break
		}
	}
	var sum time.Duration
	for _, lease := range all {
		if lease.Hub == h.Name {
			begin, end := later(lease.Granted, from), earlier(lease.Released, until)
			sum += max(end.Sub(begin), 0)
		}
	}
	return sum.Seconds() / until.Sub(from).Seconds() / float64(h.Limit)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// idleLeases is for how long each lease of a hub was out while the hub did nothing for it.
func (b *system) idleLeases(t *testing.B, all []rig.HeldLease, h *rig.HubProcess, until time.Time) []time.Duration {
	t.Helper()
	var idle []time.Duration
	var toHub, toNotice, toRelease []time.Duration
	for _, lease := range all {
		if lease.Hub != h.Name || lease.Released.After(until) {
			continue
		}
		digest, err := workflows.DigestOf(lease.Holder)
		require.NoError(t, err)
		scan, noticed := b.HubScanOf(t, digest)
		require.Equal(t, model.HubScanComplete, scan.State)
		idle = append(idle, lease.Released.Sub(lease.Granted)-scan.UpdatedAt.Sub(scan.StartedAt))
		toHub = append(toHub, scan.StartedAt.Sub(lease.Granted))
		toNotice = append(toNotice, noticed.Sub(scan.UpdatedAt))
		if late := noticed.Sub(scan.UpdatedAt); late > 5*time.Second {
			step := b.Steps(t, digest)["AwaitHubScan"]
			t.Logf("%s: done %s before it was noticed, at the start of attempt %d, %s after the step's, %s before its end; the attempt before: %s", digest,
				late, step.Attempts, step.Started.Sub(step.Scheduled), step.Ended.Sub(step.Started), step.LastFailure)
		}
		toRelease = append(toRelease, lease.Released.Sub(noticed))
	}
	var parts []string
	for _, part := range []struct {
		what  string
		times []time.Duration
	}{{"grant to upload taken", toHub}, {"scan done to noticed", toNotice}, {"noticed to released", toRelease}} {
		half, most := rig.Percentile(part.times, 0.5).Round(time.Millisecond), rig.Percentile(part.times, 0.99).Round(time.Millisecond)
		parts = append(parts, fmt.Sprintf("%s p50 %s p99 %s", part.what, half, most))
	}
	t.Logf("%s: %s", h.Name, strings.Join(parts, ", "))
	return idle
}
