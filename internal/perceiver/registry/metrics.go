package registry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the perceiver counts. No label takes a value that a sender chooses.
type metrics struct {
	registry  *prometheus.Registry
	events    *prometheus.CounterVec
	tags      prometheus.Gauge
	unread    prometheus.Gauge
	leftOut   prometheus.Gauge
	lastWalk  prometheus.Gauge
	walkTook  prometheus.Gauge
	unwalked  prometheus.Gauge
	rewritten *prometheus.CounterVec
}

func newMetrics() *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "perceptor", Subsystem: "registry", Name: name, Help: help})
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "perceptor", Subsystem: "registry", Name: "webhooks",
			Help: "Requests with events, by how they ended: accepted, repeated, ignored, unknown, unreadable, invalid, too_large, unauthorized, unavailable.",
		}, []string{"outcome"}),
		tags:     gauge("tags", "Tags that are known."),
		unread:   gauge("repositories_unread", "Repositories that could not be read since the start. While there are some, no snapshot is reported."),
		leftOut:  gauge("tags_left_out", "1 when the registry has more tags than are kept; the others are not reported."),
		lastWalk: gauge("last_walk_timestamp_seconds", "When the last walk through all tags ended."),
		walkTook: gauge("last_walk_seconds", "How long the last walk took."),
		unwalked: gauge("last_walk_unreadable", "Repositories that the last walk could not read."),
		rewritten: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "perceptor", Subsystem: "registry", Name: "verdicts_written", Help: "Verdicts for the registry, by result: written, same, failed.",
		}, []string{"result"}),
	}
	m.registry.MustRegister(m.events, m.tags, m.unread, m.leftOut, m.lastWalk, m.walkTook, m.unwalked, m.rewritten)
	return m
}

func (m *metrics) known(tags, unread int, leftOut bool) {
	m.tags.Set(float64(tags))
	m.unread.Set(float64(unread))
	m.leftOut.Set(0)
	if leftOut {
		m.leftOut.Set(1)
	}
}

func (m *metrics) walked(took time.Duration, failed int) {
	m.lastWalk.SetToCurrentTime()
	m.walkTook.Set(took.Seconds())
	m.unwalked.Set(float64(failed))
}
