package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// Updates loads vulnerability data, one load at a time.
type Updates struct {
	*core
	judging *Judging
	// loading serializes loads; progress is how far the running one is.
	loading  sync.Mutex
	progress atomic.Pointer[LoadReport]
	// writing is the number being written: set before others can see it, cleared after it came into use.
	writing atomic.Uint64
}

// Progress is how far the running load is; nil when none runs.
func (u *Updates) Progress() *LoadReport { return u.progress.Load() }

// LoadMode says what becomes of the records that are there already.
type LoadMode string

const (
	// Replace drops them.
	Replace LoadMode = "replace"
	// Merge keeps those whose id is not among the new ones.
	Merge LoadMode = "merge"
)

const (
	// loadBatch and loadBatchBytes bound one transaction of a load: its memory, and how long an upload may wait for it.
	loadBatch      = 4000
	loadBatchBytes = 16 << 20
	// namedMalformed is how many malformed records a report names; all are counted.
	namedMalformed = 20
)

// ErrLoading answers a load that began while another one runs.
var ErrLoading = errors.New("another load of vulnerability data is running: wait for its end")

// ErrNoRecords answers a load without a single record that can be read; the old data stay.
var ErrNoRecords = errors.New("no readable record among the vulnerability data: the old ones stay")

// LoadReport is what a load of vulnerability data did.
type LoadReport struct {
	// Records is how many records were read, Malformed how many of the input were none.
	Records   int `json:"records"`
	Malformed int `json:"malformed"`
	// MalformedRecords names the first of those.
	MalformedRecords []MalformedRecord `json:"malformedRecords"`
	// Kept is how many of the old records stay, in mode merge.
	Kept int `json:"kept"`
}

// MalformedRecord is one input that is no record: which one, counted from 1 with empty ones, its id if that could be read,
// and why.
type MalformedRecord struct {
	Line   int    `json:"line"`
	ID     string `json:"id,omitempty"`
	Reason string `json:"reason"`
}

// Load reads OSV records, one JSON text each, empty ones passed over, and makes them the data in use, all at once; then
// every version is judged again in the background. A malformed record is reported and passed over. An error of the sequence itself, or of ctx, gives
// the load up: the old data stay, as they do when the hub is killed in the meantime. One load runs at a time.
func (u *Updates) Load(ctx context.Context, records iter.Seq2[[]byte, error], mode LoadMode) (LoadReport, error) {
	if mode != Replace && mode != Merge {
		return LoadReport{}, fmt.Errorf("load vulnerability data: mode %.20q is neither %s nor %s", mode, Replace, Merge)
	}
	if !u.loading.TryLock() {
		return LoadReport{}, ErrLoading
	}
	defer u.loading.Unlock()
	l, err := u.newLoader()
	if err != nil {
		return LoadReport{}, err
	}
	defer u.writing.Store(0)
	defer u.progress.Store(nil)
	if err := l.read(ctx, records); err != nil {
		return l.report, err
	}
	if l.report.Records == 0 {
		return l.report, ErrNoRecords
	}
	if mode == Merge {
		if err := l.keepOld(ctx); err != nil {
			return l.report, err
		}
	}
	if err := l.flip(); err != nil {
		return l.report, err
	}
	u.Log.Info("vulnerability data loaded", "records", l.report.Records, "malformed", l.report.Malformed, "kept", l.report.Kept)
	u.judging.All()
	return l.report, nil
}

// loader writes one generation.
type loader struct {
	*Updates
	number uint64
	report LoadReport
	batch  []osv.Record
	bytes  int
}

// newLoader takes a number that no generation, also no half-written one, ever had.
func (u *Updates) newLoader() (*loader, error) {
	l := &loader{Updates: u, report: LoadReport{MalformedRecords: []MalformedRecord{}}}
	err := u.Store.Update(func(tx *store.Tx) (err error) {
		if l.number, err = tx.Data().NextNumber(); err != nil {
			return err
		}
		u.writing.Store(l.number)
		return tx.Data().Make(l.number)
	})
	if err != nil {
		return nil, fmt.Errorf("load vulnerability data: %w", err)
	}
	return l, nil
}

func (l *loader) read(ctx context.Context, records iter.Seq2[[]byte, error]) error {
	line := 0
	for raw, err := range records {
		line++
		if err = errors.Join(err, ctx.Err(), l.context.Err()); err != nil {
			return fmt.Errorf("load vulnerability data: record %d: %w", line, err)
		}
		if len(raw) == 0 {
			continue
		}
		record, err := osv.Parse(raw)
		if err != nil {
			l.malformed(line, raw, err)
			continue
		}
		l.batch = append(l.batch, record)
		if l.bytes += len(raw); len(l.batch) >= loadBatch || l.bytes >= loadBatchBytes {
			if err := l.write(); err != nil {
				return err
			}
		}
	}
	return l.write()
}

func (l *loader) malformed(line int, raw []byte, err error) {
	l.report.Malformed++
	if len(l.report.MalformedRecords) >= namedMalformed {
		return
	}
	var named struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(raw, &named) // a record too broken for its id is named by its line
	l.report.MalformedRecords = append(l.report.MalformedRecords, MalformedRecord{
		Line: line, ID: named.ID[:min(len(named.ID), MaxName)], Reason: err.Error(),
	})
}

// write stores the batch.
func (l *loader) write() error {
	err := l.Store.Update(func(tx *store.Tx) error {
		for _, record := range l.batch {
			if err := putRecord(tx.Data(), l.number, record); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write vulnerability data: %w", err)
	}
	l.report.Records += len(l.batch)
	l.batch, l.bytes = l.batch[:0], 0
	seen := l.report
	l.progress.Store(&seen)
	return nil
}

// putRecord files a record under every package it is about, each time with only what it says of that package.
func putRecord(data store.Data, number uint64, record osv.Record) error {
	if err := data.PutID(number, record.ID); err != nil {
		return err
	}
	for _, key := range osv.KeysOf(record) {
		raw, err := json.Marshal(record.Only(key))
		if err != nil {
			return fmt.Errorf("encode record %s: %w", record.ID, err)
		}
		if err := data.PutRecord(number, key.Ecosystem, key.Package, record.ID, raw); err != nil {
			return err
		}
	}
	return nil
}

// flip makes the generation the one in use.
func (l *loader) flip() error {
	err := l.Store.Update(func(tx *store.Tx) error { return tx.Data().Use(l.number, l.Now()) })
	if err != nil {
		return fmt.Errorf("put vulnerability data into use: %w", err)
	}
	return nil
}

// keepOld copies what the data in use have and the new generation has not, by id: a new record replaces the old one of its
// id whole, also under packages that it is no longer about.
func (l *loader) keepOld(ctx context.Context) error {
	var old uint64
	err := l.Store.View(func(tx *store.Tx) error {
		g, err := tx.Data().Current()
		old = g.Number
		return err
	})
	if err != nil || old == 0 {
		return err
	}
	parts, ids := store.Data{}.Parts()
	for _, part := range parts {
		for from := []byte(nil); ; {
			if err := errors.Join(ctx.Err(), l.context.Err()); err != nil {
				return fmt.Errorf("keep old vulnerability data: %w", err)
			}
			var copied int
			err := l.Store.Update(func(tx *store.Tx) (err error) {
				from, copied, err = tx.Data().Copy(part, old, l.number, from, loadBatch, loadBatchBytes)
				return err
			})
			if err != nil {
				return fmt.Errorf("keep old vulnerability data: %w", err)
			}
			if part == ids {
				l.report.Kept += copied
			}
			if from == nil {
				break
			}
		}
	}
	return nil
}
