package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

// Entry is one line of a part of a set. A record is written as several.
type Entry struct {
	// Ecosystem is that of the set.
	Ecosystem  string
	part       byte // index of dataParts
	key, value []byte
}

// Size is about how many bytes the entry takes in memory.
func (e *Entry) Size() int { return len(e.key) + len(e.value) + entryOverhead }

// entryOverhead is the size of an Entry itself.
const entryOverhead = 80

// The indexes of dataParts.
const (
	recordEntry byte = iota
	idEntry
	ratingEntry
)

// rating is how bad a vulnerability is, as a record says it.
type rating struct {
	Severity model.Severity `json:"s"`
	Score    float64        `json:"c,omitempty"`
}

func (r rating) worse(than rating) bool {
	if r.Severity == than.Severity {
		return r.Score > than.Score
	}
	return than.Severity == "" || r.Severity.AtLeast(than.Severity)
}

// EntriesOf are the lines by which a record is filed in the set of an ecosystem, under every package of it. Changed is the time
// of change that the source names, where that is later than the record's own. It needs no transaction.
func EntriesOf(ecosystem string, record osv.Record, changed time.Time) ([]Entry, error) {
	filed := filing{changed: max(seconds(record.Modified), seconds(changed))}
	keys := osv.KeysOf(record)
	entries := make([]Entry, 0, len(keys)+2)
	for _, key := range keys {
		if osv.Base(key.Ecosystem) != ecosystem {
			continue
		}
		raw, err := json.Marshal(record.Only(key))
		if err != nil {
			return nil, fmt.Errorf("encode record %s: %w", record.ID, err)
		}
		name := joinKey(key.Ecosystem, key.Package)
		filed.packages = append(filed.packages, name)
		entries = append(entries, Entry{ecosystem, recordEntry, []byte(joinKey(name, record.ID)), raw})
	}
	if severity, score, ids := osv.RatingOf(record); severity != "" {
		raw, err := json.Marshal(rating{severity, score})
		if err != nil {
			return nil, fmt.Errorf("encode the rating of %s: %w", record.ID, err)
		}
		for _, id := range ids {
			filed.rated = append(filed.rated, id)
			entries = append(entries, Entry{ecosystem, ratingEntry, []byte(joinKey(id, record.ID)), raw})
		}
	}
	return append(entries, Entry{ecosystem, idEntry, []byte(record.ID), filed.bytes()}), nil
}

// filing says where the lines of one record are, so that it can be taken out again.
type filing struct {
	changed  int64    // when the record was last changed, in seconds since 1970; 0 when that is not known
	packages []string // keys in the records part, without the id
	rated    []string // keys in the ratings part, without the id
}

// bytes is the stored form: numbers, and texts behind their lengths.
func (f filing) bytes() []byte {
	size := 3 * binary.MaxVarintLen64
	for _, list := range [][]string{f.packages, f.rated} {
		for _, text := range list {
			size += len(text) + binary.MaxVarintLen32
		}
	}
	out := binary.AppendUvarint(make([]byte, 0, size), uint64(max(f.changed, 0)))
	for _, list := range [][]string{f.packages, f.rated} {
		out = binary.AppendUvarint(out, uint64(len(list)))
		for _, text := range list {
			out = append(binary.AppendUvarint(out, uint64(len(text))), text...)
		}
	}
	return out
}

var errFiling = errors.New("not what was written")

// readFiling reads what bytes wrote.
func readFiling(raw []byte) (f filing, err error) {
	number := func() uint64 {
		n, size := binary.Uvarint(raw)
		if size <= 0 {
			err = errFiling
			return 0
		}
		raw = raw[size:]
		return n
	}
	f.changed = int64(number() & (1<<62 - 1))
	for _, list := range []*[]string{&f.packages, &f.rated} {
		for n := number(); n > 0 && err == nil; n-- {
			size := number()
			if err != nil || size > uint64(len(raw)) {
				return filing{}, errFiling
			}
			*list = append(*list, string(raw[:size]))
			raw = raw[size:]
		}
	}
	if err != nil {
		return filing{}, err
	}
	return f, nil
}

// releases counts the record once in each release that it is about.
func (f filing) releases(counts map[string]int) {
	last := ""
	var more map[string]bool
	for _, name := range f.packages {
		release, _, _ := strings.Cut(name, "\x00")
		if release == last || more[release] {
			continue
		}
		if more == nil {
			more = map[string]bool{}
		}
		last, more[release] = release, true
		counts[release]++
	}
}

// seconds is a time in seconds since 1970; 0 for one that is not known, or impossible.
func seconds(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return max(at.Unix(), 0)
}
