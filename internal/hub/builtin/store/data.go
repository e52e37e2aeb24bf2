package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

// Data reaches the vulnerability data within one transaction.
//
// The data of each ecosystem are a set of their own: one bucket of the file with the parts below. A set is written in many
// transactions and counts only once the pointer names it, which one transaction does. So an update replaces the ecosystems
// that it carries and leaves all others as they are.
type Data struct{ tx *bbolt.Tx }

const (
	recordPart = "records" // ecosystem with release, package, id -> the record's part about that package
	idPart     = "ids"     // id of every record -> when it was last changed, and where else it is filed
	ratingPart = "ratings" // id of a vulnerability, id of a record -> how bad the record says that it is
)

var dataParts = []string{recordPart, idPart, ratingPart}

// Generation is the pointer to the data in use. Its number changes with every update.
type Generation struct {
	Number   uint64    `json:"number"`
	LoadedAt time.Time `json:"loadedAt"`
	// Ecosystems are by their name without a release; the empty one holds records about nothing that is judged.
	Ecosystems map[string]Ecosystem `json:"ecosystems"`
}

// Ecosystem is the data of one ecosystem.
type Ecosystem struct {
	// Number is that of the update that wrote the set.
	Number   uint64    `json:"number"`
	LoadedAt time.Time `json:"loadedAt"`
	Records  int       `json:"records"`
	// Releases counts the records of each release, such as Debian:12; an ecosystem without releases has itself.
	Releases map[string]int `json:"releases"`
	// Source is where the records came from; AsOf, Complete and Sample are as in model.DataSource.
	Source   string    `json:"source,omitempty"`
	AsOf     time.Time `json:"asOf"`
	Complete bool      `json:"complete,omitempty"`
	Sample   bool      `json:"sample,omitempty"`
}

// Set names the data of one ecosystem as one update wrote them.
type Set struct {
	Number    uint64
	Ecosystem string
}

func (s Set) bucket() []byte { return fmt.Appendf(nil, "%s%d-%s", dataPrefix, s.Number, s.Ecosystem) }

// ErrDamaged says that stored records cannot be read.
var ErrDamaged = errors.New("the vulnerability data cannot be read; load them again")

// Current is the data in use; number 0 when none were ever loaded.
func (d Data) Current() (Generation, error) {
	g, _, err := read[Generation](d.tx, metaBucket, "generation")
	return g, err
}

// IsCurrent reports whether the generation of that number is in use, without decoding anything.
func (d Data) IsCurrent(number uint64) bool {
	raw := d.tx.Bucket([]byte(metaBucket)).Get([]byte("generation-number"))
	return raw != nil && string(raw) == sequenceKey(number)
}

// NextNumber takes a number that no update, also no half-written one, ever had.
func (d Data) NextNumber() (uint64, error) {
	last := uint64(0)
	if raw := d.tx.Bucket([]byte(metaBucket)).Get([]byte("last-generation")); len(raw) == 8 {
		last = binary.BigEndian.Uint64(raw)
	}
	return last + 1, writeRaw(d.tx, metaBucket, "last-generation", []byte(sequenceKey(last+1)))
}

// Make makes an empty set unless it is there.
func (d Data) Make(s Set) error {
	data, err := d.tx.CreateBucketIfNotExists(s.bucket())
	if err != nil {
		return fmt.Errorf("make the data of %q: %w", s.Ecosystem, err)
	}
	for _, part := range dataParts {
		if _, err := data.CreateBucketIfNotExists([]byte(part)); err != nil {
			return fmt.Errorf("make %s of the data of %q: %w", part, s.Ecosystem, err)
		}
	}
	return nil
}

// Put files a record in a set, under every package of the set's ecosystem. Changed is the time of change that the source names
// for it, where that is later than the record's own.
func (d Data) Put(s Set, record osv.Record, changed time.Time) error {
	entries, err := EntriesOf(s.Ecosystem, record, changed)
	if err != nil {
		return err
	}
	return d.Write(s.Number, entries)
}

// full is how full pages are left that are written in the order of their keys.
const full = 0.95

