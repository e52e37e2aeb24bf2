package workers

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// hubsFresh is how long an answer of the pool is good for all scans of this process. Each question is a task for the one
// workflow that all wait for, and every scan begins with it; a hub that was closed or paused a second ago says so itself,
// or is asked once more than it need be.
const hubsFresh = time.Second

// poolLink is the pool of hubs as the steps see it: one that is gone is started with the hubs configured here.
type poolLink interface {
	Hubs(ctx context.Context) ([]activities.HubState, error)
	ConfigureHubs(ctx context.Context, hubs []workflows.HubConfig) error
	SignalPool(ctx context.Context, name string, value any, hubs []workflows.HubConfig) error
}

type pool struct {
	link poolLink
	hubs []workflows.HubConfig

	lock  sync.Mutex
	known []activities.HubState
	asked time.Time
}

func newPool(link poolLink, hubs []workflows.HubConfig) *pool { return &pool{link: link, hubs: hubs} }

// Hubs asks the pool, unless it was asked a moment ago. Those who ask meanwhile wait for that answer.
func (p *pool) Hubs(ctx context.Context) ([]activities.HubState, error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if time.Since(p.asked) < hubsFresh {
		return p.known, nil
	}
	hubs, err := p.link.Hubs(ctx)
	if errors.Is(err, starter.ErrNoPool) {
		if err = p.link.ConfigureHubs(ctx, p.hubs); err == nil {
			hubs, err = p.link.Hubs(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	p.known, p.asked = hubs, time.Now()
	return hubs, nil
}

func (p *pool) Signal(ctx context.Context, name string, value any) error {
	return p.link.SignalPool(ctx, name, value, p.hubs)
}
