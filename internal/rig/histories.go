package rig

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/converter"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// HeldLease is one lease by the history of the pool. Its times are those of the server.
type HeldLease struct {
	Holder, Hub       string
	Attempt           model.AttemptID
	Granted, Released time.Time
}

// Leases reads every lease that was released, in the order of the grants.
func (d *Dev) Leases(t testing.TB) []HeldLease {
	t.Helper()
	return slices.DeleteFunc(d.Grants(t), func(h HeldLease) bool { return h.Released.IsZero() })
}

// Grants reads every lease that was ever granted, in that order. A lease that is still held has no release.
func (d *Dev) Grants(t testing.TB) []HeldLease {
	t.Helper()
	type key struct {
		chain   string
		attempt model.AttemptID
	}
	all := map[key]HeldLease{}
	for _, event := range d.Events(t, workflows.HubPoolID) {
		at := event.GetEventTime().AsTime()
		if step := event.GetActivityTaskScheduledEventAttributes(); step.GetActivityType().GetName() == "NotifyScans" {
			for _, signal := range Payload[activities.NotifyScansInput](t, step.GetInput()).Signals {
				var g workflows.Grant
				require.NoError(t, json.Unmarshal(signal.Value.(json.RawMessage), &g))
				k := key{g.Chain, g.Attempt}
				if _, again := all[k]; !again && !g.WaitFor {
					all[k] = HeldLease{Holder: signal.Scan.WorkflowID, Hub: g.Hub, Attempt: g.Attempt, Granted: at}
				}
			}
		}
		if got := event.GetWorkflowExecutionSignaledEventAttributes(); got.GetSignalName() == workflows.SignalRelease.Name {
			r := Payload[workflows.Release](t, got.GetInput())
			k := key{r.Chain, r.Attempt}
			if lease, ok := all[k]; ok && lease.Released.IsZero() {
				lease.Released = at
				all[k] = lease
			}
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b HeldLease) int { return a.Granted.Compare(b.Granted) })
}

// StepTimes is one step of a scan.
type StepTimes struct {
	Scheduled, Started, Ended time.Time
	Attempts                  int32
	// LastFailure is why the attempt before the last failed.
	LastFailure string
	Result      *commonpb.Payloads
}

// Steps reads the completed steps of an image's scan by their names. Of a repeated step it has the last.
func (d *Dev) Steps(t testing.TB, digest model.Digest) map[string]StepTimes {
	t.Helper()
	steps, names, begun := map[string]StepTimes{}, map[int64]string{}, map[int64]StepTimes{}
	for _, event := range d.Events(t, workflows.ScanImageID(digest)) {
		at := event.GetEventTime().AsTime()
		switch event.GetEventType() {
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
			names[event.GetEventId()] = event.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName()
			begun[event.GetEventId()] = StepTimes{Scheduled: at}
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_STARTED:
			start := event.GetActivityTaskStartedEventAttributes()
			id := start.GetScheduledEventId()
			s := begun[id]
			s.Started, s.Attempts, s.LastFailure = at, start.GetAttempt(), start.GetLastFailure().GetMessage()
			begun[id] = s
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
			done := event.GetActivityTaskCompletedEventAttributes()
			s := begun[done.GetScheduledEventId()]
			s.Ended, s.Result = at, done.GetResult()
			steps[names[done.GetScheduledEventId()]] = s
		default:
		}
	}
	return steps
}

// HubScanOf is a hub's scan of an image, with times of the hub's own clock, and the time when the scan's workflow knew its end.
func (d *Dev) HubScanOf(t testing.TB, digest model.Digest) (scan model.HubScan, noticed time.Time) {
	t.Helper()
	step, ok := d.Steps(t, digest)["AwaitHubScan"]
	require.True(t, ok, "nothing waited for the scan of %s", digest)
	return Payload[activities.AwaitHubScanResult](t, step.Result).Scan, step.Ended
}

// Events reads the histories of all runs of a workflow's newest chain.
func (d *Dev) Events(t testing.TB, workflow string) []*historypb.HistoryEvent {
	t.Helper()
	described, err := d.Client.DescribeWorkflowExecution(context.Background(), workflow, "")
	require.NoError(t, err)
	var events []*historypb.HistoryEvent
	for run := described.GetWorkflowExecutionInfo().GetFirstRunId(); run != ""; {
		history := d.Client.GetWorkflowHistory(context.Background(), workflow, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for history.HasNext() {
			event, err := history.Next()
			require.NoError(t, err)
			events = append(events, event)
		}
		run = events[len(events)-1].GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
	}
	return events
}

// Payload reads the value in a payload.
func Payload[T any](t testing.TB, p *commonpb.Payloads) T {
	t.Helper()
	var value T
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(p, &value))
	return value
}

// Percentile is the value below which that part of the values lies; 0 without values.
func Percentile(values []time.Duration, part float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}

// LogLeases logs how the time of each hub's leases was spent. Scans that were terminated or failed have no end at a hub, and their
// leases are only counted.
func (b *System) LogLeases(t testing.TB) {
	t.Helper()
	all := b.Leases(t)
	for _, h := range b.Hubs {
		parts := map[string][]time.Duration{}
		note := func(part string, from, to time.Time) { parts[part] = append(parts[part], to.Sub(from)) }
		for _, lease := range all {
			if lease.Hub != h.Name {
				continue
			}
			note("1 held", lease.Granted, lease.Released)
			digest, err := workflows.DigestOf(lease.Holder)
			require.NoError(t, err)
			steps := b.Steps(t, digest)
			upload, uploaded := steps["UploadScan"]
			waited, noticed := steps["AwaitHubScan"]
			if !uploaded || !noticed || upload.Scheduled.Before(lease.Granted) || waited.Ended.After(lease.Released) {
				note("9 of scans that came to another end", lease.Granted, lease.Released)
				continue
			}
			scan := Payload[activities.AwaitHubScanResult](t, waited.Result).Scan
			pull := steps["PullImage"]
			note("0a pull and SBOM", pull.Started, pull.Ended)
			note("0b until it has a lease", pull.Ended, lease.Granted)
			note("2 until the upload is asked for", lease.Granted, upload.Scheduled)
			note("3 until a host starts it", upload.Scheduled, upload.Started)
			note("4 until the hub has it", upload.Started, scan.StartedAt)
			note("5 hub", scan.StartedAt, scan.UpdatedAt)
			note("6 until that is noticed", scan.UpdatedAt, waited.Ended)
			note("7 until it is released", waited.Ended, lease.Released)
		}
		for _, part := range slices.Sorted(maps.Keys(parts)) {
			times := parts[part]
			var sum time.Duration
			for _, each := range times {
				sum += each
			}
			t.Logf("%s: %s: %d times, %s in all, p50 %s p90 %s p99 %s", h.Name, part, len(times), sum.Round(time.Second),
				Percentile(times, 0.5).Round(time.Millisecond), Percentile(times, 0.9).Round(time.Millisecond), Percentile(times, 0.99).Round(time.Millisecond))
		}
	}
}