// Write writes entries into the sets of an update, which must be there. It is fastest in the order of Sorter.
func (d Data) Write(number uint64, entries []Entry) error {
	var into *bbolt.Bucket
	ecosystem, part := "", byte(0)
	for i := range entries {
		each := &entries[i]
		if into == nil || each.Ecosystem != ecosystem || each.part != part {
			ecosystem, part = each.Ecosystem, each.part
			into = d.part(Set{number, ecosystem}, dataParts[part])
			into.FillPercent = full
		}
		if err := into.Put(each.key, each.value); err != nil {
			return fmt.Errorf("write %s of the data of %q: %w", dataParts[part], ecosystem, err)
		}
	}
	return nil
}

// Remove takes a record out of a set; nothing happens when it is not there.
func (d Data) Remove(s Set, id string) error {
	raw := d.part(s, idPart).Get([]byte(id))
	if raw == nil {
		return nil
	}
	filed, err := readFiling(raw)
	if err != nil {
		return fmt.Errorf("%w: id %s: %w", ErrDamaged, id, err)
	}
	for part, keys := range map[string][]string{recordPart: filed.packages, ratingPart: filed.rated, idPart: {""}} {
		for _, key := range keys {
			full := joinKey(key, id)
			if part == idPart {
				full = id
			}
			if err := d.part(s, part).Delete([]byte(full)); err != nil {
				return fmt.Errorf("delete from %s of the data of %q: %w", part, s.Ecosystem, err)
			}
		}
	}
	return nil
}

// Mark notes a later time of change for a record that is there, or for one that could not be understood and is not.
func (d Data) Mark(s Set, id string, changed time.Time) error {
	filed := filing{}
	if raw := d.part(s, idPart).Get([]byte(id)); raw != nil {
		var err error
		if filed, err = readFiling(raw); err != nil {
			return fmt.Errorf("%w: id %s: %w", ErrDamaged, id, err)
		}
	}
	filed.changed = seconds(changed)
	if err := d.part(s, idPart).Put([]byte(id), filed.bytes()); err != nil {
		return fmt.Errorf("write id %s: %w", id, err)
	}
	return nil
}

// Known lists the records of a set with the time of their last change, to the second; zero where none is known.
func (d Data) Known(s Set) (map[string]time.Time, error) {
	known := map[string]time.Time{}
	err := d.part(s, idPart).ForEach(func(id, raw []byte) error {
		filed, err := readFiling(raw)
		if err != nil {
			return fmt.Errorf("%w: id %s: %w", ErrDamaged, id, err)
		}
		at := time.Time{}
		if filed.changed > 0 {
			at = time.Unix(filed.changed, 0).UTC()
		}
		known[string(id)] = at
		return nil
	})
	return known, err
}

// Severity is how bad a vulnerability is by any record of any package in use; empty when none says so.
func (d Data) Severity(g Generation, id string) (model.Severity, float64, error) {
	var worst rating
	for name, ecosystem := range g.Ecosystems {
		prefix := []byte(joinKey(id, ""))
		cursor := d.part(Set{ecosystem.Number, name}, ratingPart).Cursor()
		for key, raw := cursor.Seek(prefix); bytes.HasPrefix(key, prefix); key, raw = cursor.Next() {
			var known rating
			if err := json.Unmarshal(raw, &known); err != nil {
				return "", 0, fmt.Errorf("%w: rating of %s: %w", ErrDamaged, id, err)
			}
			if known.worse(worst) {
				worst = known
			}
		}
	}
	return worst.Severity, worst.Score, nil
}

// Records are those in use of one package.
func (d Data) Records(g Generation, key osv.Key) ([]osv.Record, error) {
	base := osv.Base(key.Ecosystem)
	ecosystem, held := g.Ecosystems[base]
	if !held {
		return nil, nil
	}
	prefix := []byte(recordKey(key, ""))
	cursor := d.part(Set{ecosystem.Number, base}, recordPart).Cursor()
	var records []osv.Record
	for at, raw := cursor.Seek(prefix); bytes.HasPrefix(at, prefix); at, raw = cursor.Next() {
		var r osv.Record
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		records = append(records, r)
	}
	return records, nil
}

