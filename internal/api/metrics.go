package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// namespace and subsystem are those of the original's core.
const (
	metricsNamespace = "perceptor"
	metricsSubsystem = "core"
)

// metrics are what this process counts. No label takes a value that a client chooses.
type metrics struct {
	registry *prometheus.Registry
	handled  *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "http_handled_status_codes",
			Help: "Requests answered, by path, method and status.",
		}, []string{"path", "method", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: metricsNamespace, Subsystem: metricsSubsystem, Name: "http_request_seconds",
			Help: "How long requests took, by path.", Buckets: []float64{.005, .02, .05, .1, .3, 1, 3, 10, 60},
		}, []string{"path"}),
	}
	m.registry.MustRegister(m.handled, m.took)
	return m
}

// addMetrics serves the metrics, which name nothing but hubs.
func (s *Server) addMetrics(mux *http.ServeMux) {
	s.metrics.registry.MustRegister(&stateCollector{backend: s.options.Backend, log: s.options.Log})
	serve := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: metricsAtOnce})
	mux.Handle("GET /metrics", serve)
}

// metricsAtOnce is more than the number of things that scrape.
const metricsAtOnce = 8

// measured counts every request under the pattern it matched.
func (s *Server) measured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		path := pathLabel(r.Pattern)
		s.metrics.handled.WithLabelValues(path, methodLabel(r.Method), strconv.Itoa(recorder.status)).Inc()
		s.metrics.took.WithLabelValues(path).Observe(time.Since(began).Seconds())
	})
}

// pathLabel is a pattern as the original named paths, without method and first slash; what matched nothing is one path.
func pathLabel(pattern string) string {
	if _, path, found := strings.Cut(pattern, " "); found {
		pattern = path
	}
	if pattern == "" {
		return "unknown"
	}
	return strings.TrimPrefix(pattern, "/")
}

func methodLabel(method string) string {
	if slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions}, method) {
		return method
	}
	return "other"
}

// statusRecorder remembers the status of an answer.
type statusRecorder struct {
	http.ResponseWriter
	status int
	told   bool
}

// WriteHeader remembers the first status.
func (r *statusRecorder) WriteHeader(status int) {
	if !r.told {
		r.status, r.told = status, true
	}
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets deadlines be set on the connection.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
