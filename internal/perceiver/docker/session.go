package docker

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/moby/api/types/events"

	"github.com/perceptor/perceptor/internal/perceiver"
)

// When lists are made.
const (
	// settleTime is how long to wait after an event for those that come with it, gatherTime the shortest time between two lists.
	settleTime = 50 * time.Millisecond
	gatherTime = 300 * time.Millisecond
	// listShare bounds the load of the engine: between two lists passes so many times what the last one took there, up to listPause.
	listShare = 4
	listPause = 30 * time.Second
	// tasksEvery is how often the tasks of a Swarm are listed: what happens on other nodes is no event here.
	tasksEvery = 2 * time.Second
	// listEvery is how often everything is listed without an event.
	listEvery = 30 * time.Second
)

// errOtherIdentity says that the engine has joined or left a Swarm, or is another one.
var errOtherIdentity = errors.New("the engine has another identity")

// session is one connection to the engine.
type session struct {
	options  Options
	state    *state
	mirror   *perceiver.Mirror
	ask      func(context.Context) (About, error)
	about    About
	identity string
	hints    *hints

	// askedAt is when about was read, failures how many reports have failed in a row.
	askedAt  time.Time
	failures int
}

// run watches until the engine is away or ctx ends.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	s.askedAt = time.Now()
	begun, ended := make(chan struct{}), make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() { ended <- s.options.Engine.Events(ctx, func() { close(begun) }, s.hints.take) })
	defer func() { cancel(); running.Wait() }()
	select {
	case <-begun: // what happens from now on is an event; what has happened is in the list
	case err := <-ended:
		return err
	}
	return s.follow(ctx, ended)
}

// follow lists what runs and reports it, soon after an event and from time to time.
func (s *session) follow(ctx context.Context, ended <-chan error) error {
	due, notBefore := time.Now(), time.Time{}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-s.hints.some:
			if soon := time.Now().Add(settleTime); soon.Before(due) {
				due = soon
			}
		case <-timer.C:
		}
		if at := latest(due, notBefore); time.Now().Before(at) {
			timer.Reset(time.Until(at))
			continue
		}
		began := time.Now()
		list, err := s.list(ctx)
		if err != nil {
			return err
		}
		notBefore = time.Now().Add(max(gatherTime, min(listPause, listShare*time.Since(began))))
		pause := s.report(ctx, list)
		due = time.Now().Add(s.every())
		notBefore = latest(notBefore, time.Now().Add(pause))
		timer.Reset(time.Until(latest(due, notBefore)))
	}
}

// list makes one list.
func (s *session) list(ctx context.Context) (perceiver.List, error) {
	if s.hints.images.Swap(false) {
		s.state.images.stale = true
	}
	if s.hints.engine.Swap(false) || s.about.Swarm == CannotSay || s.state.unread || time.Since(s.askedAt) >= listEvery {
		if err := s.askAgain(ctx); err != nil {
			return perceiver.List{}, err
		}
	}
	return s.state.read(ctx, s.about)
}

// report reports a list. It answers how long to wait where that has failed.
func (s *session) report(ctx context.Context, list perceiver.List) time.Duration {
	err := s.mirror.Report(ctx, list)
	if err == nil {
		s.failures = 0
		return 0
	}
	s.failures++
	pause := pauseAfter(s.failures)
	if ctx.Err() == nil {
		s.options.Logger.Warn("what runs could not be reported; it is reported again", "pods", len(list.Pods), "pause", pause.Round(time.Millisecond), "error", err)
	}
	return pause
}

// askAgain asks the engine who it is.
func (s *session) askAgain(ctx context.Context) error {
	about, err := s.ask(ctx)
	if err != nil {
		return err
	}
	s.about, s.askedAt = about, time.Now()
	if about.Swarm != CannotSay && about.Identity() != s.identity {
		return errOtherIdentity
	}
	return nil
}

// every is how often a list is made without an event. After a report that failed the next one is due at once.
func (s *session) every() time.Duration {
	switch {
	case s.failures > 0:
		return 0
	case s.about.Swarm == NoManager:
		return listEvery
	default:
		return tasksEvery
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// hints are what events say: that something may have changed.
type hints struct {
	// some has room for one word.
	some chan struct{}
	// images says that names of images may have changed, engine that the engine's part in a Swarm may have.
	images, engine atomic.Bool
}

func newHints() *hints { return &hints{some: make(chan struct{}, 1)} }

// quiet are events of containers after which the same runs.
var quiet = map[events.Action]bool{
	events.ActionCreate: true, events.ActionAttach: true, events.ActionDetach: true, events.ActionResize: true, events.ActionTop: true,
	events.ActionCopy: true, events.ActionCommit: true, events.ActionExport: true, events.ActionArchivePath: true, events.ActionExtractToDir: true,
	events.ActionKill: true, events.ActionOOM: true,
}

// take notes an event. What is not known to be quiet counts.
func (h *hints) take(m events.Message) {
	switch m.Type {
	case events.NetworkEventType, events.VolumeEventType, events.BuilderEventType, events.PluginEventType, events.SecretEventType, events.ConfigEventType:
		return
	case events.ContainerEventType:
		action := string(m.Action)
		if quiet[m.Action] || strings.HasPrefix(action, "exec_") || strings.HasPrefix(action, "health_status") {
			return
		}
	case events.ImageEventType:
		h.images.Store(true)
	default:
		h.engine.Store(true)
	}
	select {
	case h.some <- struct{}{}:
	default:
	}
}
