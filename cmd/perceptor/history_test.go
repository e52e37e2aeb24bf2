//go:build e2e || bench

package main_test

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

// held is one lease as the pool's history tells it, by the server's clock.
type held struct {
	holder, hub      string
	attempt          model.AttemptID
	granted, release time.Time
}

// leases reads every lease that was given back, in the order of the grants.
func (d *dev) leases(t testing.TB) []held {
	t.Helper()
	return slices.DeleteFunc(d.grants(t), func(h held) bool { return h.release.IsZero() })
}

// grants reads every lease that was ever granted, in that order; one that is out has no release.
func (d *dev) grants(t testing.TB) []held {
	t.Helper()
	type key struct {
		chain   string
		attempt model.AttemptID
	}
	all := map[key]held{}
	for _, event := range d.events(t, workflows.HubPoolID) {
		at := event.GetEventTime().AsTime()
		if step := event.GetActivityTaskScheduledEventAttributes(); step.GetActivityType().GetName() == "NotifyScans" {
			for _, signal := range payload[activities.NotifyScansInput](t, step.GetInput()).Signals {
				var g workflows.Grant
				require.NoError(t, json.Unmarshal(signal.Value.(json.RawMessage), &g))
				k := key{g.Chain, g.Attempt}
				if _, again := all[k]; !again && !g.WaitFor {
					all[k] = held{holder: signal.Scan.WorkflowID, hub: g.Hub, attempt: g.Attempt, granted: at}
				}
			}
		}
		if got := event.GetWorkflowExecutionSignaledEventAttributes(); got.GetSignalName() == workflows.SignalRelease.Name {
			r := payload[workflows.Release](t, got.GetInput())
			k := key{r.Chain, r.Attempt}
			if lease, ok := all[k]; ok && lease.release.IsZero() {
				lease.release = at
				all[k] = lease
			}
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b held) int { return a.granted.Compare(b.granted) })
}

// stepTimes is one step of a scan.
type stepTimes struct {
	scheduled, started, ended time.Time
	attempts                  int32
	// before is why the attempt before the last came to no end.
	before string
	result *commonpb.Payloads
}

// steps reads the steps of an image's scan that came to an end, by their names; of a step that was repeated, the last.
func (d *dev) steps(t testing.TB, digest model.Digest) map[string]stepTimes {
	t.Helper()
	steps, names, begun := map[string]stepTimes{}, map[int64]string{}, map[int64]stepTimes{}
	for _, event := range d.events(t, workflows.ScanImageID(digest)) {
		at := event.GetEventTime().AsTime()
		switch event.GetEventType() {
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
			names[event.GetEventId()] = event.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName()
			begun[event.GetEventId()] = stepTimes{scheduled: at}
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_STARTED:
			start := event.GetActivityTaskStartedEventAttributes()
			id := start.GetScheduledEventId()
			s := begun[id]
			s.started, s.attempts, s.before = at, start.GetAttempt(), start.GetLastFailure().GetMessage()
			begun[id] = s
		case enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
			done := event.GetActivityTaskCompletedEventAttributes()
			s := begun[done.GetScheduledEventId()]
			s.ended, s.result = at, done.GetResult()
			steps[names[done.GetScheduledEventId()]] = s
		default:
		}
	}
	return steps
}

// atHub is when a hub began and ended the scan of an image, by its own clock, and when the scan's workflow knew.
func (d *dev) atHub(t testing.TB, digest model.Digest) (scan model.HubScan, noticed time.Time) {
	t.Helper()
	step, ok := d.steps(t, digest)["AwaitHubScan"]
	require.True(t, ok, "nobody waited for the scan of %s", digest)
	return payload[activities.AwaitHubScanResult](t, step.result).Scan, step.ended
}

// events reads the histories of all runs of a workflow's newest chain.
func (d *dev) events(t testing.TB, workflow string) []*historypb.HistoryEvent {
	t.Helper()
	described, err := d.client.DescribeWorkflowExecution(context.Background(), workflow, "")
	require.NoError(t, err)
	var events []*historypb.HistoryEvent
	for run := described.GetWorkflowExecutionInfo().GetFirstRunId(); run != ""; {
		history := d.client.GetWorkflowHistory(context.Background(), workflow, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for history.HasNext() {
			event, err := history.Next()
			require.NoError(t, err)
			events = append(events, event)
		}
		run = events[len(events)-1].GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
	}
	return events
}

func payload[T any](t testing.TB, p *commonpb.Payloads) T {
	t.Helper()
	var value T
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(p, &value))
	return value
}

// percentile is the value below which that part of the values lies; 0 of none.
func percentile(values []time.Duration, part float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}

// tellLeases logs where the time of each hub's leases went. Scans that were ended or failed have no end at a hub, and their
// leases are only counted.
func (b *bench) tellLeases(t testing.TB) {
	t.Helper()
	all := b.leases(t)
	for _, h := range b.hubs {
		parts := map[string][]time.Duration{}
		note := func(part string, from, to time.Time) { parts[part] = append(parts[part], to.Sub(from)) }
		for _, lease := range all {
			if lease.hub != h.name {
				continue
			}
			note("1 held", lease.granted, lease.release)
			digest, err := workflows.DigestOf(lease.holder)
			require.NoError(t, err)
			steps := b.steps(t, digest)
			upload, uploaded := steps["UploadScan"]
			waited, noticed := steps["AwaitHubScan"]
			if !uploaded || !noticed || upload.scheduled.Before(lease.granted) || waited.ended.After(lease.release) {
				note("9 of scans that came to another end", lease.granted, lease.release)
				continue
			}
			scan := payload[activities.AwaitHubScanResult](t, waited.result).Scan
			pull, list := steps["PullImage"], steps["GenerateSBOM"]
			note("0a pull", pull.started, pull.ended)
			note("0b until it is listed", pull.ended, list.started)
			note("0c listing", list.started, list.ended)
			note("0d until it has a lease", list.ended, lease.granted)
			note("2 until the upload is asked for", lease.granted, upload.scheduled)
			note("3 until a host takes it up", upload.scheduled, upload.started)
			note("4 until the hub has it", upload.started, scan.StartedAt)
			note("5 hub", scan.StartedAt, scan.UpdatedAt)
			note("6 until that is noticed", scan.UpdatedAt, waited.ended)
			note("7 until it is given back", waited.ended, lease.release)
		}
		for _, part := range slices.Sorted(maps.Keys(parts)) {
			times := parts[part]
			var sum time.Duration
			for _, each := range times {
				sum += each
			}
			t.Logf("%s: %s: %d times, %s in all, p50 %s p90 %s p99 %s", h.name, part, len(times), sum.Round(time.Second),
				percentile(times, 0.5).Round(time.Millisecond), percentile(times, 0.9).Round(time.Millisecond), percentile(times, 0.99).Round(time.Millisecond))
		}
	}
}
