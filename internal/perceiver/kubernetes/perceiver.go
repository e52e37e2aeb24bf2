package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/internal/perceiver/ownership"
	"github.com/perceptor/perceptor/internal/perceiver/trouble"
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
	// Begin is asked before anything is reported, with what tells this cluster from others (empty where that cannot be read). It gives
	// the epoch of the reports. An error that is ErrOtherCluster ends the perceiver; after any other error it is asked again. Without
	// Begin the epoch is the time. It is asked again with each snapshot and every five minutes, with the current epoch; another answer than that
	// says that newer reports were taken, and everything is reported again.
	Begin func(ctx context.Context, identity string, current int64) (epoch int64, err error)
	// Health receives what the perceiver cannot do, when that changes and now and then; it may be nil.
	Health func(context.Context, model.PerceiverHealth) error
	// Serve is called when the caches are filled, with what writes verdicts, and returns when its context ends.
	Serve func(context.Context, *Writer)
	// Domain is the set of scanners that reach the cluster's registries; empty means the default one.
	Domain string
	// PullSecrets has pods reported with the names of their pull secrets, for scanners that may read these.
	PullSecrets bool
	// PodLabels are the keys of labels that are reported with each pod; at most model.LabelsAtMost.
	PodLabels []string
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
	if err := perceiver.CheckLabelKeys(o.PodLabels); err != nil {
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
	return p.workOn(ctx, nil)
}

// errSuperseded says that newer reports of the cluster than those of this perceiver were taken.
var errSuperseded = errors.New("newer reports of this cluster were taken")

// workOn works until ctx ends. It begins again with a newer epoch when its reports are older than others.
func (p *Perceiver) workOn(ctx context.Context, leading func() bool) error {
	for {
		err := p.work(ctx, leading)
		if ctx.Err() != nil || !errors.Is(err, errSuperseded) {
			return err
		}
		p.options.Logger.Warn("the perceiver begins again: another one reported this cluster, or its clock was ahead", "cluster", p.options.Cluster)
	}
}

// ErrOtherCluster says that the cluster's name belongs to another cluster.
var ErrOtherCluster = errors.New("another cluster has this name")

// work watches and reports until ctx ends. It writes only while leading says so; nil is always.
func (p *Perceiver) work(ctx context.Context, leading func() bool) error {
	o := p.options
	troubles := trouble.New(o.Logger)
	manager := ownership.NewManager(o.Cluster, string(p.marker.form), o.Prefix)
	w := &watch{filter: p.filter, pullSecrets: o.PullSecrets, labels: o.PodLabels, marker: p.marker, manager: manager, dirty: newDirty(), troubles: troubles, logger: o.Logger}
	if err := w.open(o.Client); err != nil {
		return fmt.Errorf("perceiver: %w", err)
	}
	writer := newWriter(o.Client, w, leading, troubles, o.Logger)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer func() { cancel(); running.Wait() }()
	running.Go(func() { w.run(ctx) })
	running.Go(func() { troubles.Report(ctx, p.options.Health) })
	if w.synced(ctx) != nil {
		return nil // ctx has ended
	}
	epoch, err := p.begin(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	o.Logger.Info("watching", "cluster", o.Cluster, "pods", len(w.uids()))
	writes := !o.ObserveOnly && o.Serve != nil
	if writes {
		running.Go(func() { o.Serve(ctx, writer) })
		running.Go(func() { writer.events.run(ctx) })
		running.Go(func() { writer.clean(ctx) })
	}
	head := model.PodReport{Cluster: o.Cluster, Domain: o.Domain, WriteBack: writes, Version: model.Version{Epoch: epoch}}
	r := newReports(o.Reporter, w, w.dirty, head, o.SnapshotInterval, o.Logger)
	if writes {
		r.remark = writer.remark
	}
	refused := make(chan error, 1)
	running.Go(func() { refused <- p.watchIdentity(ctx, epoch, leading, cancel) })
	r.run(ctx)
	cancel()
	return <-refused
}

// beginPause is how long to wait before the cluster is registered again after a failure.
const beginPause = 5 * time.Second

// begin registers the cluster and gives the epoch of the reports. It tries until it has an answer.
func (p *Perceiver) begin(ctx context.Context) (int64, error) {
	if p.options.Begin == nil {
		return time.Now().UnixNano(), nil
	}
	for {
		epoch, err := p.register(ctx, 0)
		if err == nil || errors.Is(err, ErrOtherCluster) {
			return epoch, err
		}
		if ctx.Err() == nil {
			p.options.Logger.Warn("the cluster could not be registered; nothing is reported before that", "cluster", p.options.Cluster, "pause", beginPause, "error", err)
		}
		select {
		case <-ctx.Done():
			return 0, nil
		case <-time.After(beginPause):
		}
	}
}

// register says which cluster this is. Without permission to read its identity it registers without one; whether that is enough
// is decided there.
func (p *Perceiver) register(ctx context.Context, current int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	identity, err := p.options.Client.ClusterUID(ctx)
	if class := classOf(err); err != nil && class != model.Unauthorized && class != model.NotFound {
		return 0, fmt.Errorf("read the identity of the cluster: %w", err)
	}
	return p.options.Begin(ctx, identity, current)
}

// identityEvery is how often at least a perceiver asks whether its reports are the newest: until then it may work in vain.
const identityEvery = 5 * time.Minute

// watchIdentity asks now and then whether the name still belongs to this cluster, and whether its reports are the newest. When they
// are not, it stops the work.
func (p *Perceiver) watchIdentity(ctx context.Context, epoch int64, leading func() bool, stop func()) error {
	if p.options.Begin == nil {
		return nil
	}
	ticker := time.NewTicker(min(p.options.SnapshotInterval, identityEvery))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if leading != nil && !leading() {
			continue
		}
		now, err := p.register(ctx, epoch)
		if err == nil && now != epoch {
			err = errSuperseded
		}
		if errors.Is(err, ErrOtherCluster) || errors.Is(err, errSuperseded) {
			stop()
			return err
		}
	}
}
