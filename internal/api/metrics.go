package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/perceptor/perceptor/model"
)

// MetricsNamespace and MetricsSubsystem begin the names of all metrics. Perceptor 0.x (2018) has the same ones.
const (
	MetricsNamespace = "perceptor"
	MetricsSubsystem = "core"
)

// scrapesAtOnce is more than the number of systems that scrape.
const scrapesAtOnce = 8

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
			Namespace: MetricsNamespace, Subsystem: MetricsSubsystem, Name: "http_handled_status_codes",
			Help: "Requests that were answered, by path, method and status.",
		}, []string{"path", "method", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: MetricsNamespace, Subsystem: MetricsSubsystem, Name: "http_request_seconds",
			Help: "How many seconds requests took, by path.", Buckets: []float64{.005, .02, .05, .1, .3, 1, 3, 10, 60},
		}, []string{"path"}),
	}
	m.registry.MustRegister(m.handled, m.took)
	return m
}

// addMetrics serves the metrics. They need no token, because they name nothing but hubs.
func (s *Server) addMetrics() {
	s.AddMetric(&stateCollector{backend: s.options.Backend, log: s.options.Log})
	handler := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesAtOnce})
	if s.options.MetricsApart {
		s.metricsApart = http.NewServeMux()
		s.metricsApart.Handle("GET /metrics", handler)
		return
	}
	s.mux.Handle("GET /metrics", handler)
}

// ServeMetrics answers /metrics alone, on a listener of its own, until ctx ends. It is for MetricsApart.
func (s *Server) ServeMetrics(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: s.metricsApart, ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, WriteTimeout: RequestTime, IdleTimeout: idleTime}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the metrics: %w", err)
	}
	return nil
}

// measured counts every request under the pattern that it matched.
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

// pathLabel is a pattern without its method and first slash, as Perceptor 0.x (2018) named paths. Requests that match no
// pattern count as one path.
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
	status  int
	written bool
}

// WriteHeader remembers the first status.
func (r *statusRecorder) WriteHeader(status int) {
	if !r.written {
		r.status, r.written = status, true
	}
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets deadlines be set on the connection.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// A scrape waits at most stateTime for the backend. Its values serve later scrapes for stateKept, because several systems
// may scrape often.
const (
	stateTime = 8 * time.Second
	stateKept = 15 * time.Second
)

// The state, under the names of Perceptor 0.x (2018) where it had one.
var (
	statusGauge = prometheus.NewDesc("perceptor_core_status_gauge",
		"Counts: number_of_pods, pods_unscanned, pods_in_violation, pods_unknown, number_of_clusters, "+
			"clusters_in_trouble, writes_refused, hub_lists_in_conflict, number_of_images, image_status_<status>, image_overall_status_<status>.", []string{"name"}, nil)
	breakerGauge = prometheus.NewDesc("perceptor_core_hub_circuit_breaker_state",
		"1 while the hub is available, 0 while it is tripped: it failed and gets no scans.", []string{"host"}, nil)
	hubScansGauge = prometheus.NewDesc("perceptor_core_hub_scans",
		"Leases and scans of a hub: in_use, draining, stuck, limit, waiting.", []string{"host", "name"}, nil)
	stuckGauge = prometheus.NewDesc("perceptor_core_workflows_stuck",
		"Workflows that cannot go on by themselves, at the last look at all of them; missing while workflows_watched is 0.", nil, nil)
	watchedGauge = prometheus.NewDesc("perceptor_core_workflows_watched",
		"1 while the workflows are looked after. 0 when the last complete look was too long ago: then it is not known whether one is stuck.", nil, nil)
	knownGauge = prometheus.NewDesc("perceptor_core_state_known",
		"1 when the state could be read for this scrape. 0 when it could not; then the values that come from it are missing.", nil, nil)
)

// stateCollector reads the state from the backend at a scrape.
type stateCollector struct {
	backend Backend
	log     *slog.Logger

	lock sync.Mutex
	// kept are the values of the last reading; none after one that failed, which is kept as long. watch is about the workflows: it is
	// read by itself, because a stuck workflow may be why the rest cannot be read.
	kept   []prometheus.Metric
	watch  []prometheus.Metric
	failed bool
	at     time.Time
}

// Describe names the metrics.
func (c *stateCollector) Describe(to chan<- *prometheus.Desc) {
	for _, each := range []*prometheus.Desc{statusGauge, breakerGauge, hubScansGauge, stuckGauge, watchedGauge, knownGauge} {
		to <- each
	}
}

// Collect gives the state, which may be some seconds old.
func (c *stateCollector) Collect(to chan<- prometheus.Metric) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if time.Since(c.at) > stateKept {
		ctx, cancel := context.WithTimeout(context.Background(), stateTime)
		defer cancel()
		read, err := c.readState(ctx)
		if err != nil {
			c.log.Warn("state for the metrics could not be read", "error", err)
		}
		// A failure is kept, too: scrapes must not be a way to ask a server in trouble again and again.
		c.kept, c.failed, c.at = read, err != nil, time.Now()
		c.watch = c.readWatch()
	}
	for _, each := range c.watch {
		to <- each
	}
	if c.failed {
		to <- gauge(knownGauge, 0)
		return
	}
	to <- gauge(knownGauge, 1)
	for _, each := range c.kept {
		to <- each
	}
}

