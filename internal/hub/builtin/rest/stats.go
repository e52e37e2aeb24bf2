package rest

import (
	"fmt"
	"net/http"

	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// Stats is what the hub counted since its file was made. Kill tests read the truth here, not in a log.
type Stats struct {
	// UploadsStarted counts upload requests that passed the login, when they begin.
	UploadsStarted uint64 `json:"uploads_started"`
	// UploadsAccepted counts uploads that became a scan; the same attempt sent again is not a second one.
	UploadsAccepted uint64 `json:"uploads_accepted"`
	// UploadsRefused counts uploads answered with an error: an older attempt, a bad document, one too large, a rehearsal.
	UploadsRefused uint64 `json:"uploads_refused"`
	ScansSucceeded uint64 `json:"scans_succeeded"`
	// ScansFailed counts scans that ended without a result, cancelled ones too.
	ScansFailed uint64 `json:"scans_failed"`
	// ScansLost counts those of the failed scans that a rehearsal deleted.
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
	// rehearsal refuses before the login is checked are among the refused ones, and not among those started.
	UploadsRefusedBy map[string]uint64 `json:"uploads_refused_by"`
	// Traffic may lose five seconds in a kill, like RequestsTotal.
	Traffic
}

// stats answers /internal/stats.
type stats struct{ *Server }

// Stats reads the counters.
func (s *Server) Stats() (Stats, error) {
	var read Stats
	err := s.store.View(func(tx *store.Tx) (err error) {
		counters := tx.Counters()
		for name, into := range map[store.Counter]*uint64{
			store.UploadsStarted: &read.UploadsStarted, store.UploadsAccepted: &read.UploadsAccepted, store.UploadsRefused: &read.UploadsRefused,
			store.ScansSucceeded: &read.ScansSucceeded, store.ScansFailed: &read.ScansFailed, store.InProgress: &read.InProgress,
			store.ScansLost: &read.ScansLost, store.MaxInProgress: &read.MaxInProgress, store.RequestsTotal: &read.RequestsTotal,
		} {
			*into = counters.Get(name)
		}
		if read.ScansByName, err = counters.ScansByName(); err != nil {
			return err
		}
		if read.UploadsByName, err = counters.UploadsByName(); err != nil {
			return err
		}
		read.UploadsRefusedBy, err = counters.RefusedByReason()
		return err
	})
	if err != nil {
		return read, fmt.Errorf("read the hub's counters: %w", err)
	}
	read.RequestsTotal += s.requests.Load()
	read.Traffic = s.traffic.read()
	return read, nil
}

// flushRequests moves the requests counted in memory to the file.
func (s *Server) flushRequests() error {
	seen := s.requests.Swap(0)
	if seen == 0 {
		return nil
	}
	err := s.store.Update(func(tx *store.Tx) error {
		if err := s.traffic.save(tx); err != nil {
			return err
		}
		return tx.Counters().Add(store.RequestsTotal, seen)
	})
	if err != nil {
		s.requests.Add(seen)
		return fmt.Errorf("write the number of requests: %w", err)
	}
	return nil
}

// countRefused counts an upload that was refused, by its reason; what failed inside the hub is no refusal.
func (s *Server) countRefused(why error) error {
	refusal := answerTo(why)
	if refusal == nil {
		return nil
	}
	return s.store.Update(func(tx *store.Tx) error { return tx.Counters().AddRefused(refusal.Code) })
}

func (s stats) get(*call) (reply, error) {
	read, err := s.Stats()
	return reply{status: http.StatusOK, body: read}, err
}
