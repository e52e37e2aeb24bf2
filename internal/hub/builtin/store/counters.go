package store

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"
)

// Counters reaches what is counted within one transaction.
type Counters struct{ tx *bbolt.Tx }

// Counter is one number since the file was made.
type Counter string

// The counters.
const (
	UploadsStarted  Counter = "uploads_started"
	UploadsAccepted Counter = "uploads_accepted"
	UploadsRefused  Counter = "uploads_refused"
	ScansSucceeded  Counter = "scans_succeeded"
	ScansFailed     Counter = "scans_failed"
	ScansLost       Counter = "scans_lost"
	InProgress      Counter = "in_progress"
	MaxInProgress   Counter = "max_in_progress"
	RequestsTotal   Counter = "requests_total"
)

// trafficKey is where the rates of requests are kept.
const trafficKey = "traffic"

func (c Counters) number(bucket, name string) uint64 {
	if raw := c.tx.Bucket([]byte(bucket)).Get([]byte(name)); len(raw) == 8 {
		return binary.BigEndian.Uint64(raw)
	}
	return 0
}

func (c Counters) setNumber(bucket, name string, value uint64) error {
	return writeRaw(c.tx, bucket, name, binary.BigEndian.AppendUint64(nil, value))
}

func (c Counters) addName(bucket, name string) error {
	return c.setNumber(bucket, name, c.number(bucket, name)+1)
}

// Get reads a counter.
func (c Counters) Get(name Counter) uint64 { return c.number(statBucket, string(name)) }

// Add adds to a counter within the transaction of the fact that it counts.
func (c Counters) Add(name Counter, more uint64) error {
	return c.setNumber(statBucket, string(name), c.Get(name)+more)
}

// AddRefused counts a refused upload by its reason.
func (c Counters) AddRefused(reason string) error {
	if err := c.addName(refusedByBucket, reason); err != nil {
		return err
	}
	return c.Add(UploadsRefused, 1)
}

// scanAccepted keeps the counters of running scans when one is accepted.
func (c Counters) scanAccepted(scanName string) error {
	if err := c.Add(InProgress, 1); err != nil {
		return err
	}
	if now := c.Get(InProgress); now > c.Get(MaxInProgress) {
		if err := c.setNumber(statBucket, string(MaxInProgress), now); err != nil {
			return err
		}
	}
	if err := c.addName(uploadsByNameBucket, scanName); err != nil {
		return err
	}
	return c.Add(UploadsAccepted, 1)
}

// scanEnded keeps the counters when a scan ends, whatever its end.
func (c Counters) scanEnded(s Scan) error {
	running := c.Get(InProgress)
	if running == 0 {
		return fmt.Errorf("scan %s ended, but the file counts none in progress", s.ID)
	}
	if err := c.setNumber(statBucket, string(InProgress), running-1); err != nil {
		return err
	}
	if s.State != ScanSuccess {
		return c.Add(ScansFailed, 1)
	}
	if err := c.addName(scansByNameBucket, s.Name); err != nil {
		return err
	}
	return c.Add(ScansSucceeded, 1)
}

// ScansByName reads how many scans succeeded of each scan name.
func (c Counters) ScansByName() (map[string]uint64, error) { return c.all(scansByNameBucket) }

// UploadsByName reads how many uploads were accepted of each scan name.
func (c Counters) UploadsByName() (map[string]uint64, error) { return c.all(uploadsByNameBucket) }

// RefusedByReason reads how many uploads were refused for each reason.
func (c Counters) RefusedByReason() (map[string]uint64, error) { return c.all(refusedByBucket) }

func (c Counters) all(bucket string) (map[string]uint64, error) {
	numbers := map[string]uint64{}
	err := c.tx.Bucket([]byte(bucket)).ForEach(func(name, raw []byte) error {
		numbers[string(name)] = binary.BigEndian.Uint64(raw)
		return nil
	})
	return numbers, err
}

// Traffic reads the counts of requests into a value that JSON can fill; it stays as it is when none were stored.
func (c Counters) Traffic(into any) error { return readInto(c.tx, metaBucket, trafficKey, into) }

// PutTraffic stores the counts of requests.
func (c Counters) PutTraffic(value any) error { return write(c.tx, metaBucket, trafficKey, value) }
