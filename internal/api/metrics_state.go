package api

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perceptor/perceptor/model"
)

// The questions a scrape asks are bounded in time, and its answers are kept for a while: many may scrape, often.
const (
	stateTime = 8 * time.Second
	stateKept = 15 * time.Second
)

// The state, under the original's names where it had one.
var (
	statusGauge = prometheus.NewDesc("perceptor_core_status_gauge",
		"Counts: number_of_pods, pods_unscanned, pods_in_violation, number_of_clusters, number_of_images, image_status_<status>.", []string{"name"}, nil)
	breakerGauge = prometheus.NewDesc("perceptor_core_hub_circuit_breaker_state",
		"0 while scans are kept away from a hub that fails, 1 while it is used.", []string{"host"}, nil)
	hubScansGauge = prometheus.NewDesc("perceptor_core_hub_scans", "Scans a hub has or could have: in_use, draining, stuck, limit, waiting.", []string{"host", "name"}, nil)
	knownGauge    = prometheus.NewDesc("perceptor_core_state_known", "1 when the state could be read for this scrape, else 0 and the rest is missing.", nil, nil)
)

// stateCollector reads the state when somebody scrapes.
type stateCollector struct {
	backend Backend
	log     *slog.Logger

	lock sync.Mutex
	kept []prometheus.Metric
	at   time.Time
}

// Describe names the metrics.
func (c *stateCollector) Describe(to chan<- *prometheus.Desc) {
	for _, each := range []*prometheus.Desc{statusGauge, breakerGauge, hubScansGauge, knownGauge} {
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
		read, err := c.read(ctx)
		if err != nil {
			c.log.Warn("state for metrics not read", "error", err)
			to <- gauge(knownGauge, 0)
			return
		}
		c.kept, c.at = read, time.Now()
	}
	to <- gauge(knownGauge, 1)
	for _, each := range c.kept {
		to <- each
	}
}

func gauge(of *prometheus.Desc, value int, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(of, prometheus.GaugeValue, float64(value), labels...)
}

func (c *stateCollector) read(ctx context.Context) ([]prometheus.Metric, error) {
	all, err := c.pods(ctx)
	if err != nil {
		return nil, err
	}
	images := 0
	for _, status := range []model.ScanStatus{
		model.StatusUnknown, model.StatusInQueue, model.StatusRunningScanClient, model.StatusRunningHubScan, model.StatusComplete, model.StatusFailed,
	} {
		n, err := c.backend.CountImages(ctx, status)
		if err != nil {
			return nil, err
		}
		images += int(n)
		all = append(all, gauge(statusGauge, int(n), "image_status_"+string(status)))
	}
	all = append(all, gauge(statusGauge, images, "number_of_images"))
	hubs, err := c.backend.Hubs(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range hubs.Hubs {
		open := 1
		if !h.TrippedSince.IsZero() {
			open = 0
		}
		all = append(all, gauge(breakerGauge, open, h.Name), gauge(hubScansGauge, h.InUse, h.Name, "in_use"), gauge(hubScansGauge, h.Draining, h.Name, "draining"),
			gauge(hubScansGauge, h.Stuck, h.Name, "stuck"), gauge(hubScansGauge, h.Limit, h.Name, "limit"), gauge(hubScansGauge, h.Waiting, h.Name, "waiting"))
	}
	return all, nil
}

// pods counts pods from what the namespaces last told, without reading the join.
func (c *stateCollector) pods(ctx context.Context) ([]prometheus.Metric, error) {
	clusters, err := c.backend.Clusters(ctx)
	if err != nil {
		return nil, err
	}
	var pods, unscanned, violations int
	for _, cluster := range clusters {
		for _, n := range cluster.Namespaces {
			if strings.HasPrefix(n.Name, model.ReservedNamespaces) {
				continue // images without a pod
			}
			pods, unscanned, violations = pods+n.Pods, unscanned+n.Unscanned, violations+n.Violations
		}
	}
	return []prometheus.Metric{
		gauge(statusGauge, pods, "number_of_pods"), gauge(statusGauge, unscanned, "pods_unscanned"),
		gauge(statusGauge, violations, "pods_in_violation"), gauge(statusGauge, len(clusters), "number_of_clusters"),
	}, nil
}
