package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/internal/backoff"
	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/internal/perceiver/trouble"
	"github.com/perceptor/perceptor/model"
)

// How often all tags are read, and everything is reported again.
const (
	DefaultWalkInterval     = 15 * time.Minute
	DefaultSnapshotInterval = 30 * time.Minute
)

// Options is what a Perceiver needs.
type Options struct {
	// Cluster is what the registry is called in reports.
	Cluster string
	// Host is the registry's host as it stands in references, such as registry.example:5000.
	Host string
	// PlainHTTP allows HTTP without TLS. Loopback hosts need no permission.
	PlainHTTP bool
	// Transport calls the registry; nil is Go's usual one.
	Transport http.RoundTripper
	Login     Login
	// Repositories are read instead of the registry's catalogue, where there are some.
	Repositories []string
	// Selection says which namespaces, which are repositories, and images are of interest.
	Selection perceiver.Selection
	// WalkInterval is how often all tags are read; 0 means DefaultWalkInterval.
	WalkInterval time.Duration

	// Kind is the product whose events are read.
	Kind Kind
	// Listener takes the events; nil is no receiver: then tags are only walked.
	Listener net.Listener
	// TLS is the server's side of it; nil is plain HTTP.
	TLS *tls.Config
	// Secrets are what events must prove to know. They are asked at each event. No secret refuses all events.
	Secrets func() []string

	// Platform is what an image that has several is scanned for.
	Platform model.Platform
	// Credential is the name of the login that scanners use; empty is none.
	Credential string

	Reporter perceiver.Reporter
	// Begin is asked before anything is reported, with what tells this registry from others. It gives the epoch of the reports. An
	// error that is ErrOtherRegistry ends the perceiver; after any other error it is asked again. Without Begin the epoch is the time.
	Begin func(ctx context.Context, identity string) (epoch int64, err error)
	// Health receives what the perceiver cannot do, when that changes and now and then; it may be nil.
	Health func(context.Context, model.PerceiverHealth) error
	// Domain is the set of scanners that reach the registry; empty means the default one.
	Domain string
	// SnapshotInterval is how often everything is reported again; 0 means DefaultSnapshotInterval.
	SnapshotInterval time.Duration
	// Serve writes verdicts until ctx ends, to the place that WriteBack says; nil is no write-back.
	Serve     func(ctx context.Context, w *Writer)
	WriteBack WriteBack
	Logger    *slog.Logger
}

// ErrOtherRegistry says that the cluster's name belongs to something else.
var ErrOtherRegistry = errors.New("another registry or cluster has this name")

// Perceiver watches one registry.
type Perceiver struct {
	options Options
	filter  *perceiver.Filter
	client  *client
	metrics *metrics
	writer  *Writer
	replays *replays
	// troubles are what cannot be done now.
	troubles *trouble.Book

	// clock orders readings.
	clock atomic.Int64
	// updates are readings to be reported.
	updates chan update
	// soon asks for a walk before its time.
	soon    chan struct{}
	noticed notices
	// running ends with the perceiver; later bounds the tags that are read again later.
	running context.Context
	later   chan struct{}
	// ready says that the registry was read once, so that events are reported.
	ready atomic.Bool
}

// New refuses options that cannot work, all mistakes at once.
func New(o Options) (*Perceiver, error) {
	var mistakes []error
	complain := func(err error) {
		if err != nil {
			mistakes = append(mistakes, err)
		}
	}
	complain(model.CheckCluster(o.Cluster))
	if o.SnapshotInterval < 0 || o.WalkInterval < 0 {
		complain(fmt.Errorf("snapshot interval %s and walk interval %s must not be negative", o.SnapshotInterval, o.WalkInterval))
	}
	if o.Listener != nil && !o.Kind.known() {
		complain(fmt.Errorf("kind %q: want one of %s", o.Kind, kindNames()))
	}
	for _, each := range o.Repositories {
		if !isRepository(each) {
			complain(fmt.Errorf("repository %.100q: want a path such as team/app, without the host and without a tag", each))
		}
	}
	filter, err := perceiver.NewFilter(o.Selection)
	complain(err)
	asked, err := newClient(o)
	complain(err)
	if len(mistakes) > 0 {
		return nil, fmt.Errorf("perceiver: %w", errors.Join(mistakes...))
	}
	if o.SnapshotInterval == 0 {
		o.SnapshotInterval = DefaultSnapshotInterval
	}
	if o.WalkInterval == 0 {
		o.WalkInterval = DefaultWalkInterval
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Secrets == nil {
		o.Secrets = func() []string { return nil }
	}
	p := &Perceiver{
		options: o, filter: filter, client: asked, metrics: newMetrics(), replays: newReplays(), troubles: trouble.New(o.Logger),
		updates: make(chan update, updatesAtOnce), soon: make(chan struct{}, 1),
		running: context.Background(), later: make(chan struct{}, 200),
	}
	if o.Serve != nil {
		if p.writer, err = newWriter(o, asked, p.metrics, p.troubles); err != nil {
			return nil, fmt.Errorf("perceiver: %w", err)
		}
	}
	return p, nil
}

// identity is what tells the registry from others.
func (o Options) identity() string { return "registry:" + o.Host }

// pauses are how long to wait before the registry, or Perceptor, is tried again.
var pauses = backoff.Delay{First: 500 * time.Millisecond, Most: 30 * time.Second}

// pauseAfter grows with every failure in a row. A tenth of it is chance.
func pauseAfter(failures int) time.Duration {
	pause := pauses.After(failures)
	return pause + time.Duration(rand.Int64N(int64(pause)/10)) //nolint:gosec // an attacker gains nothing by guessing it
}

// Run watches and reports until ctx ends, which is no error.
func (p *Perceiver) Run(ctx context.Context) error {
	group, running := errgroup.WithContext(ctx)
	p.running = running
	if p.options.Listener != nil {
		group.Go(func() error { return p.receive(running) })
	}
	group.Go(func() error {
		epoch, err := p.begin(running)
		if err != nil || running.Err() != nil {
			return err
		}
		group.Go(func() error { p.walks(running); return nil })
		group.Go(func() error { p.troubles.Report(running, p.options.Health); return nil })
		if p.options.Serve != nil {
			group.Go(func() error { p.options.Serve(running, p.writer); return nil })
		}
		p.follow(running, epoch)
		return nil
	})
	err := group.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// begin says which registry is watched.
func (p *Perceiver) begin(ctx context.Context) (epoch int64, err error) {
	o := p.options
	if o.Begin == nil {
		return time.Now().UnixNano(), nil
	}
	for failures := 1; ; failures++ {
		epoch, err = o.Begin(ctx, o.identity())
		if err == nil {
			return epoch, nil
		}
		if errors.Is(err, ErrOtherRegistry) {
			return 0, fmt.Errorf("perceiver: %w", err)
		}
		if ctx.Err() != nil {
			return 0, nil
		}
		pause := pauseAfter(failures)
		o.Logger.Warn("the cluster could not be registered; it is tried again", "cluster", o.Cluster, "pause", pause.Round(time.Millisecond), "error", err)
		sleep(ctx, pause)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
