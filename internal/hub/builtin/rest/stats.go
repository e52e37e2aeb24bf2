package rest

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

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

// metrics answers /metrics, in the form of Prometheus.
type metrics struct{ *Server }

var (
	dataAge      = prometheus.NewDesc("perceptor_hub_data_age_seconds", "Time since the data of an ecosystem were last checked against their source.", []string{"ecosystem"}, nil)
	dataComplete = prometheus.NewDesc("perceptor_hub_data_complete", "1 when the data are all records of the ecosystem.", []string{"ecosystem"}, nil)
	failedTries  = prometheus.NewDesc("perceptor_hub_update_failures_total", "Failed tries to update the data of an ecosystem since the start.", []string{"ecosystem"}, nil)
	updateBytes  = prometheus.NewDesc("perceptor_hub_update_bytes_total", "Bytes received by updates since the start.", nil, nil)
)

// get writes the metrics itself, since they are no JSON.
func (s metrics) get(w http.ResponseWriter, r *http.Request) {
	if err := s.authorize(r, withToken); err != nil {
		s.writeError(w, r, err)
		return
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(s)
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// Describe names the metrics.
func (s metrics) Describe(to chan<- *prometheus.Desc) {
	for _, each := range []*prometheus.Desc{dataAge, dataComplete, failedTries, updateBytes} {
		to <- each
	}
}

// Collect reads the values. Data that cannot be read fail the request: a missing value must not look like a good one.
func (s metrics) Collect(to chan<- prometheus.Metric) {
	view, err := s.Data()
	if err != nil {
		to <- prometheus.NewInvalidMetric(dataAge, err)
		return
	}
	for _, each := range view.Data {
		complete := 0.0
		if each.Complete {
			complete = 1
		}
		to <- prometheus.MustNewConstMetric(dataComplete, prometheus.GaugeValue, complete, each.Ecosystem)
		to <- prometheus.MustNewConstMetric(dataAge, prometheus.GaugeValue, s.clock.Now().Sub(each.AsOf).Round(time.Second).Seconds(), each.Ecosystem)
	}
	if view.Updates == nil {
		return
	}
	to <- prometheus.MustNewConstMetric(updateBytes, prometheus.CounterValue, float64(view.Updates.Bytes))
	for _, each := range view.Updates.Ecosystems {
		to <- prometheus.MustNewConstMetric(failedTries, prometheus.CounterValue, float64(each.FailedTries), each.Ecosystem)
	}
}
