package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/perceptor/perceptor/internal/image"
)

// DefaultSnapshotInterval is how often everything is reported again.
const DefaultSnapshotInterval = 30 * time.Minute

// Options is what a Perceiver needs.
type Options struct {
	// Cluster is what the cluster is called in reports.
	Cluster string
	Client  kubernetes.Interface
	// Reporter takes the reports.
	Reporter Reporter
	// Selection says which pods and images are of interest.
	Selection Selection
	// ObserveOnly writes nothing onto pods.
	ObserveOnly bool
	// Domain is the set of scanners that reach the cluster's registries; empty means the default one.
	Domain string
	// PullSecrets has pods reported with the names of their pull secrets, for scanners that may read these.
	PullSecrets bool
	// SnapshotInterval is how often everything is reported again; 0 means DefaultSnapshotInterval.
	SnapshotInterval time.Duration
	Logger           *slog.Logger
}

// Perceiver watches the pods of one cluster.
type Perceiver struct {
	options Options
	filter  *Filter
}

// New refuses options that cannot work, all mistakes at once.
func New(o Options) (*Perceiver, error) {
	var wrong []error
	if o.Cluster == "" {
		wrong = append(wrong, errors.New("the cluster has no name"))
	}
	if o.SnapshotInterval < 0 {
		wrong = append(wrong, fmt.Errorf("snapshot interval %s: want 0 or more", o.SnapshotInterval))
	}
	filter, err := NewFilter(o.Selection)
	if err := errors.Join(append(wrong, err)...); err != nil {
		return nil, fmt.Errorf("perceiver: %w", err)
	}
	if o.SnapshotInterval == 0 {
		o.SnapshotInterval = DefaultSnapshotInterval
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Perceiver{options: o, filter: filter}, nil
}

// Run watches and reports until ctx ends, which is no error.
func (p *Perceiver) Run(ctx context.Context) error {
	o := p.options
	changed := newDirty()
	w, err := newWatch(o.Client, p.filter, o.PullSecrets, changed, o.Logger)
	if err != nil {
		return fmt.Errorf("perceiver: %w", err)
	}
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
	head := image.PodReport{
		Cluster: o.Cluster, Domain: o.Domain, WriteBack: !o.ObserveOnly, Version: image.Version{Epoch: time.Now().UnixNano()},
	}
	newReports(o.Reporter, w, changed, head, o.SnapshotInterval, o.Logger).run(ctx)
	return nil
}
