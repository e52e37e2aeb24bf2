package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/feed"
	"github.com/perceptor/perceptor/internal/hub/builtin/fetch"
	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
	"github.com/perceptor/perceptor/model"
)

// Feed keeps the vulnerability data of the ecosystems that the scanned images need as new as their source.
type Feed struct {
	*core
	updates *Updates
	judging *Judging

	lock sync.Mutex // guards what follows
	now  FeedStep
	// failures counts failed tries since the start, by ecosystem.
	failures map[string]int
}

// FeedStep is what the feed does at the moment; zero when it waits.
type FeedStep struct {
	Ecosystem string `json:"ecosystem,omitempty"`
	// Done and Total are bytes of the download at hand; Total is 0 when the source does not say.
	Done  int64 `json:"done,omitempty"`
	Total int64 `json:"total,omitempty"`
}

// FeedReport says how the updates go.
type FeedReport struct {
	Source   string        `json:"source"`
	Interval time.Duration `json:"interval"`
	Now      FeedStep      `json:"now,omitzero"`
	// Trouble is that with the source as a whole.
	Trouble feed.Trouble `json:"trouble,omitzero"`
	// Bytes were received since the start.
	Bytes      int64           `json:"bytes"`
	Ecosystems []FeedEcosystem `json:"ecosystems"`
}

// FeedEcosystem is one ecosystem that images need.
type FeedEcosystem struct {
	Ecosystem string `json:"ecosystem"`
	feed.Need
	// Loading says that its first data are on their way.
	Loading bool      `json:"loading,omitempty"`
	Checked time.Time `json:"checked,omitzero"`
	feed.Trouble
	// FailedTries counts since the start.
	FailedTries int `json:"failedTries"`
}

func heldOf(e store.Ecosystem) feed.Held {
	return feed.Held{Set: e.Number, Complete: e.Complete, AsOf: e.AsOf}
}

// need wakes the feed when a verdict needs an ecosystem that it does not know of, as soon as the verdict can be read.
func (c *core) need(tx *store.Tx, needs map[string]int) {
	var known map[string]feed.Need
	if noted := c.needs.Load(); noted != nil {
		known = *noted
	}
	for base := range needs {
		if _, is := known[base]; is {
			continue
		}
		tx.OnCommit(func() {
			select {
			case c.needNew <- struct{}{}:
			default: // it is woken already
			}
		})
		return
	}
}

// open reads what was noted before the last stop.
func (f *Feed) open() error {
	var book feed.Book
	if err := f.Store.View(func(tx *store.Tx) error { return tx.Data().Feed(&book) }); err != nil {
		return fmt.Errorf("read the state of the updates: %w", err)
	}
	book = book.For(f.Source.Base())
	f.book.Store(&book)
	return nil
}

// run fetches what is needed until the hub stops.
func (f *Feed) run() {
	for f.context.Err() == nil {
		step, held, err := f.next()
		if err == nil && step.Ecosystem != "" {
			f.do(step, held)
			continue
		}
		wait := f.Interval
		switch {
		case err != nil:
			f.Log.Error("it could not be decided which vulnerability data to load", "error", err)
			wait = retryWait
		case !step.At.IsZero():
			wait = max(step.At.Sub(f.Clock.Now()), time.Millisecond)
		}
		select {
		case <-f.context.Done():
		case <-f.needNew:
		case <-f.Clock.After(wait):
		}
	}
}

// next counts what images need and decides what to do.
func (f *Feed) next() (feed.Step, map[string]store.Ecosystem, error) {
	needs, held := map[string]feed.Need{}, map[string]store.Ecosystem{}
	judged := osv.Ecosystems()
	err := f.Store.View(func(tx *store.Tx) error {
		g, err := tx.Data().Current()
		if err != nil {
			return err
		}
		held = g.Ecosystems
		return tx.Versions().EachFrom("", func(v store.Version) bool {
			for base, components := range v.Summary.Needs {
				if slices.Contains(judged, base) {
					n := needs[base]
					needs[base] = feed.Need{Images: n.Images + 1, Components: n.Components + components}
				}
			}
			return true
		})
	})
	if err != nil {
		return feed.Step{}, nil, err
	}
	f.needs.Store(&needs)
	has := map[string]feed.Held{}
	for base, e := range held {
		has[base] = heldOf(e)
	}
	return f.book.Load().Next(f.Now(), f.Interval, needs, has), held, nil
}

// do takes one step and notes how it ended.
func (f *Feed) do(step feed.Step, held map[string]store.Ecosystem) {
	f.at(FeedStep{Ecosystem: step.Ecosystem})
	defer f.at(FeedStep{})
	before := f.book.Load()
	state := before.Ecosystems[step.Ecosystem]
	var err error
	if step.Whole {
		state, err = f.whole(step.Ecosystem, feed.State{})
	} else {
		state, err = f.check(step.Ecosystem, state, held[step.Ecosystem])
	}
	if f.context.Err() != nil {
		return // the hub stops; what was fetched is gone on with
	}
	if errors.Is(err, ErrLoading) {
		f.wait(retryWait) // an operator loads data; that is no failure
		return
	}
	after := feed.Book{Base: before.Base, Source: before.Source, Ecosystems: maps.Clone(before.Ecosystems)}
	if err != nil {
		after.Fail(step.Ecosystem, err, f.Now())
		f.lock.Lock()
		f.failures[step.Ecosystem]++
		f.lock.Unlock()
		f.Log.Warn("vulnerability data could not be updated, trying again later", "ecosystem", step.Ecosystem,
			"next", after.Ecosystems[step.Ecosystem].Next, "error", err)
	} else {
		after.Succeed(step.Ecosystem, state, f.Now())
	}
	f.book.Store(&after)
	if err := f.Store.Update(func(tx *store.Tx) error { return tx.Data().PutFeed(after) }); err != nil {
		f.Log.Error("the state of the updates could not be written", "error", err)
	}
	if !slices.Equal(before.Troubles(), after.Troubles()) {
		f.judging.All()
	}
}

