package jobs

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// Updates loads vulnerability data, one load at a time.
type Updates struct {
	*core
	judging *Judging
	// loading is full while a load runs, and background while that is one of the hub's own; progress is how far it is.
	loading    chan struct{}
	background atomic.Bool
	progress   atomic.Pointer[LoadReport]
	// writing is the number being written: set before others can see it, cleared after it came into use.
	writing atomic.Uint64
}

// Progress is how far the running load is; nil when none runs.
func (u *Updates) Progress() *LoadReport { return u.progress.Load() }

// LoadMode says what becomes of the records that are there already of the ecosystems that a load carries. Those of other
// ecosystems stay in both modes.
type LoadMode string

const (
	// Replace drops them.
	Replace LoadMode = "replace"
	// Merge keeps those whose id is not among the new ones. Sample records are dropped also then.
	Merge LoadMode = "merge"
)

// LoadOptions describe a load.
type LoadOptions struct {
	// Mode is Replace when empty.
	Mode LoadMode
	// Source is where the records come from, for people; without a login.
	Source string
	// AsOf is when the records were last checked against their source; zero means the newest time in each ecosystem.
	AsOf time.Time
	// Complete says that the load carries all records there are of every ecosystem that it carries. Without it, only
	// archives that say so themselves are complete: see ArchiveLine.
	Complete bool
	// Sample says that the records are the demonstration records. They are passed over where an ecosystem has others.
	Sample bool
	// own says that the hub itself loads: it refuses to begin while another load runs, and others wait for it.
	own bool
}

const (
	// loadBatch and loadBatchBytes bound one transaction of a load: its memory, and how long an upload may wait for it.
	loadBatch      = 40_000
	loadBatchBytes = 16 << 20
	// sortBytes bounds what a load keeps in memory before it uses files.
	sortBytes = 64 << 20
	// namedMalformed is how many malformed or odd records a report names; all are counted.
	namedMalformed = 20
)

// ErrLoading answers a load that began while another one runs.
var ErrLoading = errors.New("another load of vulnerability data is running: wait for its end")

// ErrNoRecords answers a load without a single record that can be read; the old data stay.
var ErrNoRecords = errors.New("the input holds no OSV record")

// LoadReport is what a load of vulnerability data did.
type LoadReport struct {
	// Records is how many records were read, Malformed how many of the input were none.
	Records   int `json:"records"`
	Malformed int `json:"malformed"`
	// MalformedRecords names the first of those.
	MalformedRecords []MalformedRecord `json:"malformedRecords"`
	// Odd is how many records have parts that were not understood; OddRecords names the first of those. The packages that
	// such a part is about are not assessed.
	Odd        int               `json:"odd"`
	OddRecords []MalformedRecord `json:"oddRecords,omitempty"`
	// Kept is how many of the old records stay, in mode merge.
	Kept int `json:"kept"`
	// Ecosystems are those that the load carried, Complete those of them that are complete now.
	Ecosystems []string `json:"ecosystems"`
	Complete   []string `json:"complete"`
	// number is that of the sets that were written.
	number uint64
}

// MalformedRecord is one input that is no record: which one, counted from 1 with empty ones, its id if that could be read,
// and why.
type MalformedRecord struct {
	Line   int    `json:"line"`
	ID     string `json:"id,omitempty"`
	Reason string `json:"reason"`
}

