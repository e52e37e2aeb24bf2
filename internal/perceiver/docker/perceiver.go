package docker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/perceptor/perceptor/internal/backoff"
	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/internal/perceiver/trouble"
	"github.com/perceptor/perceptor/model"
)

// DefaultSnapshotInterval is how often everything is reported again.
const DefaultSnapshotInterval = 30 * time.Minute

// Options is what a Perceiver needs.
type Options struct {
	// Cluster is what the engine, or its Swarm, is called in reports.
	Cluster string
	Engine  Engine
	// Reporter takes the reports.
	Reporter perceiver.Reporter
	// Selection says which namespaces and images are of interest.
	Selection perceiver.Selection
	// Begin is asked before anything is reported, with what tells this engine or Swarm from others. It gives the epoch of the reports.
	// An error that is ErrOtherEngine ends the perceiver; after any other error it is asked again. Without Begin the epoch is the time.
	Begin func(ctx context.Context, identity string) (epoch int64, err error)
	// Health receives what the perceiver cannot do, when that changes and now and then; it may be nil.
	Health func(context.Context, model.PerceiverHealth) error
	// Domain is the set of scanners that reach the engine's registries; empty means the default one.
	Domain string
	// PodLabels are the keys of labels of containers and services that are reported; at most model.LabelsAtMost.
	PodLabels []string
	// SnapshotInterval is how often everything is reported again; 0 means DefaultSnapshotInterval.
	SnapshotInterval time.Duration
	Logger           *slog.Logger
}

// ErrOtherEngine says that the cluster's name belongs to another engine or Swarm.
var ErrOtherEngine = errors.New("another engine or Swarm has this name")

// Perceiver watches one engine.
type Perceiver struct {
	options  Options
	filter   *perceiver.Filter
	troubles *trouble.Book
	identity string
	mirror   *perceiver.Mirror
	// managed says that the engine managed a Swarm; leftAt is since when it says that it does not, zero while it does not say so.
	managed bool
	leftAt  time.Time
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
	filter, err := perceiver.NewFilter(o.Selection)
	if err != nil {
		wrong = append(wrong, err)
	}
	if err := perceiver.CheckLabelKeys(o.PodLabels); err != nil {
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
	return &Perceiver{options: o, filter: filter, troubles: trouble.New(o.Logger)}, nil
}

// pauses are how long to wait before the engine, or Perceptor, is tried again.
var pauses = backoff.Delay{First: 500 * time.Millisecond, Most: 30 * time.Second}

// steady is how long a connection must last for the next pause to be the first again.
const steady = time.Minute

// Run watches and reports until ctx ends, which is no error. It connects again whenever the engine has been away.
func (p *Perceiver) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var reporting sync.WaitGroup
	defer func() { cancel(); reporting.Wait() }()
	if p.options.Health != nil {
		reporting.Go(func() { p.troubles.Report(ctx, p.options.Health) })
	}
	state := newState(p.options.Engine, p.filter, p.troubles)
	state.labels = p.options.PodLabels
	for failures := 1; ; failures++ {
		began := time.Now()
		err := p.watch(ctx, state)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrOtherEngine):
			return fmt.Errorf("perceiver: %w", err)
		case errors.Is(err, errOtherIdentity):
			failures = 0
			continue
		case time.Since(began) >= steady:
			failures = 1
		}
		pause := pauseAfter(failures)
		p.options.Logger.Warn("the engine is not watched; it is tried again", "cluster", p.options.Cluster, "pause", pause.Round(time.Millisecond), "error", err)
		sleep(ctx, pause)
	}
}

// pauseAfter grows with every failure in a row. A tenth of it is chance, so that perceivers that failed together do not come back
// together.
func pauseAfter(failures int) time.Duration {
	pause := pauses.After(failures)
	return pause + time.Duration(rand.Int64N(int64(pause)/10)) //nolint:gosec // an attacker gains nothing by guessing it
}

// watch watches over one connection. What the engine does not answer is noted as trouble.
func (p *Perceiver) watch(ctx context.Context, st *state) error {
	about, err := p.ask(ctx)
	if err != nil {
		return p.failed(ctx, err)
	}
	if err := p.begin(ctx, about); err != nil {
		return err
	}
	s := &session{options: p.options, state: st, mirror: p.mirror, ask: p.ask, about: about, identity: p.identity, hints: newHints()}
	return p.failed(ctx, s.run(ctx))
}

// failed notes that the engine cannot be read.
func (p *Perceiver) failed(ctx context.Context, err error) error {
	if err != nil && ctx.Err() == nil && !errors.Is(err, errOtherIdentity) {
		p.troubles.Fail(model.TroubleReadPods, perceiver.Clip(err.Error(), reasonLength), time.Now())
	}
	return err
}

// reasonLength is how much of an engine's refusal is kept.
const reasonLength = 300

// leaveTime is how long an engine must say that it has left its Swarm. One that is being stopped says so too, until it is gone: for at
// most its shutdown timeout, usually 15 s.
const leaveTime = 45 * time.Second

// ask asks the engine who it is. What it says of a Swarm that it has left is not believed at once.
func (p *Perceiver) ask(ctx context.Context) (About, error) {
	about, err := p.options.Engine.About(ctx)
	switch {
	case err != nil:
		p.leftAt = time.Time{}
		return about, err
	case about.Swarm == Manages:
		p.managed, p.leftAt = true, time.Time{}
	case about.Swarm == NoManager && p.managed:
		if p.leftAt.IsZero() {
			p.leftAt = time.Now()
		}
		if time.Since(p.leftAt) < leaveTime {
			about.Swarm = CannotSay
			return about, nil
		}
		p.managed = false
	}
	return about, nil
}

// begin says which engine is watched, when that is not known yet or has changed, and makes the Mirror for its reports. A cluster that
// has become another one is reported with a new epoch.
func (p *Perceiver) begin(ctx context.Context, about About) error {
	o, identity := p.options, about.Identity()
	if about.Swarm == CannotSay && p.mirror == nil {
		return errNoAnswer // which Swarm it is, is not known
	}
	if p.mirror != nil && (identity == p.identity || about.Swarm == CannotSay) {
		p.mirror.Renew()
		return nil
	}
	if p.identity != "" {
		o.Logger.Warn("the engine is another one, or has joined or left a Swarm", "cluster", o.Cluster, "before", p.identity, "now", identity)
	}
	epoch := time.Now().UnixNano()
	if o.Begin != nil {
		var err error
		if epoch, err = o.Begin(ctx, identity); err != nil {
			return fmt.Errorf("register the cluster: %w", err)
		}
	}
	p.identity = identity
	head := model.PodReport{Cluster: o.Cluster, Domain: o.Domain, Version: model.Version{Epoch: epoch}}
	p.mirror = perceiver.NewMirror(o.Reporter, head, o.SnapshotInterval, o.Logger)
	o.Logger.Info("watching", "cluster", o.Cluster, "identity", identity)
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
