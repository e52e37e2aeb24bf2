package store

import (
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/model"
)

// Scans reaches the scans and the attempts to upload them within one transaction.
type Scans struct{ tx *bbolt.Tx }

// Attempt is the newest attempt seen of a scan name, and its scan once it was accepted.
type Attempt struct {
	Attempt model.AttemptID `json:"attempt"`
	Scan    string          `json:"scan,omitempty"`
}

// Get reads a scan and reports whether it is there.
func (s Scans) Get(id string) (Scan, bool, error) { return read[Scan](s.tx, scanBucket, id) }

// Find reads a scan; the error is a NotFoundError where there is none.
func (s Scans) Find(id string) (Scan, error) { return find[Scan](s.tx, scanBucket, "scan", id) }

// Running reads a scan and reports whether it is still to be finished; it may have been cancelled.
func (s Scans) Running(id string) (Scan, bool, error) {
	scan, ok, err := s.Get(id)
	return scan, ok && scan.State == ScanStarted, err
}

// NextSequence numbers a new scan.
func (s Scans) NextSequence() (uint64, error) {
	seq, err := s.tx.Bucket([]byte(scanBucket)).NextSequence()
	if err != nil {
		return 0, fmt.Errorf("number the scan: %w", err)
	}
	return seq, nil
}

// Add stores a new running scan with its contents, and counts it.
func (s Scans) Add(scan Scan, contents judge.Contents) error {
	if err := write(s.tx, scanBucket, scan.ID, scan); err != nil {
		return err
	}
	if err := write(s.tx, scanContentsBucket, scan.ID, contents); err != nil {
		return err
	}
	if err := writeRaw(s.tx, scanIndexBucket, joinKey(scan.CodeLocation, sequenceKey(scan.Seq)), []byte(scan.ID)); err != nil {
		return err
	}
	if err := writeRaw(s.tx, activeBucket, scan.ID, nil); err != nil {
		return err
	}
	return Counters(s).scanAccepted(scan.Name)
}

// End stores the end of a running scan with its counters, and frees its stored components.
func (s Scans) End(scan Scan) error {
	if err := write(s.tx, scanBucket, scan.ID, scan); err != nil {
		return err
	}
	if err := remove(s.tx, activeBucket, scan.ID); err != nil {
		return err
	}
	if err := remove(s.tx, scanContentsBucket, scan.ID); err != nil {
		return err
	}
	return Counters(s).scanEnded(scan)
}

// Delete deletes a finished scan.
func (s Scans) Delete(scan Scan) error {
	if err := remove(s.tx, scanIndexBucket, joinKey(scan.CodeLocation, sequenceKey(scan.Seq))); err != nil {
		return err
	}
	return remove(s.tx, scanBucket, scan.ID)
}

// Contents reads what a running scan found.
func (s Scans) Contents(id string) (judge.Contents, error) {
	found, _, err := read[judge.Contents](s.tx, scanContentsBucket, id)
	return found, err
}

// Of reads the scans of a code location, newest first.
func (s Scans) Of(location string) ([]Scan, error) {
	var scans []Scan
	err := eachUnder(s.tx, scanIndexBucket, location, func(_, id string) error {
		scan, _, err := s.Get(id)
		scans = append(scans, scan)
		return err
	})
	slices.Reverse(scans)
	return scans, err
}

// Active reads all running scans.
func (s Scans) Active() ([]Scan, error) {
	var running []Scan
	err := s.tx.Bucket([]byte(activeBucket)).ForEach(func(id, _ []byte) error {
		scan, err := s.Find(string(id))
		running = append(running, scan)
		return err
	})
	return running, err
}

// Count counts the scans in the file.
func (s Scans) Count() int { return s.tx.Bucket([]byte(scanBucket)).Stats().KeyN }

// Attempt reads the newest attempt seen of a scan name; zero when there was none.
func (s Scans) Attempt(name string) (Attempt, error) {
	a, _, err := read[Attempt](s.tx, attemptBucket, strings.ToLower(name))
	return a, err
}

// PutAttempt stores the newest attempt of a scan name.
func (s Scans) PutAttempt(name string, a Attempt) error {
	return write(s.tx, attemptBucket, strings.ToLower(name), a)
}