// Count counts the records of a set, all and by release.
func (d Data) Count(s Set) (records int, releases map[string]int, err error) {
	releases = map[string]int{}
	err = d.part(s, idPart).ForEach(func(id, raw []byte) error {
		filed, err := readFiling(raw)
		if err != nil {
			return fmt.Errorf("%w: id %s: %w", ErrDamaged, id, err)
		}
		records++
		filed.releases(releases)
		return nil
	})
	return records, releases, err
}

// Has reports whether a set holds the record of an id.
func (d Data) Has(s Set, id string) bool { return d.part(s, idPart).Get([]byte(id)) != nil }

// Use makes a generation the one in use.
func (d Data) Use(g Generation) error {
	if err := writeRaw(d.tx, metaBucket, "generation-number", []byte(sequenceKey(g.Number))); err != nil {
		return err
	}
	return write(d.tx, metaBucket, "generation", g)
}

// Feed reads what was noted of the source of updates; nothing changes when nothing was.
func (d Data) Feed(into any) error { return readInto(d.tx, metaBucket, "feed", into) }

// PutFeed notes it.
func (d Data) PutFeed(noted any) error { return write(d.tx, metaBucket, "feed", noted) }

// Position is where a copy of a set goes on; the zero value is its beginning.
type Position struct {
	part int
	key  []byte
	Done bool
}

// Copy copies a batch of a set to the set of a later update, without the records of the ids that skip names. Kept is how
// many records were copied whole.
func (d Data) Copy(from, to Set, at Position, most, mostBytes int, skip func(id string) bool) (next Position, kept int, err error) {
	part := dataParts[at.part]
	cursor, into := d.part(from, part).Cursor(), d.part(to, part)
	seen, size := 0, 0
	for key, value := cursor.Seek(at.key); key != nil; key, value = cursor.Next() {
		if seen++; seen > most || size > mostBytes {
			return Position{part: at.part, key: bytes.Clone(key)}, kept, nil
		}
		id := string(key[bytes.LastIndexByte(key, 0)+1:])
		if skip(id) {
			continue
		}
		if err := into.Put(bytes.Clone(key), bytes.Clone(value)); err != nil {
			return at, kept, fmt.Errorf("copy %s of %q: %w", part, from.Ecosystem, err)
		}
		if size += len(key) + len(value); part == idPart {
			kept++
		}
	}
	next = Position{part: at.part + 1}
	next.Done = next.part == len(dataParts)
	return next, kept, nil
}

// Unused names a set that is neither in use nor of the update that is being written; empty when there is none.
func (d Data) Unused(writing uint64) (name string, err error) {
	current, err := d.Current()
	if err != nil {
		return "", err
	}
	used := map[string]bool{}
	for ecosystem, set := range current.Ecosystems {
		used[string(Set{set.Number, ecosystem}.bucket())] = true
	}
	inProgress := fmt.Sprintf("%s%d-", dataPrefix, writing)
	err = d.tx.ForEach(func(bucket []byte, _ *bbolt.Bucket) error {
		is := string(bucket)
		if strings.HasPrefix(is, dataPrefix) && !used[is] && !strings.HasPrefix(is, inProgress) {
			name = is
		}
		return nil
	})
	return name, err
}

// DeletePart deletes at most that many entries of an unused set, and the set when nothing is left in it.
func (d Data) DeletePart(name string, most int) error {
	data, left := d.tx.Bucket([]byte(name)), most
	for _, part := range dataParts {
		bucket := data.Bucket([]byte(part))
		if bucket == nil {
			continue
		}
		cursor := bucket.Cursor()
		for key := firstKey(cursor); key != nil && left > 0; key = firstKey(cursor) {
			if err := cursor.Delete(); err != nil {
				return fmt.Errorf("delete from %s: %w", part, err)
			}
			left--
		}
	}
	if left == 0 {
		return nil
	}
	return d.tx.DeleteBucket([]byte(name))
}

func (d Data) part(s Set, part string) *bbolt.Bucket {
	return d.tx.Bucket(s.bucket()).Bucket([]byte(part))
}

func recordKey(key osv.Key, id string) string {
	return joinKey(joinKey(key.Ecosystem, key.Package), id)
}
