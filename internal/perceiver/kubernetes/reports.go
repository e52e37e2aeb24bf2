package kubernetes

import (
	"context"
	"log/slog"
	"sync"
	"time"
	"unique"

	"github.com/perceptor/perceptor/model"
)

// Reporter takes what the cluster runs. Reports have ever newer versions; after an error the same is said again, in a
// report with a newer version.
type Reporter interface {
	Report(ctx context.Context, r model.PodReport) error
}

// How changes are gathered. The first one after a quiet time waits only for those that come with it, so that a single pod
// is reported at once, and a storm in few reports.
const (
	gatherTime  = 500 * time.Millisecond
	settleTime  = 25 * time.Millisecond
	gatherCount = 200
)

// reportTimeout is how long a report of changes may take.
const reportTimeout = time.Minute

// firstSnapshot is how long after the start changes wait for the first snapshot, once that has failed: what Perceptor hears first is
// what the cluster runs. A snapshot that cannot be reported at all, for one of its pods, does not hold them up for longer.
const firstSnapshot = 30 * time.Second

// dirtyAtMost is how many pods may wait to be reported one by one; for more of them a snapshot is made of all.
const dirtyAtMost = 20_000

// view is what holds in the cluster now.
type view interface {
	pod(uid string) (model.Pod, bool)
	uids() []string
}

// lastReport is what was last reported of a pod, whether or not it has arrived.
type lastReport struct {
	namespace, name string
	platform        unique.Handle[model.Platform]
	// sum is that of the pod as it was said; 0 where it has to be said again.
	sum uint64
}

// reports makes reports of what changed and snapshots of everything, one of each kind at a time. All fields belong to
// the goroutine of run.
type reports struct {
	to       Reporter
	from     view
	dirty    *dirty
	remark   *dirty          // pods whose marks someone else has changed
	head     model.PodReport // cluster, domain, write-back and the version
	interval time.Duration
	logger   *slog.Logger

	reported  map[string]lastReport
	last      time.Time // when the last report was made
	since     time.Time // when the first pod of the next one was noticed
	chunk     int       // how many pods it holds at the most
	pause     pause
	snapshot  snapshot
	began     time.Time
	arrived   bool      // whether a snapshot has arrived
	holdUntil time.Time // until when changes wait for the first one
}

func newReports(to Reporter, from view, d *dirty, head model.PodReport, interval time.Duration, logger *slog.Logger) *reports {
	return &reports{to: to, from: from, dirty: d, remark: newDirty(), head: head, interval: interval, logger: logger, reported: map[string]lastReport{}, chunk: gatherCount}
}

// run reports until ctx ends, beginning with a snapshot.
func (r *reports) run(ctx context.Context) {
	r.began = time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			r.abandonSnapshot()
			return
		case err := <-r.snapshot.done:
			r.endSnapshot(err)
		case <-r.dirty.some:
		case <-r.remark.some:
		case <-timer.C:
		}
		if now := time.Now(); r.snapshot.startAt(now) {
			r.beginSnapshot(ctx)
		}
		if at, some := r.flushAt(); some && !time.Now().Before(at) {
			r.flush(ctx)
		}
		timer.Reset(time.Until(r.next()))
	}
}

// next is when there is something to do, if nothing happens before.
func (r *reports) next() time.Time {
	next := time.Now().Add(r.interval)
	if r.snapshot.done == nil && r.snapshot.due.Before(next) {
		next = r.snapshot.due
	}
	if at, some := r.flushAt(); some && at.Before(next) {
		next = at
	}
	return next
}

