package workers

import (
	"context"
	"time"

	"go.uber.org/fx"

	"github.com/perceptor/perceptor/starter"
)

// watchEvery is how often a worker looks after the pool of hubs: less than the minute within which a terminated pool is back.
const watchEvery = 30 * time.Second

// poolWatch looks after the pool of hubs. It runs in the process and not in a workflow, because only a worker knows the configured hubs.
// The workflow Watchdog looks after all others.
type poolWatch struct {
	settings Settings
	starter  *starter.Starter
	link     *pool
	// other is the process whose list of hubs is in use while this process has another.
	other string
}

// watch asks the pool of hubs now and then, which starts it when there is none and replaces it when it is wedged.
func watch(life fx.Lifecycle, settings Settings, s *starter.Starter, link *pool) {
	w := &poolWatch{settings: settings, starter: s, link: link}
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
						w.look(ctx)
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

func (w *poolWatch) look(ctx context.Context) {
	if len(w.link.configured().Hubs) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, watchEvery)
	defer cancel()
	if _, err := w.link.Hubs(ctx); err != nil && ctx.Err() == nil {
		w.settings.Logger.Warn("pool of hubs did not answer", "error", err)
		return
	}
	inUse, from, err := w.link.confirm(ctx, time.Now())
	switch {
	case err != nil:
		if ctx.Err() == nil {
			w.settings.Logger.Warn("list of hubs could not be compared with the one in use", "error", err)
		}
	case !inUse:
		if w.other != from {
			w.settings.Logger.Error("another list of hubs than this one is in use; give all workers the same, or run perceptor setup with the right one",
				"in_use", from, "hubs", names(w.settings.Config.Hubs))
		}
		w.other = from
	default:
		if w.other != "" {
			w.settings.Logger.Info("this list of hubs is in use now")
		}
		w.other = ""
		if err := removeOthers(ctx, w.starter, w.link); err != nil && ctx.Err() == nil {
			w.settings.Logger.Warn("schedules of hubs that are not configured could not be removed", "error", err)
		}
	}
}

// removeOthers removes the schedules of hubs that are not in the list in use, which is that of this process.
func removeOthers(ctx context.Context, s *starter.Starter, link *pool) error {
	var plans []starter.RefreshPlan
	for _, h := range link.configured().Hubs {
		plans = append(plans, starter.RefreshPlan{Hub: h.Name})
	}
	return s.Refreshes.RemoveOthers(ctx, plans)
}
