package workers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// Each question is a task for the one workflow that all wait for, and every scan begins with it. hubsFresh is how long an
// answer is good for all scans of this process; a hub that was tripped or paused a second ago says so itself, or is asked
// once more than it need be. While the pool is slow, its worker dead or busy, scans wait for hubsPatience and then make do
// with an answer younger than hubsUsable: a thousand that wait would keep the workers busy with waiting, and the pool slow.
const (
	hubsFresh    = time.Second
	hubsPatience = time.Second
	hubsUsable   = time.Minute
	// hubsLongest bounds the question and, where there is no pool, its start.
	hubsLongest = 30 * time.Second
)

// poolLink is the pool of hubs as the steps see it: one that is gone is started with the hubs configured here.
type poolLink interface {
	Hubs(ctx context.Context) ([]activities.HubState, error)
	ConfigureHubs(ctx context.Context, list workflows.Configure) error
	Signal(ctx context.Context, name string, value any, list workflows.Configure) error
	Status(ctx context.Context) (workflows.HubPoolStatus, error)
	// ReplaceWedged ends a pool whose task fails again and again, and reports whether it did.
	ReplaceWedged(ctx context.Context) (bool, error)
}

type pool struct {
	link poolLink

	flight singleflight.Group
	lock   sync.Mutex
	list   workflows.Configure
	known  []activities.HubState
	asked  time.Time
}

func newPool(link poolLink, list workflows.Configure) *pool { return &pool{link: link, list: list} }

func newLink(s *starter.Starter, settings Settings) *pool {
	return newPool(s.Pool, HubList(settings.Config, settings.Source))
}

// configure replaces the list of hubs, and gives it as it is to be sent: with the list that it replaces.
func (p *pool) configure(list workflows.Configure) workflows.Configure {
	p.lock.Lock()
	defer p.lock.Unlock()
	list.Replaces = workflows.ListHash(p.list.Hubs)
	p.list = list
	return list
}

func (p *pool) configured() workflows.Configure {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.list
}

// confirm says now and then that this process has the list of hubs in use, or that it has another. It reports whether its list is in
// use, and which process the one in use came from.
func (p *pool) confirm(ctx context.Context, now time.Time) (inUse bool, from string, err error) {
	status, err := p.link.Status(ctx)
	if err != nil {
		return false, "", err
	}
	list := p.configured()
	inUse = status.List.Hash == workflows.ListHash(list.Hubs)
	if inUse && now.Sub(status.List.Confirmed) < workflows.ListConfirmed {
		return true, status.List.From, nil
	}
	return inUse, status.List.From, p.link.ConfigureHubs(ctx, list)
}

// Hubs asks the pool, unless it was asked a moment ago. All who ask share one question, which goes on when one of them
// gives up.
func (p *pool) Hubs(ctx context.Context) ([]activities.HubState, error) {
	known, age := p.read()
	if age < hubsFresh {
		return known, nil
	}
	answer := p.flight.DoChan("", func() (any, error) {
		shared, cancel := context.WithTimeout(context.WithoutCancel(ctx), hubsLongest)
		defer cancel()
		return p.ask(shared)
	})
	var enough <-chan time.Time
	if age < hubsUsable {
		enough = time.After(hubsPatience)
	}
	select {
	case a := <-answer:
		hubs, _ := a.Val.([]activities.HubState)
		if a.Err != nil && age < hubsUsable {
			return known, nil
		}
		return hubs, a.Err
	case <-enough:
		return known, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("ask the pool of hubs: %w", ctx.Err())
	}
}

// read is the last answer and its age.
func (p *pool) read() ([]activities.HubState, time.Duration) {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.known, time.Since(p.asked)
}

// ask asks the pool, and starts it when there is none.
func (p *pool) ask(ctx context.Context) ([]activities.HubState, error) {
	hubs, err := p.link.Hubs(ctx)
	if err != nil && !errors.Is(err, starter.ErrNoPool) {
		// The question may have used up its time.
		check, cancel := context.WithTimeout(context.WithoutCancel(ctx), hubsLongest)
		defer cancel()
		if replaced, checkErr := p.link.ReplaceWedged(check); replaced && checkErr == nil {
			ctx, err = check, starter.ErrNoPool
		}
	}
	if errors.Is(err, starter.ErrNoPool) {
		if err = p.link.ConfigureHubs(ctx, p.configured()); err == nil {
			hubs, err = p.link.Hubs(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	p.known, p.asked = hubs, time.Now()
	return hubs, nil
}

func (p *pool) Signal(ctx context.Context, name string, value any) error {
	return p.link.Signal(ctx, name, value, p.configured())
}
