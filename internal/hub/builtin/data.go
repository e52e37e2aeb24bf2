package builtin

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
)

// A generation of vulnerability data is one bucket of the file with these parts. It is written in many transactions and
// counts only once the pointer names it, which one transaction does.
const (
	recordPart    = "records"    // ecosystem, package, id -> the record's part about that package
	idPart        = "ids"        // id of every record, also of those that touch nothing that is judged
	ecosystemPart = "ecosystems" // ecosystem, id
)

var dataParts = []string{recordPart, idPart, ecosystemPart}

// generation is the pointer to the data in use.
type generation struct {
	Number   uint64    `json:"number"`
	LoadedAt time.Time `json:"loadedAt"`
	Records  int       `json:"records"`
	// Ecosystems counts the records of each ecosystem; a record may be about several.
	Ecosystems map[string]int `json:"ecosystems"`
}

func dataBucket(number uint64) []byte { return fmt.Appendf(nil, "%s%d", dataPrefix, number) }

// currentGeneration is the data in use; number 0 when none were ever loaded.
func currentGeneration(tx *bbolt.Tx) (generation, error) {
	g, _, err := read[generation](tx, metaBucket, "generation")
	return g, err
}

// dataError tells that stored data cannot be used, which trying again does not mend.
type dataError struct{ err error }

func (e *dataError) Error() string {
	return "the vulnerability data cannot be read; load them again: " + e.err.Error()
}

func (e *dataError) Unwrap() error { return e.err }

// storedData assesses packages by the data in use when the transaction began.
type storedData struct {
	tx    *bbolt.Tx
	cache *assessmentCache
}

var _ Assessor = storedData{}

func (h *Hub) assessor(tx *bbolt.Tx) storedData { return storedData{tx: tx, cache: h.cache} }

// warm assesses components, so that a transaction that writes finds them in memory.
func (h *Hub) warm(tx *bbolt.Tx, found []component) error {
	data := h.assessor(tx)
	for _, c := range found {
		if c.PURL == "" {
			continue
		}
		if _, err := data.Assess(c.PURL); err != nil {
			return err
		}
	}
	return nil
}

// Assess looks a package up. One whose ecosystem has no record at all is not assessed.
func (d storedData) Assess(purl string) (Assessment, error) {
	g, err := d.cache.generation(d.tx)
	if err != nil {
		return Assessment{}, err
	}
	if known, ok := d.cache.get(g.Number, purl); ok {
		return known, nil
	}
	key, assessable, err := osv.KeyOf(purl)
	if err != nil || !assessable || g.Ecosystems[key.Ecosystem] == 0 {
		return Assessment{}, nil // a package URL nobody can read is a package nobody can assess
	}
	records, err := d.records(g.Number, key)
	if err != nil {
		return Assessment{}, err
	}
	findings, err := osv.Match(purl, records)
	if err != nil {
		return Assessment{}, &dataError{fmt.Errorf("match %.200s: %w", purl, err)}
	}
	result := Assessment{Assessed: true, Ecosystem: key.Ecosystem}
	for _, f := range findings {
		result.Matches = append(result.Matches, Match{
			ID: f.ID, Aliases: f.Aliases, Severity: f.Severity, Score: f.Score, Fixed: f.Fixed, URL: f.URL, Published: f.Published, Modified: f.Modified,
		})
	}
	d.cache.put(g.Number, purl, result)
	return result, nil
}

func (d storedData) records(number uint64, key osv.Key) ([]osv.Record, error) {
	bucket := d.tx.Bucket(dataBucket(number)).Bucket([]byte(recordPart))
	prefix := recordKey(key, "")
	cursor := bucket.Cursor()
	var records []osv.Record
	for at, raw := cursor.Seek([]byte(prefix)); strings.HasPrefix(string(at), prefix); at, raw = cursor.Next() {
		var r osv.Record
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, &dataError{err}
		}
		records = append(records, r)
	}
	return records, nil
}

func recordKey(key osv.Key, id string) string {
	return joinKey(joinKey(key.Ecosystem, key.Package), id)
}

// cachedMatches bounds the matches kept in memory; one is about half a kilobyte. A package without any counts as one.
const cachedMatches = 100_000

// assessmentCache remembers assessments by one generation of the data: images share most of their packages.
type assessmentCache struct {
	lock    sync.Mutex
	number  uint64
	entries map[string]Assessment
	size    int

	current generation
}

func newAssessmentCache() *assessmentCache { return &assessmentCache{entries: map[string]Assessment{}} }

// generation is the data a transaction sees, decoded only when it is not the one seen last.
func (c *assessmentCache) generation(tx *bbolt.Tx) (generation, error) {
	raw := tx.Bucket([]byte(metaBucket)).Get([]byte("generation-number"))
	c.lock.Lock()
	defer c.lock.Unlock()
	if raw != nil && string(raw) == sequenceKey(c.current.Number) {
		return c.current, nil
	}
	g, err := currentGeneration(tx)
	if err == nil {
		c.current = g
	}
	return g, err
}

func (c *assessmentCache) get(number uint64, purl string) (Assessment, bool) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if number != c.number {
		return Assessment{}, false
	}
	a, ok := c.entries[purl]
	return a, ok
}

func (c *assessmentCache) put(number uint64, purl string, a Assessment) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if number < c.number {
		return // of data that were replaced meanwhile
	}
	size := max(1, len(a.Matches))
	if number > c.number || c.size+size > cachedMatches {
		c.number, c.entries, c.size = number, map[string]Assessment{}, 0
	}
	if _, known := c.entries[purl]; !known {
		c.size += size
	}
	c.entries[purl] = a
}