func (f *Feed) at(step FeedStep) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.now = step
}

// whole loads all records of an ecosystem, unless the archive is still the one of the state's tag; then the data are renewed.
func (f *Feed) whole(ecosystem string, state feed.State) (feed.State, error) {
	checked := f.Now()
	path, answer, err := f.Source.Archive(f.context, ecosystem, state.Archive, func(done, total int64) {
		f.at(FeedStep{Ecosystem: ecosystem, Done: done, Total: total})
	})
	if err != nil {
		return state, err
	}
	if answer.Unchanged {
		return state, f.updates.renew(ecosystem, state.Set, checked)
	}
	defer os.Remove(path) //nolint:errcheck // it is replaced the next time
	source, err := osv.Open(f.context, path, osv.Options{})
	if err != nil {
		return state, err
	}
	report, err := f.updates.Load(f.context, archiveLines(f.context, source, ecosystem), LoadOptions{
		Source: f.Source.Base(), AsOf: checked, Complete: true, own: true,
	})
	if err != nil {
		return state, err
	}
	return feed.State{Archive: answer.Tag, Set: report.number}, nil
}

// archiveLines are the records of one ecosystem's archive.
func archiveLines(ctx context.Context, source *osv.Source, ecosystem string) func(yield func([]byte, error) bool) {
	return func(yield func([]byte, error) bool) {
		if !yield(ArchiveLine(ecosystem), nil) {
			return
		}
		left := errors.New("the load ended")
		_, err := source.Texts(ctx, func(_ string, text []byte) error {
			if !yield(text, nil) {
				return left
			}
			return nil
		})
		if err != nil && !errors.Is(err, left) {
			yield(nil, err)
		}
	}
}

// check asks for the changes since the last time and takes them in.
func (f *Feed) check(ecosystem string, state feed.State, held store.Ecosystem) (feed.State, error) {
	checked := f.Now()
	listed, answer, err := f.Source.Changes(f.context, ecosystem, state.Changes)
	if missing, is := errors.AsType[*fetch.Error](err); is && missing.Class == model.NotFound {
		return f.whole(ecosystem, state) // a mirror may have the archives alone
	}
	if err != nil {
		return state, err
	}
	if answer.Unchanged {
		return state, f.updates.renew(ecosystem, state.Set, checked)
	}
	set := store.Set{Number: held.Number, Ecosystem: ecosystem}
	var known map[string]time.Time
	err = f.Store.View(func(tx *store.Tx) (err error) {
		known, err = tx.Data().Known(set)
		return err
	})
	if err != nil {
		return state, err
	}
	different, err := feed.Compare(listed, known)
	var changes []changed
	if err == nil {
		changes, err = f.records(ecosystem, different, listed)
	}
	if errors.Is(err, feed.ErrTooDifferent) {
		return f.whole(ecosystem, feed.State{})
	}
	if err != nil {
		return state, err
	}
	if err := f.updates.apply(ecosystem, state.Set, checked, changes, different.Gone); err != nil {
		return state, err
	}
	state.Changes = answer.Tag
	return state, nil
}

const (
	// parallelRecords is how many single records are fetched at one time.
	parallelRecords = 4
	// maxRecordBytes bounds what single records take in memory; above it the archive is fetched.
	maxRecordBytes = 64 << 20
)

// records fetches the changed ones. Those that the source has lost in the meantime are left as they are until the next list.
func (f *Feed) records(ecosystem string, different feed.Difference, listed map[string]time.Time) ([]changed, error) {
	found := make([]changed, len(different.Changed))
	for start := 0; start < len(found); start += parallelRecords {
		batch := different.Changed[start:min(start+parallelRecords, len(found))]
		errs := make([]error, len(batch))
		var all sync.WaitGroup
		for i, id := range batch {
			all.Go(func() {
				text, gone, err := f.Source.Record(f.context, ecosystem, id)
				found[start+i], errs[i] = changed{id: id, at: listed[id], text: text, gone: gone}, err
			})
		}
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			return nil, err
		}
		size := 0
		for _, each := range found[:start+len(batch)] {
			size += len(each.text)
		}
		if size > maxRecordBytes {
			return nil, feed.ErrTooDifferent
		}
	}
	return slices.DeleteFunc(found, func(c changed) bool { return c.gone }), nil
}

// Report says how the updates go.
func (f *Feed) Report() FeedReport {
	book := f.book.Load()
	report := FeedReport{Source: f.Source.Base(), Interval: f.Interval, Trouble: book.Source, Bytes: f.Source.Bytes(), Ecosystems: []FeedEcosystem{}}
	var held map[string]store.Ecosystem
	_ = f.Store.View(func(tx *store.Tx) error {
		g, err := tx.Data().Current()
		held = g.Ecosystems
		return err
	}) // without it everything that is needed is shown as loading
	f.lock.Lock()
	defer f.lock.Unlock()
	report.Now = f.now
	needs := map[string]feed.Need{}
	if known := f.needs.Load(); known != nil {
		needs = *known
	}
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		state := book.Ecosystems[name]
		report.Ecosystems = append(report.Ecosystems, FeedEcosystem{
			Ecosystem: name, Need: needs[name], Loading: book.Loading(name, heldOf(held[name])), Checked: state.Checked, Trouble: state.Trouble,
			FailedTries: f.failures[name],
		})
	}
	return report
}
