package workers

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"go.uber.org/fx"

	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/starter"
)

// reloadEvery is how often a worker looks whether its configuration has changed.
const reloadEvery = 2 * time.Second

// reloader follows changes of the list of hubs while the worker runs.
type reloader struct {
	settings Settings
	starter  *starter.Starter
	link     *pool
	// drivers and queues are nil where no part of this process calls hubs.
	drivers *drivers
	queues  *hubQueues
	logger  *slog.Logger
	// current is the configuration that the worker uses now.
	current config.Config
}

// follow looks at the configuration until ctx ends.
func (r *reloader) follow(ctx context.Context) {
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := r.checkConfiguration(ctx); err != nil && ctx.Err() == nil {
				r.logger.Error("new list of hubs could not be used yet", "error", err)
			}
		}
	}
}

// checkConfiguration uses what has changed. After a failure the next check tries again.
func (r *reloader) checkConfiguration(ctx context.Context) error {
	now := r.settings.Reload()
	if reflect.DeepEqual(now, r.current) {
		return nil
	}
	if !slices.Equal(now.Hubs, r.current.Hubs) || now.HubsGeneration != r.current.HubsGeneration {
		if err := r.useHubs(ctx, now); err != nil {
			return err
		}
		r.logger.Info("new list of hubs in use", "hubs", names(now.Hubs))
	}
	hubs := r.current
	hubs.HubsGeneration = now.HubsGeneration
	if hubs.Hubs = now.Hubs; !reflect.DeepEqual(now, hubs) {
		r.logger.Warn("only the list of hubs changes while a worker runs; restart the worker to use the rest of the new configuration")
	}
	r.current = now
	return nil
}

// useHubs makes this process ready for the hubs, and only then sends them to the pool.
func (r *reloader) useHubs(ctx context.Context, now config.Config) error {
	if r.drivers != nil {
		if err := r.drivers.configure(now.Hubs); err != nil {
			return err
		}
	}
	if r.queues != nil {
		if err := r.queues.serve(now.Hubs); err != nil {
			return err
		}
	}
	list := r.link.configure(HubList(now, r.settings.Source))
	if !r.settings.ownsHubs() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, hubsLongest)
	defer cancel()
	if err := configurePool(ctx, r.starter, r.settings.Namespace, now, list); err != nil {
		return fmt.Errorf("configure the pool of hubs: %w", err)
	}
	inUse, _, err := r.link.confirm(ctx, time.Now())
	if err != nil || !inUse {
		return nil //nolint:nilerr // the next look at the pool compares the lists again, and logs
	}
	return removeOthers(ctx, r.starter, r.link)
}

func names(hubs []config.Hub) []string {
	var all []string
	for _, h := range hubs {
		all = append(all, h.Name)
	}
	return all
}

// reloadParts are the parts of the process that a reload changes, as far as it has them.
type reloadParts struct {
	fx.In

	Settings Settings
	Config   config.Config
	Starter  *starter.Starter
	Link     *pool
	Drivers  *drivers   `optional:"true"`
	Queues   *hubQueues `optional:"true"`
	Logger   *slog.Logger
}

// followConfiguration reloads for as long as the worker runs.
func followConfiguration(life fx.Lifecycle, p reloadParts) {
	// The rest of the configuration has been completed since it was read.
	current := p.Settings.Reload()
	current.Hubs = p.Config.Hubs
	r := &reloader{
		settings: p.Settings, starter: p.Starter, link: p.Link, drivers: p.Drivers, queues: p.Queues, logger: p.Logger, current: current,
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	life.Append(fx.StartStopHook(func() {
		go func() { defer close(done); r.follow(ctx) }()
	}, func() {
		stop()
		<-done
	}))
}