// Load reads OSV records, one JSON text each, empty ones passed over, and makes them the data in use of the ecosystems that
// they are about, all at once; then every version is judged again in the background. A malformed record is reported and
// passed over. An error of the sequence itself, or of ctx, gives the load up: the old data stay, as they do when the hub is
// killed in the meantime. One load runs at a time.
func (u *Updates) Load(ctx context.Context, records iter.Seq2[[]byte, error], o LoadOptions) (LoadReport, error) {
	if o.Mode == "" {
		o.Mode = Replace
	}
	if o.Mode != Replace && o.Mode != Merge {
		return LoadReport{}, fmt.Errorf("load vulnerability data: mode %.20q is neither %s nor %s", o.Mode, Replace, Merge)
	}
	end, err := u.begin(ctx, o.own)
	if err != nil {
		return LoadReport{}, err
	}
	defer end()
	l, err := u.newLoader(o)
	if err != nil {
		return LoadReport{}, err
	}
	defer u.writing.Store(0)
	defer u.progress.Store(nil)
	err = l.read(ctx, records)
	defer func() { // nothing depends on the end of temporary files
		if err := l.sorter.Close(); err != nil {
			u.Log.Warn("temporary files of a load were not deleted", "error", err)
		}
	}()
	if err != nil {
		return l.report, err
	}
	if l.report.Records == 0 {
		return l.report, ErrNoRecords
	}
	if err := l.write(ctx); err != nil {
		return l.report, err
	}
	if err := l.keepOld(ctx); err != nil {
		return l.report, err
	}
	if err := l.flip(); err != nil {
		return l.report, err
	}
	u.Log.Info("vulnerability data loaded", "records", l.report.Records, "malformed", l.report.Malformed, "kept", l.report.Kept,
		"ecosystems", strings.Join(l.report.Ecosystems, ","), "complete", strings.Join(l.report.Complete, ","))
	u.judging.All()
	return l.report, nil
}

// begin waits until a load may begin; end makes room for the next one. A load of the hub's own is waited for, since it was
// not asked for; another one is not.
func (u *Updates) begin(ctx context.Context, own bool) (end func(), err error) {
	for {
		select {
		case u.loading <- struct{}{}:
			u.background.Store(own)
			return func() { <-u.loading }, nil
		default:
		}
		if own || !u.background.Load() {
			return nil, ErrLoading
		}
		select {
		case u.loading <- struct{}{}:
			u.background.Store(false)
			return func() { <-u.loading }, nil
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the end of another load of vulnerability data: %w", ctx.Err())
		case <-u.context.Done():
			return nil, fmt.Errorf("load vulnerability data: %w", u.context.Err())
		}
	}
}

// loader writes the sets of one load.
type loader struct {
	*Updates
	options LoadOptions
	number  uint64
	before  store.Generation
	report  LoadReport
	sorter  *store.Sorter
	// carried are the ecosystems that the load is about.
	carried map[string]*carried
	// ids are those of the load's records, kept for a merge only.
	ids map[string]bool
}

// carried is what a load brings of one ecosystem.
type carried struct {
	complete bool
	// newest is the latest change of a record, published the latest first publication.
	newest, published time.Time
	// copied says that the set was made only to drop old records from it, so what was known of the ecosystem still holds.
	copied bool
}

func (c *carried) see(record osv.Record) {
	if record.Modified.After(c.newest) {
		c.newest = record.Modified
	}
	if record.Published.After(c.published) {
		c.published = record.Published
	}
}

// asOf is from when the records are at least. Some databases leave the times of change out until they publish, so the
// latest publication stands in. It is zero when no record has any time.
func (c *carried) asOf() time.Time {
	if c.newest.Unix() > 0 {
		return c.newest
	}
	return c.published
}

