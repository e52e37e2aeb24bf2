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
	idPart     = "ids"     // id of every record
	ratingPart = "ratings" // id of a vulnerability -> how bad any record says that it is
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

// rating is how bad a vulnerability is, as records say it.
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

// Put files a record in a set, under every package of the set's ecosystem.
func (d Data) Put(s Set, record osv.Record) error {
	if err := d.part(s, idPart).Put([]byte(record.ID), []byte{1}); err != nil {
		return fmt.Errorf("write id %s: %w", record.ID, err)
	}
	for _, key := range osv.KeysOf(record) {
		if osv.Base(key.Ecosystem) != s.Ecosystem {
			continue
		}
		raw, err := json.Marshal(record.Only(key))
		if err != nil {
			return fmt.Errorf("encode record %s: %w", record.ID, err)
		}
		if err := d.part(s, recordPart).Put([]byte(recordKey(key, record.ID)), raw); err != nil {
			return fmt.Errorf("write record %s: %w", record.ID, err)
		}
	}
	severity, score, ids := osv.RatingOf(record)
	if severity == "" {
		return nil
	}
	for _, id := range ids {
		if err := d.rate(s, id, rating{severity, score}); err != nil {
			return err
		}
	}
	return nil
}

func (d Data) rate(s Set, id string, now rating) error {
	before, err := d.rating(s, id)
	if err != nil || !now.worse(before) {
		return err
	}
	raw, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("encode the rating of %s: %w", id, err)
	}
	if err := d.part(s, ratingPart).Put([]byte(id), raw); err != nil {
		return fmt.Errorf("write the rating of %s: %w", id, err)
	}
	return nil
}

func (d Data) rating(s Set, id string) (rating, error) {
	var known rating
	raw := d.part(s, ratingPart).Get([]byte(id))
	if raw == nil {
		return known, nil
	}
	if err := json.Unmarshal(raw, &known); err != nil {
		return known, fmt.Errorf("%w: rating of %s: %w", ErrDamaged, id, err)
	}
	return known, nil
}

// Severity is how bad a vulnerability is by any record of any package in use; empty when none says so.
func (d Data) Severity(g Generation, id string) (model.Severity, float64, error) {
	var worst rating
	for name, ecosystem := range g.Ecosystems {
		known, err := d.rating(Set{ecosystem.Number, name}, id)
		if err != nil {
			return "", 0, err
		}
		if known.Severity != "" && known.worse(worst) {
			worst = known
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
	if s.Ecosystem != "" {
		releases[s.Ecosystem] = 0
	}
	counted := map[string]bool{}
	err = d.part(s, recordPart).ForEach(func(key, _ []byte) error {
		release, _, _ := strings.Cut(string(key), "\x00")
		// A record about several packages of a release counts once.
		id := release + string(key[bytes.LastIndexByte(key, 0):])
		if !counted[id] {
			counted[id] = true
			releases[release]++
		}
		return nil
	})
	if releases[s.Ecosystem] == 0 {
		delete(releases, s.Ecosystem)
	}
	return d.part(s, idPart).Stats().KeyN, releases, err
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
		if part != ratingPart && skip(id) || part == ratingPart && into.Get(key) != nil {
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
