package builtin

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
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
	scanContentsBucket  = "scan-contents"       // scan id -> components, while the scan runs
	contentsBucket      = "contents"            // code location id -> components
	resultBucket        = "results"             // version id -> judged components
	activeBucket        = "active-scans"        // scan id, while the scan runs
	attemptBucket       = "attempts"            // lower-case scan name -> newest attempt
	notificationBucket  = "notifications"       // time, sequence, type -> notification
	statBucket          = "stats"
	uploadsByNameBucket = "uploads-by-name"
	scansByNameBucket   = "scans-by-name"
	refusedByBucket     = "uploads-refused-by"  // reason -> number
	dataPrefix          = "vulnerability-data-" // followed by the generation
)

var allBuckets = []string{
	metaBucket, projectBucket, projectNameBucket, versionBucket, versionNameBucket, locationBucket, locationNameBucket,
	versionLocations, scanBucket, scanIndexBucket, scanContentsBucket, contentsBucket, resultBucket, activeBucket,
	attemptBucket, notificationBucket, statBucket, uploadsByNameBucket, scansByNameBucket,
	refusedByBucket,
}

// schema is the version of the file's layout.
const schema = "1"

// lockWait is how long an open waits for another process to let the file go, as a stopping hub is about to.
const lockWait = 2 * time.Second

func openStore(file string) (*bbolt.DB, error) {
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
		return checkSchema(tx.Bucket([]byte(metaBucket)))
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the hub's file %s: %w", file, err), db.Close())
	}
	return db, nil
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

// read decodes one stored object and tells whether it is there.
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

// joinKey makes a key of an index: the parts, separated by a byte that no part holds.
func joinKey(first, second string) string { return first + "\x00" + second }

// sequenceKey orders numbers as bytes.
func sequenceKey(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }
