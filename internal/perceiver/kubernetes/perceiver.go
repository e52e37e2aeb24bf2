package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/perceptor/perceptor/model"
)

// DefaultSnapshotInterval is how often everything is reported again.
const DefaultSnapshotInterval = 30 * time.Minute

// Options is what a Perceiver needs.
type Options struct {
	// Cluster is what the cluster is called in reports.
	Cluster string
	Client  Client
	// Reporter takes the reports.
	Reporter Reporter
	// Selection says which pods and images are of interest.
	Selection Selection
	// ObserveOnly writes nothing onto pods, and Serve is not called.
	ObserveOnly bool
	// Form and Prefix are the keys of the labels and annotations that are written. The original's keys begin with the prefix,
	// which is empty or such as "perceptor.example/"; OpsSight's are as they are.
	Form   Form
	Prefix string
	// Serve is called when the caches are filled, with what writes verdicts, and returns when its context ends.
	Serve func(context.Context, *Writer)
	// Domain is the set of scanners that reach the cluster's registries; empty means the default one.
	Domain string
	// PullSecrets has pods reported with the names of their pull secrets, for scanners that may read these.
	PullSecrets bool
	// SnapshotInterval is how often everything is reported again; 0 means DefaultSnapshotInterval.
	SnapshotInterval time.Duration
	// LeaderElect has this perceiver work only while it holds the Lease of the cluster's perceivers.
	LeaderElect bool
	Logger      *slog.Logger
}

// Perceiver watches the pods of one cluster.
type Perceiver struct {
	options Options
	filter  *Filter
	marker  marker
}

// New refuses options that cannot work, all mistakes at once.
func New(o Options) (*Perceiver, error) {
	var wrong []error
	if err := model.CheckCluster(o.Cluster); err != nil {
		wrong = append(wrong, err)
	}
	if o.SnapshotInterval < 0 {
		wrong = append(wrong, fmt.Errorf("snapshot interval %s: want 0 or more", o.SnapshotInterval))
	}
	filter, err := NewFilter(o.Selection)
	if err != nil {
		wrong = append(wrong, err)
	}
	marker, err := newMarker(o.Form, o.Prefix)
	if err != nil {
		wrong = append(wrong, err)
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("perceiver: %w", errors.Join(wrong...))
	}
	if o.SnapshotInterval == 0 {
		o.SnapshotInterval = DefaultSnapshotInterval
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Perceiver{options: o, filter: filter, marker: marker}, nil
}

// Run watches and reports until ctx ends, which is no error. With LeaderElect it does so whenever it leads.
func (p *Perceiver) Run(ctx context.Context) error {
	if p.options.LeaderElect {
		return p.lead(ctx)
	}
	return p.work(ctx)
}

// work watches and reports until ctx ends.
func (p *Perceiver) work(ctx context.Context) error {
	o := p.options
	w := &watch{filter: p.filter, pullSecrets: o.PullSecrets, marker: p.marker, dirty: newDirty(), logger: o.Logger}
	if err := w.open(o.Client); err != nil {
		return fmt.Errorf("perceiver: %w", err)
	}
	writer := newWriter(o.Client, w, o.Logger)
	ctx, cancel := context.WithCancel(ctx)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		w.run(ctx)
	}()
	defer func() { cancel(); <-watching }()
	if w.synced(ctx) != nil {
		return nil // ctx has ended
	}
	o.Logger.Info("watching", "cluster", o.Cluster, "pods", len(w.uids()))
	serving := make(chan struct{})
	go func() {
		defer close(serving)
		if !o.ObserveOnly && o.Serve != nil {
			o.Serve(ctx, writer)
		}
	}()
	defer func() { <-serving }()
	head := model.PodReport{
		Cluster: o.Cluster, Domain: o.Domain, WriteBack: !o.ObserveOnly && o.Serve != nil, Version: model.Version{Epoch: time.Now().UnixNano()},
	}
	newReports(o.Reporter, w, w.dirty, head, o.SnapshotInterval, o.Logger).run(ctx)
	return nil
}
