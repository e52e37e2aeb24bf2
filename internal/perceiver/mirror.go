package perceiver

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/perceptor/perceptor/model"
)

// Reporter takes what a platform runs. Reports have ever newer versions; after an error the same is said again, in a report with a
// newer version.
type Reporter interface {
	Report(ctx context.Context, r model.PodReport) error
}

// How long a report may take: one of changes, and one of everything.
const (
	changesTimeout  = time.Minute
	snapshotTimeout = 15 * time.Minute
)

// List is what a platform runs at one time.
type List struct {
	// Pods are by UID.
	Pods map[string]model.Pod
	// Partial says that a part of the platform could not be read, and Pods has of that part what was known before. No snapshot is made
	// of such a list.
	Partial bool
}

// Mirror reports what a platform runs, from lists of it. The first report is a snapshot of everything, the others are changes. After a
// failure nothing is known of what has arrived, so a snapshot follows. A Mirror belongs to one goroutine.
type Mirror struct {
	to       Reporter
	head     model.PodReport
	interval time.Duration
	logger   *slog.Logger

	reported map[string]model.Pod
	// due is when the next snapshot is to be made.
	due time.Time
}

// NewMirror reports to a Reporter. The head has the cluster, the domain and the version with which the reports begin. A snapshot is
// made each interval.
func NewMirror(to Reporter, head model.PodReport, interval time.Duration, logger *slog.Logger) *Mirror {
	return &Mirror{to: to, head: head, interval: interval, logger: logger, reported: map[string]model.Pod{}}
}

// Renew has the next complete list reported as a snapshot: changes may have been missed.
func (m *Mirror) Renew() { m.due = time.Time{} }

// Report reports a list. After an error the next list is a snapshot.
func (m *Mirror) Report(ctx context.Context, l List) error {
	if !l.Partial && !time.Now().Before(m.due) {
		return m.snapshot(ctx, l.Pods)
	}
	return m.changes(ctx, l.Pods)
}

func (m *Mirror) snapshot(ctx context.Context, pods map[string]model.Pod) error {
	report := m.next()
	report.Snapshot = true
	for _, uid := range slices.Sorted(maps.Keys(pods)) {
		report.Pods = append(report.Pods, pods[uid])
	}
	began := time.Now()
	if err := m.send(ctx, report, snapshotTimeout); err != nil {
		m.due = time.Time{}
		return fmt.Errorf("report a snapshot of %d pods: %w", len(pods), err)
	}
	m.reported = maps.Clone(pods)
	m.due = time.Now().Add(m.interval)
	m.logger.Info("snapshot reported", "pods", len(pods), "took", time.Since(began).Round(time.Millisecond))
	return nil
}

func (m *Mirror) changes(ctx context.Context, pods map[string]model.Pod) error {
	report := m.next()
	for _, uid := range slices.Sorted(maps.Keys(pods)) {
		before, was := m.reported[uid]
		if was && before.Namespace != pods[uid].Namespace {
			report.Gone = append(report.Gone, before.Key())
		}
		if !was || !reflect.DeepEqual(before, pods[uid]) {
			report.Pods = append(report.Pods, pods[uid])
		}
	}
	for _, uid := range slices.Sorted(maps.Keys(m.reported)) {
		if _, is := pods[uid]; !is {
			report.Gone = append(report.Gone, m.reported[uid].Key())
		}
	}
	if len(report.Pods)+len(report.Gone) == 0 {
		return nil
	}
	if err := m.send(ctx, report, changesTimeout); err != nil {
		m.due = time.Time{}
		return fmt.Errorf("report changes of %d pods: %w", len(report.Pods)+len(report.Gone), err)
	}
	m.logger.Debug("changes reported", "pods", len(report.Pods), "gone", len(report.Gone))
	for _, key := range report.Gone {
		delete(m.reported, key.UID)
	}
	for _, pod := range report.Pods {
		m.reported[pod.UID] = pod
	}
	return nil
}

// next is the head of the next report.
func (m *Mirror) next() model.PodReport {
	m.head.Version.Counter++
	return m.head
}

func (m *Mirror) send(ctx context.Context, r model.PodReport, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return m.to.Report(ctx, r)
}
