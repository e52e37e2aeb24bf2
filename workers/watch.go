package workers

import (
	"context"
	"time"

	"go.uber.org/fx"
)

// watchEvery is how often a worker with the role workflows looks after the pool of hubs: less than the minute within which a terminated
// pool is back.
const watchEvery = 30 * time.Second

// watch asks the pool of hubs, which starts it when there is none and replaces it when it is wedged. It runs in the process and not in a
// workflow, because only a worker knows the configured hubs. The workflow Watchdog looks after all others.
func watch(life fx.Lifecycle, settings Settings, link *pool) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	life.Append(fx.StartStopHook(
		func() {
			go func() {
				defer close(done)
				ticker := time.NewTicker(watchEvery)
				defer ticker.Stop()
				for {
					select {
					case <-ticker.C:
						look(ctx, settings, link)
					case <-ctx.Done():
						return
					}
				}
			}()
		},
		func() {
			stop()
			<-done
		}))
}

func look(ctx context.Context, settings Settings, link *pool) {
	if len(link.configured()) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, watchEvery)
	defer cancel()
	if _, err := link.Hubs(ctx); err != nil && ctx.Err() == nil {
		settings.Logger.Warn("pool of hubs did not answer", "error", err)
	}
}
