package registry

import (
	"context"
	"errors"
	"time"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/model"
)

// updatesAtOnce is how many updates may wait to be reported; one report takes all that wait.
const updatesAtOnce = 256

// update is something new about the registry.
type update struct {
	readings []reading
	// failed are repositories that could not be read.
	failed []string
	// walked says that a walk has ended.
	walked bool
	// done gets the result of the report; it has room for it. Nil where no one waits.
	done chan<- error
}

// errStarting says that the registry was not read once yet. What an event leads to is noted, and reported with the rest.
var errStarting = errors.New("the registry is being read for the first time")

// reports is what has been reported, and what is to be. It belongs to one goroutine.
type reports struct {
	*Perceiver
	state    *state
	mirror   *perceiver.Mirror
	failures int
	// notBefore is when a report may be tried again after a failure, and err is that failure.
	notBefore time.Time
	err       error
}

// follow reports what is new until ctx ends.
func (p *Perceiver) follow(ctx context.Context, epoch int64) {
	o := p.options
	head := model.PodReport{Cluster: o.Cluster, Domain: o.Domain, Version: model.Version{Epoch: epoch}, WriteBack: o.Serve != nil}
	r := &reports{Perceiver: p, state: newState(o), mirror: perceiver.NewMirror(o.Reporter, head, o.SnapshotInterval, o.Logger)}
	o.Logger.Info("watching", "cluster", o.Cluster, "registry", o.Host)
	timer := time.NewTimer(o.SnapshotInterval)
	defer timer.Stop()
	for {
		var waiting []chan<- error
		select {
		case <-ctx.Done():
			return
		case u := <-p.updates:
			waiting = r.take(u)
		case <-timer.C:
		}
		err := r.report(ctx)
		for _, done := range waiting {
			done <- err
		}
		pause := o.SnapshotInterval
		if r.failures > 0 {
			pause = max(time.Until(r.notBefore), time.Millisecond)
		}
		timer.Reset(pause)
	}
}

// take takes everything that waits.
func (r *reports) take(u update) (waiting []chan<- error) {
	for range updatesAtOnce {
		for _, each := range u.readings {
			r.state.apply(each)
		}
		for _, each := range u.failed {
			r.state.fail(each)
		}
		if u.walked {
			r.state.walked()
			if r.state.leftOut {
				r.options.Logger.Error("the registry has too many tags; some are not reported", "most", r.state.most)
			}
			r.ready.Store(true)
		}
		if u.done != nil {
			waiting = append(waiting, u.done)
		}
		select {
		case u = <-r.updates:
		default:
			return waiting
		}
	}
	return waiting
}

// report reports what has changed. After a failure it waits before it tries again.
func (r *reports) report(ctx context.Context) error {
	if !r.ready.Load() {
		return errStarting
	}
	if r.failures > 0 && time.Now().Before(r.notBefore) {
		return r.err
	}
	r.metrics.known(len(r.state.pods), len(r.state.unread), r.state.leftOut)
	r.err = r.mirror.Report(ctx, perceiver.List{Pods: r.state.pods, Partial: r.state.partial()})
	if r.err == nil {
		r.failures = 0
		return nil
	}
	r.failures++
	pause := pauseAfter(r.failures)
	r.notBefore = time.Now().Add(pause)
	if ctx.Err() == nil {
		r.options.Logger.Warn("tags could not be reported; they are reported again", "tags", len(r.state.pods), "pause", pause.Round(time.Millisecond), "error", r.err)
	}
	return r.err
}
