package builtin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"

	"go.etcd.io/bbolt"
)

// Stats is what the hub counted since its file was made. Kill tests read the truth here, not in anybody's log.
type Stats struct {
	// UploadsStarted counts upload requests that passed the login, when they begin.
	UploadsStarted uint64 `json:"uploads_started"`
	// UploadsAccepted counts uploads that became a scan; the same attempt sent again is not a second one.
	UploadsAccepted uint64 `json:"uploads_accepted"`
	// UploadsRefused counts uploads answered with an error: an older attempt, a bad document, one too large, a fault switch.
	UploadsRefused uint64 `json:"uploads_refused"`
	ScansSucceeded uint64 `json:"scans_succeeded"`
	// ScansFailed counts scans that ended without a result, cancelled ones too.
	ScansFailed uint64 `json:"scans_failed"`
	// ScansLost counts those of the failed scans that the fault switch deleted.
	ScansLost uint64 `json:"scans_lost"`
	// InProgress is the number of scans accepted and not finished, MaxInProgress the highest it ever was.
	InProgress    uint64 `json:"in_progress"`
	MaxInProgress uint64 `json:"max_in_progress"`
	// RequestsTotal counts all requests; up to five seconds of them are lost in a kill.
	RequestsTotal uint64 `json:"requests_total"`
	// ScansByName counts scans that succeeded, UploadsByName uploads that were accepted, for each scan name.
	ScansByName   map[string]uint64 `json:"scans_by_name"`
	UploadsByName map[string]uint64 `json:"uploads_by_name"`
	// UploadsRefusedBy counts refused uploads by reason: attempt, document, size, throttle, capacity and so on. Those that a
	// fault switch refuses before the login is checked are among the refused ones, and not among those started.
	UploadsRefusedBy map[string]uint64 `json:"uploads_refused_by"`
	// Traffic may lose five seconds in a kill, like RequestsTotal.
	Traffic
	// FaultHits counts how often each fault switch hit since the hub was opened.
	FaultHits map[FaultName]uint64 `json:"fault_hits"`
}

type counter string

const (
	uploadsStarted  counter = "uploads_started"
	uploadsAccepted counter = "uploads_accepted"
	uploadsRefused  counter = "uploads_refused"
	scansSucceeded  counter = "scans_succeeded"
	scansFailed     counter = "scans_failed"
	scansLost       counter = "scans_lost"
	inProgress      counter = "in_progress"
	maxInProgress   counter = "max_in_progress"
	requestsTotal   counter = "requests_total"
)

func readCounter(tx *bbolt.Tx, bucket, name string) uint64 {
	if raw := tx.Bucket([]byte(bucket)).Get([]byte(name)); len(raw) == 8 {
		return binary.BigEndian.Uint64(raw)
	}
	return 0
}

func writeCounter(tx *bbolt.Tx, bucket, name string, value uint64) error {
	return writeRaw(tx, bucket, name, binary.BigEndian.AppendUint64(nil, value))
}

// count adds to a counter within the transaction of the fact it counts.
func count(tx *bbolt.Tx, name counter, more uint64) error {
	return writeCounter(tx, statBucket, string(name), readCounter(tx, statBucket, string(name))+more)
}

func countName(tx *bbolt.Tx, bucket, name string) error {
	return writeCounter(tx, bucket, name, readCounter(tx, bucket, name)+1)
}

// scanBegan keeps the counters of running scans when one is accepted.
func scanBegan(tx *bbolt.Tx) error {
	if err := count(tx, inProgress, 1); err != nil {
		return err
	}
	if now := readCounter(tx, statBucket, string(inProgress)); now > readCounter(tx, statBucket, string(maxInProgress)) {
		return writeCounter(tx, statBucket, string(maxInProgress), now)
	}
	return nil
}

// scanEnded keeps the counters when a scan ends, whatever its end.
func scanEnded(tx *bbolt.Tx, s scan) error {
	running := readCounter(tx, statBucket, string(inProgress))
	if running == 0 {
		return fmt.Errorf("scan %s ended, but the file counts none in progress", s.ID)
	}
	if err := writeCounter(tx, statBucket, string(inProgress), running-1); err != nil {
		return err
	}
	if s.State != scanSuccess {
		return count(tx, scansFailed, 1)
	}
	if err := countName(tx, scansByNameBucket, s.Name); err != nil {
		return err
	}
	return count(tx, scansSucceeded, 1)
}

// Stats reads the counters.
func (h *Hub) Stats() (Stats, error) {
	stats := Stats{ScansByName: map[string]uint64{}, UploadsByName: map[string]uint64{}, UploadsRefusedBy: map[string]uint64{}}
	err := h.db.View(func(tx *bbolt.Tx) error {
		for name, into := range map[counter]*uint64{
			uploadsStarted: &stats.UploadsStarted, uploadsAccepted: &stats.UploadsAccepted, uploadsRefused: &stats.UploadsRefused,
			scansSucceeded: &stats.ScansSucceeded, scansFailed: &stats.ScansFailed, inProgress: &stats.InProgress,
			scansLost: &stats.ScansLost, maxInProgress: &stats.MaxInProgress, requestsTotal: &stats.RequestsTotal,
		} {
			*into = readCounter(tx, statBucket, string(name))
		}
		for bucket, into := range map[string]map[string]uint64{
			scansByNameBucket: stats.ScansByName, uploadsByNameBucket: stats.UploadsByName, refusedByBucket: stats.UploadsRefusedBy,
		} {
			err := tx.Bucket([]byte(bucket)).ForEach(func(name, raw []byte) error {
				into[string(name)] = binary.BigEndian.Uint64(raw)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return stats, fmt.Errorf("read the hub's counters: %w", err)
	}
	stats.RequestsTotal += h.requests.Load()
	stats.Traffic, stats.FaultHits = h.traffic.read(), h.faults.counts()
	return stats, nil
}

// flushRequests moves the requests counted in memory to the file.
func (h *Hub) flushRequests() error {
	seen := h.requests.Swap(0)
	if seen == 0 {
		return nil
	}
	err := h.db.Update(func(tx *bbolt.Tx) error {
		if err := h.traffic.save(tx); err != nil {
			return err
		}
		return count(tx, requestsTotal, seen)
	})
	if err != nil {
		h.requests.Add(seen)
		return fmt.Errorf("write the number of requests: %w", err)
	}
	return nil
}

// countRefused counts an upload that was refused, by its reason; what failed inside the hub is no refusal.
func (h *Hub) countRefused(why error) error {
	refusal, ok := errors.AsType[*restError](why)
	if !ok {
		return nil
	}
	return h.db.Update(func(tx *bbolt.Tx) error {
		if err := countName(tx, refusedByBucket, refusal.code); err != nil {
			return err
		}
		return count(tx, uploadsRefused, 1)
	})
}

func (h *Hub) getStats(*call) (reply, error) {
	stats, err := h.Stats()
	return reply{status: http.StatusOK, body: stats}, err
}