// flushAt is when the next report of changes is due, if there are any.
func (r *reports) flushAt() (time.Time, bool) {
	waiting := r.dirty.count() + r.remark.count()
	if waiting == 0 {
		r.since = time.Time{}
		return time.Time{}, false
	}
	if r.since.IsZero() {
		r.since = time.Now()
	}
	at := r.since
	if waiting < gatherCount {
		at = latest(at.Add(settleTime), r.last.Add(gatherTime))
	}
	return latest(latest(at, r.pause.until), r.holdUntil), true
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// flush reports the pods that are dirty now, in as many reports as it takes, until one fails.
func (r *reports) flush(ctx context.Context) {
	waiting := r.dirty.count()
	r.reportRemarks(ctx)
	if waiting > dirtyAtMost {
		r.logger.Info("so many pods have changed that all are reported", "changed", waiting)
		r.dirty.take(waiting)
		r.snapshot.again(time.Now())
		return
	}
	for waiting > 0 && ctx.Err() == nil {
		uids := r.dirty.take(min(r.chunk, waiting))
		waiting -= r.chunk
		err := r.report(ctx, uids)
		r.last, r.since = time.Now(), time.Time{}
		if err != nil {
			// A smaller report may do where one of its pods is what cannot be reported.
			r.chunk = max(1, r.chunk/2)
			r.pause.longer(time.Now())
			r.logger.Warn("changes of pods could not be reported; they are reported again", "pods", len(uids), "pause", r.pause.length, "error", err)
			return
		}
		r.chunk = min(gatherCount, 2*r.chunk)
		r.pause = pause{}
	}
}

// remarkedAtOnce is how many pods one report asks verdicts to be written onto again. More of them wait for the next report, half a
// second later: two writers that fight for a key do not keep the system busy.
const remarkedAtOnce = 100

// reportRemarks asks for the verdicts of pods whose marks someone else has changed to be written again.
func (r *reports) reportRemarks(ctx context.Context) {
	uids := r.remark.take(remarkedAtOnce)
	report := r.head
	for _, uid := range uids {
		if pod, is := r.from.pod(uid); is {
			report.Remark = append(report.Remark, pod.Key())
		}
	}
	if len(report.Remark) == 0 {
		return
	}
	r.head.Version.Counter++
	report.Version = r.head.Version
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	r.last, r.since = time.Now(), time.Time{}
	if err := r.to.Report(ctx, report); err != nil {
		r.remark.mark(uids...)
		r.pause.longer(time.Now())
		r.logger.Warn("changed marks could not be reported; they are reported again", "pods", len(uids), "pause", r.pause.length, "error", err)
	}
}

// report says what holds of some pods, and nothing where that was said before.
func (r *reports) report(ctx context.Context, uids []string) error {
	report := r.head
	for _, uid := range uids {
		before, was := r.reported[uid]
		pod, is := r.current(uid, r.reported)
		switch {
		case is && (!was || before.sum != sumOf(pod)):
			report.Pods = append(report.Pods, pod)
		case !is && was:
			report.Gone = append(report.Gone, model.PodKey{UID: uid, Namespace: before.namespace, Name: before.name})
		}
	}
	if len(report.Pods)+len(report.Gone) == 0 {
		return nil
	}
	r.head.Version.Counter++
	report.Version = r.head.Version
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	err := r.to.Report(ctx, report)
	for _, pod := range report.Pods {
		r.said(pod, err)
	}
	for _, gone := range report.Gone {
		if err == nil {
			delete(r.reported, gone.UID)
		} else {
			r.dirty.mark(gone.UID)
		}
	}
	return err
}

// current is the pod as it is to be reported. A platform once known stays, also when the node has gone before its pods.
func (r *reports) current(uid string, last map[string]lastReport) (model.Pod, bool) {
	pod, is := r.from.pod(uid)
	if before, was := last[uid]; is && was && pod.Platform.Architecture == "" {
		if pod.Platform = before.platform.Value(); pod.Platform.Architecture != "" {
			pod.PlatformProblem = ""
		}
	}
	return pod, is
}

// said notes that a report held a pod. Where the report failed it may have arrived all the same, in part.
func (r *reports) said(pod model.Pod, err error) {
	said := lastReport{namespace: pod.Namespace, name: pod.Name, platform: unique.Make(pod.Platform)}
	if err == nil {
		said.sum = sumOf(pod)
	} else {
		r.dirty.mark(pod.UID)
	}
	r.reported[pod.UID] = said
}

// dirty are the pods that may have to be reported again, by their UIDs, in the order in which they were marked: one that
// cannot be reported goes to the end and delays no other.
type dirty struct {
	lock  sync.Mutex
	uids  map[string]struct{}
	order []string
	// some says that there are uids; it has room for one word.
	some chan struct{}
}

func newDirty() *dirty { return &dirty{uids: map[string]struct{}{}, some: make(chan struct{}, 1)} }

func (d *dirty) mark(uids ...string) {
	if len(uids) == 0 {
		return
	}
	d.lock.Lock()
	for _, uid := range uids {
		if _, marked := d.uids[uid]; !marked {
			d.uids[uid] = struct{}{}
			d.order = append(d.order, uid)
		}
	}
	d.lock.Unlock()
	select {
	case d.some <- struct{}{}:
	default:
	}
}

func (d *dirty) count() int {
	d.lock.Lock()
	defer d.lock.Unlock()
	return len(d.order)
}

// take removes the first uids, up to limit, and gives them.
func (d *dirty) take(limit int) []string {
	d.lock.Lock()
	defer d.lock.Unlock()
	limit = min(limit, len(d.order))
	taken := d.order[:limit:limit]
	d.order = d.order[limit:]
	for _, uid := range taken {
		delete(d.uids, uid)
	}
	if len(d.order) == 0 {
		d.uids, d.order = map[string]struct{}{}, nil // neither gives back the room of a storm
	}
	return taken
}