func (u *Updates) newLoader(o LoadOptions) (*loader, error) {
	l := &loader{
		Updates: u, options: o, report: LoadReport{MalformedRecords: []MalformedRecord{}, Ecosystems: []string{}, Complete: []string{}},
		carried: map[string]*carried{}, ids: map[string]bool{}, sorter: store.NewSorter(u.Directory, sortBytes),
	}
	err := u.Store.Update(func(tx *store.Tx) (err error) {
		if l.before, err = tx.Data().Current(); err != nil {
			return err
		}
		l.number, err = tx.Data().NextNumber()
		u.writing.Store(l.number)
		l.report.number = l.number
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load vulnerability data: %w", err)
	}
	return l, nil
}

// read takes in all records. They are understood in parallel and counted in their order.
func (l *loader) read(ctx context.Context, records iter.Seq2[[]byte, error]) error {
	for one := range l.understood(ctx, records) {
		if one.err != nil {
			return fmt.Errorf("load vulnerability data: record %d: %w", one.line, one.err)
		}
		if err := l.take(one); err != nil {
			return err
		}
	}
	return nil
}

// take counts one line of the input.
func (l *loader) take(one understood) error {
	switch {
	case one.marker:
		if one.archive != "" {
			l.carry(one.archive).complete = true
		}
		return nil
	case one.malformed != nil:
		l.malformed(one)
		return nil
	}
	l.odd(one.line, one.record)
	for _, base := range one.ecosystems {
		l.carry(base).see(one.record)
	}
	if l.options.Mode == Merge {
		l.ids[one.record.ID] = true
	}
	l.report.Records++
	if l.report.Records%progressEvery == 0 {
		seen := l.report
		l.progress.Store(&seen)
	}
	return l.sorter.Add(one.entries...)
}

// progressEvery is the number of records after which the progress is shown again.
const progressEvery = 500

func (l *loader) carry(base string) *carried {
	if l.carried[base] == nil {
		l.carried[base] = &carried{complete: l.options.Complete && base != ""}
	}
	return l.carried[base]
}

func (l *loader) malformed(one understood) {
	l.report.Malformed++
	if len(l.report.MalformedRecords) < namedMalformed {
		l.report.MalformedRecords = append(l.report.MalformedRecords, MalformedRecord{
			Line: one.line, ID: one.id[:min(len(one.id), MaxName)], Reason: one.malformed.Error(),
		})
	}
}

// odd reports a record with parts that were not understood.
func (l *loader) odd(line int, record osv.Record) {
	if len(record.Problems) == 0 {
		return
	}
	if l.report.Odd++; len(l.report.OddRecords) < namedMalformed {
		l.report.OddRecords = append(l.report.OddRecords, MalformedRecord{Line: line, ID: record.ID, Reason: fmt.Sprint(record.Problems[0])})
	}
}

// set is that of an ecosystem in this load.
func (l *loader) set(base string) store.Set { return store.Set{Number: l.number, Ecosystem: base} }

// write stores all records in the order of their keys, in transactions between which uploads get their turn.
func (l *loader) write(ctx context.Context) error {
	var batch []store.Entry
	size := 0
	commit := func() error {
		if err := errors.Join(ctx.Err(), l.context.Err()); err != nil {
			return err
		}
		return l.Store.Update(func(tx *store.Tx) error {
			for base := range l.carried {
				if err := tx.Data().Make(l.set(base)); err != nil {
					return err
				}
			}
			return tx.Data().Write(l.number, batch)
		})
	}
	for entry, err := range l.sorter.Sorted() {
		if err != nil {
			return fmt.Errorf("write vulnerability data: %w", err)
		}
		batch = append(batch, entry)
		if size += entry.Size(); len(batch) < loadBatch && size < loadBatchBytes {
			continue
		}
		if err := commit(); err != nil {
			return fmt.Errorf("write vulnerability data: %w", err)
		}
		clear(batch)
		batch, size = batch[:0], 0
	}
	if err := commit(); err != nil {
		return fmt.Errorf("write vulnerability data: %w", err)
	}
	return nil
}

// keepOld copies old records of the ecosystems that the load carries: in mode merge those whose id did not come again. A
// new record replaces the old one of its id whole, also in ecosystems that it is no longer about. Records about nothing
// that is judged stay in both modes.
func (l *loader) keepOld(ctx context.Context) error {
	for _, base := range slices.Sorted(maps.Keys(l.before.Ecosystems)) {
		held := l.before.Ecosystems[base]
		from := store.Set{Number: held.Number, Ecosystem: base}
		keep, err := l.keeps(base, held, from)
		if err != nil || !keep {
			if err != nil {
				return err
			}
			continue
		}
		for at := (store.Position{}); !at.Done; {
			if err := errors.Join(ctx.Err(), l.context.Err()); err != nil {
				return fmt.Errorf("keep old vulnerability data: %w", err)
			}
			kept := 0
			err := l.Store.Update(func(tx *store.Tx) (err error) {
				if err := tx.Data().Make(l.set(base)); err != nil {
					return err
				}
				at, kept, err = tx.Data().Copy(from, l.set(base), at, loadBatch, loadBatchBytes, func(id string) bool {
					return l.ids[id] || tx.Data().Has(l.set(base), id)
				})
				return err
			})
			if err != nil {
				return fmt.Errorf("keep old vulnerability data: %w", err)
			}
			if l.options.Mode == Merge {
				l.report.Kept += kept
			}
		}
	}
	return nil
}

// keeps reports whether old records of an ecosystem are copied into the load's set.
func (l *loader) keeps(base string, held store.Ecosystem, from store.Set) (bool, error) {
	_, brought := l.carried[base]
	switch {
	case base == "":
		return brought, nil
	case l.options.Mode == Replace:
		return false, nil
	case brought:
		return !held.Sample || l.options.Sample, nil
	}
	// A record that is about something else now leaves an ecosystem that the load does not carry.
	touched := false
	err := l.Store.View(func(tx *store.Tx) error {
		for id := range l.ids {
			if touched = tx.Data().Has(from, id); touched {
				return nil
			}
		}
		return nil
	})
	if err == nil && touched {
		l.carried[base] = &carried{copied: true}
	}
	return touched, err
}

// flip makes the load's sets those in use, beside the sets of all other ecosystems.
func (l *loader) flip() error {
	err := l.Store.Update(func(tx *store.Tx) error {
		now := l.Now()
		g := store.Generation{Number: l.number, LoadedAt: now, Ecosystems: maps.Clone(l.before.Ecosystems)}
		if g.Ecosystems == nil {
			g.Ecosystems = map[string]store.Ecosystem{}
		}
		for _, base := range slices.Sorted(maps.Keys(l.carried)) {
			if err := tx.Data().Make(l.set(base)); err != nil {
				return err
			}
			records, releases, err := tx.Data().Count(l.set(base))
			if err != nil {
				return err
			}
			if records == 0 && !l.carried[base].complete {
				delete(g.Ecosystems, base)
				continue
			}
			next := l.described(base, now)
			next.Number, next.LoadedAt, next.Records, next.Releases = l.number, now, records, releases
			g.Ecosystems[base] = next
			if base == "" || l.carried[base].copied {
				continue
			}
			l.report.Ecosystems = append(l.report.Ecosystems, base)
			if next.Complete {
				l.report.Complete = append(l.report.Complete, base)
			}
		}
		return tx.Data().Use(g)
	})
	if err != nil {
		return fmt.Errorf("put vulnerability data into use: %w", err)
	}
	return nil
}

// described says where the data of an ecosystem come from and how far they go.
func (l *loader) described(base string, now time.Time) store.Ecosystem {
	c, held := l.carried[base], l.before.Ecosystems[base]
	asOf := l.options.AsOf
	if asOf.IsZero() {
		asOf = c.asOf()
	}
	if asOf.After(now) {
		asOf = now // a record from the future makes no data newer than now
	}
	next := store.Ecosystem{Source: l.options.Source, AsOf: asOf.UTC(), Complete: c.complete && !l.options.Sample, Sample: l.options.Sample}
	// Records merged into complete data leave them as complete, and as old, as they were.
	if c.copied || l.options.Mode == Merge && held.Complete && !next.Complete {
		next.Source, next.AsOf, next.Complete, next.Sample = held.Source, held.AsOf, held.Complete, held.Sample
	}
	return next
}
