package builtin

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
)

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

// Load reads OSV records, one JSON text each, empty ones passed over, and makes them the data in use, all at once; then every version is judged
// anew in the background. A malformed record is reported and passed over. An error of the sequence itself, or of ctx, gives
// the load up: the old data stay, as they do when the hub is killed meanwhile. One load runs at a time.
func (h *Hub) Load(ctx context.Context, records iter.Seq2[[]byte, error], mode LoadMode) (LoadReport, error) {
	if mode != Replace && mode != Merge {
		return LoadReport{}, fmt.Errorf("load vulnerability data: mode %.20q is neither %s nor %s", mode, Replace, Merge)
	}
	if !h.loading.TryLock() {
		return LoadReport{}, ErrLoading
	}
	defer h.loading.Unlock()
	l, err := h.newLoader()
	if err != nil {
		return LoadReport{}, err
	}
	defer h.loadingNumber.Store(0)
	defer h.progress.Store(nil)
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
	h.log.Info("vulnerability data loaded", "records", l.report.Records, "malformed", l.report.Malformed, "kept", l.report.Kept)
	h.rejudgeAll()
	return l.report, nil
}

// loader writes one generation.
type loader struct {
	hub    *Hub
	number uint64
	report LoadReport
	batch  []osv.Record
	bytes  int
}

// newLoader takes a number that no generation, also no half-written one, ever had.
func (h *Hub) newLoader() (*loader, error) {
	l := &loader{hub: h, report: LoadReport{MalformedRecords: []MalformedRecord{}}}
	err := h.db.Update(func(tx *bbolt.Tx) error {
		last := uint64(0)
		if raw := tx.Bucket([]byte(metaBucket)).Get([]byte("last-generation")); len(raw) == 8 {
			last = binary.BigEndian.Uint64(raw)
		}
		l.number = last + 1
		h.loadingNumber.Store(l.number)
		if err := writeRaw(tx, metaBucket, "last-generation", []byte(sequenceKey(l.number))); err != nil {
			return err
		}
		data, err := tx.CreateBucket(dataBucket(l.number))
		if err != nil {
			return fmt.Errorf("make a generation: %w", err)
		}
		for _, part := range dataParts {
			if _, err := data.CreateBucket([]byte(part)); err != nil {
				return fmt.Errorf("make %s of a generation: %w", part, err)
			}
		}
		return nil
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
		if err = errors.Join(err, ctx.Err(), l.hub.context.Err()); err != nil {
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
		Line: line, ID: named.ID[:min(len(named.ID), maxName)], Reason: err.Error(),
	})
}

// write stores the batch.
func (l *loader) write() error {
	err := l.hub.db.Update(func(tx *bbolt.Tx) error {
		data := tx.Bucket(dataBucket(l.number))
		for _, record := range l.batch {
			if err := putRecord(data, record); err != nil {
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
	l.hub.progress.Store(&seen)
	return nil
}

// putRecord files a record under every package it is about, each time with only what it says of that package.
func putRecord(data *bbolt.Bucket, record osv.Record) error {
	if err := data.Bucket([]byte(idPart)).Put([]byte(record.ID), nil); err != nil {
		return fmt.Errorf("write id %s: %w", record.ID, err)
	}
	for _, key := range osv.KeysOf(record) {
		raw, err := json.Marshal(record.Only(key))
		if err != nil {
			return fmt.Errorf("encode record %s: %w", record.ID, err)
		}
		if err := data.Bucket([]byte(recordPart)).Put([]byte(recordKey(key, record.ID)), raw); err != nil {
			return fmt.Errorf("write record %s: %w", record.ID, err)
		}
		if err := data.Bucket([]byte(ecosystemPart)).Put([]byte(joinKey(key.Ecosystem, record.ID)), nil); err != nil {
			return fmt.Errorf("write ecosystem of record %s: %w", record.ID, err)
		}
	}
	return nil
}

// flip makes the generation the one in use.
func (l *loader) flip() error {
	err := l.hub.db.Update(func(tx *bbolt.Tx) error {
		g := generation{Number: l.number, LoadedAt: l.hub.now(), Ecosystems: map[string]int{}}
		data := tx.Bucket(dataBucket(l.number))
		g.Records = data.Bucket([]byte(idPart)).Stats().KeyN
		err := data.Bucket([]byte(ecosystemPart)).ForEach(func(key, _ []byte) error {
			ecosystem, _, _ := strings.Cut(string(key), "\x00")
			g.Ecosystems[ecosystem]++
			return nil
		})
		if err != nil {
			return err
		}
		if err := writeRaw(tx, metaBucket, "generation-number", []byte(sequenceKey(l.number))); err != nil {
			return err
		}
		return write(tx, metaBucket, "generation", g)
	})
	if err != nil {
		return fmt.Errorf("put vulnerability data into use: %w", err)
	}
	return nil
}