func gauge(of *prometheus.Desc, value int, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(of, prometheus.GaugeValue, float64(value), labels...)
}

func (c *stateCollector) readWatch() []prometheus.Metric {
	ctx, cancel := context.WithTimeout(context.Background(), stateTime)
	defer cancel()
	stuck, err := c.backend.Stuck(ctx)
	if err != nil {
		c.log.Warn("whether workflows are stuck is not known", "error", err)
		return []prometheus.Metric{gauge(watchedGauge, 0)}
	}
	return []prometheus.Metric{gauge(watchedGauge, 1), gauge(stuckGauge, stuck.Count)}
}

func (c *stateCollector) readState(ctx context.Context) ([]prometheus.Metric, error) {
	all, err := c.countPods(ctx)
	if err != nil {
		return nil, err
	}
	images := 0
	for _, status := range []model.ScanStatus{
		model.StatusUnknown, model.StatusInQueue, model.StatusRunningScanClient, model.StatusRunningHubScan, model.StatusComplete, model.StatusFailed,
	} {
		n, err := c.backend.CountImages(ctx, status, "")
		if err != nil {
			return nil, err
		}
		images += int(n)
		all = append(all, gauge(statusGauge, int(n), "image_status_"+string(status)))
	}
	all = append(all, gauge(statusGauge, images, "number_of_images"))
	for _, overall := range []model.OverallStatus{model.OverallUnknown, model.NotInViolation, model.InViolation, model.InViolationOverridden} {
		n, err := c.backend.CountImages(ctx, "", overall)
		if err != nil {
			return nil, err
		}
		all = append(all, gauge(statusGauge, int(n), "image_overall_status_"+string(overall)))
	}
	hubs, err := c.backend.Hubs(ctx)
	if err != nil {
		return nil, err
	}
	conflict := 0
	if hubs.Conflict != "" {
		conflict = 1
	}
	all = append(all, gauge(statusGauge, conflict, "hub_lists_in_conflict"))
	for _, h := range hubs.Hubs {
		available := 1
		if !h.TrippedSince.IsZero() {
			available = 0
		}
		all = append(all, gauge(breakerGauge, available, h.Name), gauge(hubScansGauge, h.InUse, h.Name, "in_use"), gauge(hubScansGauge, h.Draining, h.Name, "draining"),
			gauge(hubScansGauge, h.Stuck, h.Name, "stuck"), gauge(hubScansGauge, h.Limit, h.Name, "limit"), gauge(hubScansGauge, h.Waiting, h.Name, "waiting"))
	}
	return all, nil
}

// countPods adds up the last counts of all namespaces. It does not read the join.
func (c *stateCollector) countPods(ctx context.Context) ([]prometheus.Metric, error) {
	clusters, err := c.backend.Clusters(ctx)
	if err != nil {
		return nil, err
	}
	var pods, unscanned, violations, unknown, troubled, refused int
	for _, cluster := range clusters {
		if len(cluster.Troubles) > 0 || cluster.Conflict != "" {
			troubled++
		}
		refused += int(cluster.WritesRefused)
		for _, n := range cluster.Namespaces {
			if strings.HasPrefix(n.Name, model.ReservedNamespaces) {
				continue // images without a pod
			}
			pods, unscanned, violations, unknown = pods+n.Pods, unscanned+n.Unscanned, violations+n.Violations, unknown+n.Unknown
		}
	}
	return []prometheus.Metric{
		gauge(statusGauge, pods, "number_of_pods"), gauge(statusGauge, unscanned, "pods_unscanned"),
		gauge(statusGauge, violations, "pods_in_violation"), gauge(statusGauge, unknown, "pods_unknown"),
		gauge(statusGauge, troubled, "clusters_in_trouble"), gauge(statusGauge, refused, "writes_refused"), gauge(statusGauge, len(clusters), "number_of_clusters"),
	}, nil
}
