package workers

import (
	"context"
	"time"

	"go.uber.org/fx"

	"github.com/perceptor/perceptor/starter"
)

// watchEvery is how often a worker with the role workflows looks after what should be running: less than the minute within which a
// terminated workflow is back.
const watchEvery = 30 * time.Second

// watch asks the pool of hubs, which starts it when there is none and replaces it when it is wedged, and starts clusters again that
// were terminated. It runs in the process and not in a workflow: it must work also when no workflow does.
func watch(life fx.Lifecycle, settings Settings, s *starter.Starter, link *pool) {
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
						look(ctx, settings, s, link)
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

func look(ctx context.Context, settings Settings, s *starter.Starter, link *pool) {
	ctx, cancel := context.WithTimeout(ctx, watchEvery)
	defer cancel()
	if len(link.configured()) > 0 {
		if _, err := link.Hubs(ctx); err != nil && ctx.Err() == nil {
			settings.Logger.Warn("pool of hubs did not answer", "error", err)
		}
	}
	restored, err := s.Watch.RestoreClusters(ctx)
	if err != nil && ctx.Err() == nil {
		settings.Logger.Warn("clusters could not be checked", "error", err)
	}
	for _, name := range restored {
		settings.Logger.Warn("cluster was not running and is started again", "cluster", name)
	}
}
