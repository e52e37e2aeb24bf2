package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/feed"
	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// Clock gives the time and waits for it. Tests put their own in.
type Clock interface {
	Now() time.Time
	// After sends once d has passed; at once when d is not positive.
	After(d time.Duration) <-chan time.Time
}

// Options are what the work needs.
type Options struct {
	Store *store.Store
	// Policy says what is a violation, and which coverage a green verdict needs.
	Policy *judge.Policy
	Clock  Clock
	Log    *slog.Logger
	// Directory is for the files of a running load, which are deleted at its end; empty means the system's. It exists.
	Directory string
	// Source is where updates come from; nil means that there are none. Interval is the time between two checks.
	Source   *feed.Bucket
	Interval time.Duration
	// ScanTime is how long a scan works after its acceptance; 0 means as fast as the hub can.
	ScanTime time.Duration
	// Rehearsal lets a test decide how scans go; nil in production.
	Rehearsal Rehearsal
}

// Jobs is all work of one hub.
type Jobs struct {
	*core
	Scans      *Scans
	Catalog    *Catalog
	Judging    *Judging
	Updates    *Updates
	Exceptions *Exceptions
	Cleanup    *Cleanup
	// Feed is nil without a source of updates.
	Feed *Feed
}

// New prepares the work; nothing runs before Resume.
func New(o Options) *Jobs {
	c := &core{Options: o, needNew: make(chan struct{}, 1)}
	c.verdicts = newVerdicts(o.Policy, &c.book)
	c.context, c.stop = context.WithCancel(context.Background())
	if c.Rehearsal == nil {
		c.Rehearsal = steady{o.ScanTime}
	}
	judging := &Judging{core: c, wake: make(chan struct{}, 1)}
	catalog := &Catalog{core: c, judging: judging}
	updates := &Updates{core: c, judging: judging, loading: make(chan struct{}, 1)}
	var following *Feed
	if o.Source != nil {
		following = &Feed{core: c, updates: updates, judging: judging, failures: map[string]int{}}
	}
	return &Jobs{
		core: c, Judging: judging, Catalog: catalog, Updates: updates, Feed: following,
		Exceptions: &Exceptions{core: c, judging: judging}, Cleanup: &Cleanup{core: c, updates: updates},
		Scans: &Scans{core: c, judging: judging, catalog: catalog, slots: make(chan struct{}, parallelJudging)},
	}
}

// Resume goes on with what the hub had in progress: scans that were accepted, and versions not yet judged by the newest
// data. Chores are run by the clean-up besides its own.
func (j *Jobs) Resume(chores ...func() error) error {
	var running []store.Scan
	err := j.Store.View(func(tx *store.Tx) (err error) {
		running, err = tx.Scans().Active()
		return err
	})
	if err != nil {
		return fmt.Errorf("find the scans to go on with: %w", err)
	}
	if j.Feed != nil {
		if err := j.Feed.open(); err != nil {
			return err
		}
		j.goOn(j.Feed.run)
	}
	for _, s := range running {
		j.Scans.start(s)
	}
	j.Judging.All()
	j.goOn(j.Judging.keepJudged)
	j.goOn(func() { j.Cleanup.run(chores) })
	return nil
}

// Stop ends all work at its next step. Uploads that wait for their acceptance are refused.
func (j *Jobs) Stop() { j.stop() }

// Wait stops all work and waits until it has ended. It reports whether it was called before.
func (j *Jobs) Wait() (already bool) {
	j.lock.Lock()
	already = j.closed
	j.closed = true
	j.lock.Unlock()
	if !already {
		j.stop()
		j.work.Wait()
	}
	return already
}

// Stopping is closed when the hub stops.
func (j *Jobs) Stopping() <-chan struct{} { return j.context.Done() }

// core is what every kind of work shares.
type core struct {
	Options
	verdicts *verdicts
	// book is what the feed remembers, for the verdicts; nil inside without a feed. needs are the ecosystems that it knows to be
	// needed, and needNew wakes it when a verdict needs another.
	book    atomic.Pointer[feed.Book]
	needs   atomic.Pointer[map[string]feed.Need]
	needNew chan struct{}

	context context.Context // the hub's own life, not a caller's
	stop    context.CancelFunc
	lock    sync.Mutex // guards closed and additions to work
	closed  bool
	work    sync.WaitGroup
}

// goOn runs a part of the hub until Wait, unless that has begun.
func (c *core) goOn(part func()) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if !c.closed {
		c.work.Go(part)
	}
}

// wait passes the time and reports whether the hub is still to work.
func (c *core) wait(d time.Duration) bool {
	if d > 0 {
		select {
		case <-c.Clock.After(d):
		case <-c.context.Done():
		}
	}
	return c.context.Err() == nil
}

// Now is the hub's time, cut to the milliseconds that the REST API can show, so that what is stored is what is shown.
func (c *core) Now() time.Time { return c.Clock.Now().UTC().Truncate(time.Millisecond) }
