package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/perceptor/perceptor/model"
)

// The buckets of the file. Index buckets have keys of several parts; see joinKey.
const (
	metaBucket          = "meta"
	projectBucket       = "projects"
	projectNameBucket   = "project-names" // name -> project id
	versionBucket       = "versions"
	versionNameBucket   = "version-names" // project id, name -> version id
	locationBucket      = "code-locations"
	locationNameBucket  = "code-location-names" // lower-case name -> code location id
	versionLocations    = "version-code-locations"
	scanBucket          = "scans"
	scanIndexBucket     = "code-location-scans" // code location id, sequence -> scan id
	scanContentsBucket  = "scan-contents"       // scan id -> contents, while the scan runs
	contentsBucket      = "contents"            // code location id -> contents
	resultBucket        = "results"             // version id -> judged components
	activeBucket        = "active-scans"        // scan id, while the scan runs
	attemptBucket       = "attempts"            // lower-case scan name -> newest attempt
	notificationBucket  = "notifications"       // time, sequence, type -> notification
	statBucket          = "stats"
	uploadsByNameBucket = "uploads-by-name"
	scansByNameBucket   = "scans-by-name"
	refusedByBucket     = "uploads-refused-by"  // reason -> number
	exceptionBucket     = "exceptions"          // name -> document
	dataPrefix          = "vulnerability-data-" // followed by the number of the update and the ecosystem
)

var allBuckets = []string{
	metaBucket, projectBucket, projectNameBucket, versionBucket, versionNameBucket, locationBucket, locationNameBucket,
	versionLocations, scanBucket, scanIndexBucket, scanContentsBucket, contentsBucket, resultBucket, activeBucket,
	attemptBucket, notificationBucket, statBucket, uploadsByNameBucket, scansByNameBucket,
	refusedByBucket, exceptionBucket,
}

// schema is the version of the file's layout.
const schema = "3"

// lockWait is how long an open waits for another process to let the file go, as a stopping hub is about to.
const lockWait = 2 * time.Second

// Store is the open file.
type Store struct{ db *bbolt.DB }

// Open opens the file and makes it when it is missing. Two hubs cannot share one.
func Open(file string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the hub's file: %w", err)
	}
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{Timeout: lockWait, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open the hub's file %s: another hub has it open; stop that one or name another file: %w", file, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open the hub's file %s: %w", file, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range allBuckets {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return fmt.Errorf("make bucket %s: %w", name, err)
			}
		}
		meta := tx.Bucket([]byte(metaBucket))
		if err := checkSchema(meta); err != nil || meta.Get([]byte(serverKey)) != nil {
			return err
		}
		return meta.Put([]byte(serverKey), []byte(uuid.NewString()))
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the hub's file %s: %w", file, err), db.Close())
	}
	return &Store{db: db}, nil
}

func checkSchema(meta *bbolt.Bucket) error {
	have := meta.Get([]byte("schema"))
	if have == nil {
		return meta.Put([]byte("schema"), []byte(schema))
	}
	if string(have) != schema {
		return fmt.Errorf("the file has layout %.20q and this program writes %q: name another file", have, schema)
	}
	return nil
}

// serverKey is where the file keeps the ID of its data, which it gets when it is made.
const serverKey = "server"

// Identity tells these data from others, and from an older copy of themselves.
func (s *Store) Identity() (model.HubIdentity, error) {
	var identity model.HubIdentity
	err := s.db.View(func(tx *bbolt.Tx) error {
		identity.Server = string(tx.Bucket([]byte(metaBucket)).Get([]byte(serverKey)))
		identity.Sequence = tx.Bucket([]byte(scanBucket)).Sequence()
		return nil
	})
	if err != nil {
		return identity, fmt.Errorf("read the identity of the hub's file: %w", err)
	}
	return identity, nil
}

// Close waits for running transactions and closes the file.
func (s *Store) Close() error { return s.db.Close() }

// View runs a transaction that only reads. It sees the file as it was when the transaction began.
func (s *Store) View(read func(*Tx) error) error {
	return s.db.View(func(tx *bbolt.Tx) error { return read(&Tx{tx}) })
}

// Update runs a transaction that writes. One runs at a time; an error of the function changes nothing.
func (s *Store) Update(change func(*Tx) error) error {
	return s.db.Update(func(tx *bbolt.Tx) error { return change(&Tx{tx}) })
}

// Tx is one transaction. What it hands out must not be used after its end.
type Tx struct{ tx *bbolt.Tx }

