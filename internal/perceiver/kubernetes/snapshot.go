package kubernetes

import (
	"context"
	"math/rand/v2"
	"time"
)

// snapshotTimeout is how long reporting a whole cluster may take.
const snapshotTimeout = 15 * time.Minute

// How long to wait after a report that failed.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = 30 * time.Second
)

// pause grows with every failure in a row.
type pause struct {
	length time.Duration
	until  time.Time
}

// longer doubles the pause. A tenth of it is chance, so that perceivers that failed together do not come back together.
func (p *pause) longer(now time.Time) {
	p.length = min(max(firstPause, 2*p.length), longestPause)
	p.until = now.Add(p.length + time.Duration(rand.Int64N(int64(p.length)/10))) //nolint:gosec // an attacker gains nothing by guessing it
}

// snapshot is the state of making snapshots.
type snapshot struct {
	due   time.Time
	pause pause
	// done brings the outcome of the one under way; nil when there is none.
	done chan error
	// stale says that another is needed, because something happened after the one under way was made.
	stale bool
	// covered are the pods of which it says what no report said before.
	covered []string
	size    int
	began   time.Time
}

func (s *snapshot) startAt(now time.Time) bool { return s.done == nil && !now.Before(s.due) }

// again asks for a snapshot of what holds now.
func (s *snapshot) again(now time.Time) {
	if s.done != nil {
		s.stale = true
		return
	}
	s.due = latest(now, s.pause.until)
}

// beginSnapshot reports everything beside the reports of changes, since it may take long: the versions keep order, and
// what changes meanwhile is newer.
func (r *reports) beginSnapshot(ctx context.Context) {
	r.head.Version.Counter++
	report := r.head
	report.Snapshot = true
	s := &r.snapshot
	s.covered, s.stale, s.began = nil, false, time.Now()
	r.dirty.take(r.dirty.count())
	before := r.reported
	r.reported = make(map[string]lastReport, len(before))
	for _, uid := range r.from.uids() {
		pod, is := r.current(uid, before)
		if !is {
			continue
		}
		report.Pods = append(report.Pods, pod)
		r.said(pod, nil)
		if before[uid].sum != r.reported[uid].sum {
			s.covered = append(s.covered, uid)
		}
	}
	s.size = len(report.Pods)
	for uid, gone := range before {
		if _, held := r.reported[uid]; !held {
			r.reported[uid] = gone // its end is said by itself, in case the snapshot does not arrive
			r.dirty.mark(uid)
		}
	}
	done := make(chan error, 1)
	s.done = done
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	go func() {
		defer cancel()
		done <- r.to.Report(ctx, report)
	}()
}

func (r *reports) endSnapshot(err error) {
	s, now := &r.snapshot, time.Now()
	s.done = nil
	if err == nil {
		r.arrived, r.holdUntil = true, time.Time{}
		r.logger.Info("snapshot reported", "pods", s.size, "took", now.Sub(s.began).Round(time.Millisecond))
		s.pause, s.due, s.covered = pause{}, now.Add(r.interval), nil
		if s.stale {
			s.due = now
		}
		return
	}
	if !r.arrived {
		r.holdUntil = r.began.Add(firstSnapshot)
	}
	s.pause.longer(now)
	s.due = s.pause.until
	r.logger.Warn("a snapshot could not be reported; it is made again", "pods", s.size, "pause", s.pause.length, "error", err)
	// What it was to cover is reported by itself meanwhile, unless that is so much that only a snapshot helps.
	if len(s.covered)+r.dirty.count() <= dirtyAtMost {
		for _, uid := range s.covered {
			if t, was := r.reported[uid]; was {
				t.sum = 0
				r.reported[uid] = t
			}
		}
		r.dirty.mark(s.covered...)
	}
	s.covered = nil
}

// abandonSnapshot waits for a snapshot whose context has ended.
func (r *reports) abandonSnapshot() {
	if r.snapshot.done != nil {
		r.logger.Debug("stopped during a snapshot", "error", <-r.snapshot.done)
	}
}