// OnCommit has a function called once the transaction is written; it is not called when that fails.
func (t *Tx) OnCommit(then func()) { t.tx.OnCommit(then) }

// Projects reaches the projects.
func (t *Tx) Projects() Projects { return Projects{t.tx} }

// Versions reaches the project versions and their verdicts.
func (t *Tx) Versions() Versions { return Versions{t.tx} }

// CodeLocations reaches the code locations and their contents.
func (t *Tx) CodeLocations() CodeLocations { return CodeLocations{t.tx} }

// Scans reaches the scans and the attempts to upload them.
func (t *Tx) Scans() Scans { return Scans{t.tx} }

// Notifications reaches the notifications.
func (t *Tx) Notifications() Notifications { return Notifications{t.tx} }

// Counters reaches what is counted.
func (t *Tx) Counters() Counters { return Counters{t.tx} }

// Exceptions reaches the documents of exceptions.
func (t *Tx) Exceptions() Exceptions { return Exceptions{t.tx} }

// Data reaches the vulnerability data.
func (t *Tx) Data() Data { return Data{t.tx} }

// SessionKey is the secret that signs logins. The first call in a new file stores fresh.
func (t *Tx) SessionKey(fresh func() []byte) ([]byte, error) {
	if key := t.tx.Bucket([]byte(metaBucket)).Get([]byte("session-key")); key != nil {
		return bytes.Clone(key), nil // bbolt's memory ends with the transaction
	}
	key := fresh()
	return key, writeRaw(t.tx, metaBucket, "session-key", key)
}

// read decodes one stored object and reports whether it is there.
func read[T any](tx *bbolt.Tx, bucket, key string) (T, bool, error) {
	var value T
	raw := tx.Bucket([]byte(bucket)).Get([]byte(key))
	if raw == nil {
		return value, false, nil
	}
	if err := json.Unmarshal(raw, &value); err != nil {
		return value, false, fmt.Errorf("read %s %q of the hub's file: %w", bucket, key, err)
	}
	return value, true, nil
}

// find is read for an object that must be there.
func find[T any](tx *bbolt.Tx, bucket, what, id string) (T, error) {
	value, ok, err := read[T](tx, bucket, id)
	if err == nil && !ok {
		err = &NotFoundError{What: what, ID: id}
	}
	return value, err
}

// write stores one object.
func write(tx *bbolt.Tx, bucket, key string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s %q: %w", bucket, key, err)
	}
	return writeRaw(tx, bucket, key, raw)
}

func writeRaw(tx *bbolt.Tx, bucket, key string, raw []byte) error {
	if err := tx.Bucket([]byte(bucket)).Put([]byte(key), raw); err != nil {
		return fmt.Errorf("write %s %q: %w", bucket, key, err)
	}
	return nil
}

func remove(tx *bbolt.Tx, bucket, key string) error {
	if err := tx.Bucket([]byte(bucket)).Delete([]byte(key)); err != nil {
		return fmt.Errorf("delete %s %q: %w", bucket, key, err)
	}
	return nil
}

// eachUnder walks the entries of an index below its first part.
func eachUnder(tx *bbolt.Tx, bucket, first string, visit func(second, value string) error) error {
	prefix := []byte(joinKey(first, ""))
	cursor := tx.Bucket([]byte(bucket)).Cursor()
	for key, value := cursor.Seek(prefix); bytes.HasPrefix(key, prefix); key, value = cursor.Next() {
		if err := visit(string(key[len(prefix):]), string(value)); err != nil {
			return err
		}
	}
	return nil
}

// eachName walks an index from names to ids in the order of the names.
func eachName(tx *bbolt.Tx, bucket string, visit func(name, id string) error) error {
	return tx.Bucket([]byte(bucket)).ForEach(func(name, id []byte) error { return visit(string(name), string(id)) })
}

// joinKey makes a key of an index: the parts, separated by a byte that no part holds.
func joinKey(first, second string) string { return first + "\x00" + second }

// sequenceKey orders numbers as bytes.
func sequenceKey(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

func firstKey(cursor *bbolt.Cursor) []byte {
	key, _ := cursor.First()
	return key
}

// readInto is read for a type that this package does not know.
func readInto(tx *bbolt.Tx, bucket, key string, into any) error {
	raw := tx.Bucket([]byte(bucket)).Get([]byte(key))
	if raw == nil {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read %s %q of the hub's file: %w", bucket, key, err)
	}
	return nil
}
