package catalog

import (
	"context"
	"time"

	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/event"
	"github.com/anchore/syft/syft/event/monitor"
	"github.com/anchore/syft/syft/event/parsers"
	"github.com/wagoodman/go-partybus"
	"github.com/wagoodman/go-progress"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
)

// followInterval is how often Syft's own progress is looked at.
const followInterval = 500 * time.Millisecond

// follow tells how many of Syft's tasks are done, until ctx ends. Syft's bus belongs to the process, which lists one
// image in its life.
func follow(ctx context.Context, out *protocol.Writer) {
	_ = out.Progress(protocol.PhaseCatalogue, 0, 0)
	bus := partybus.NewBus()
	events := bus.Subscribe(event.CatalogerTaskStarted)
	syft.SetBus(bus)
	go func() {
		defer func() { _ = events.Unsubscribe() }()
		ticker := time.NewTicker(followInterval)
		defer ticker.Stop()
		var whole progress.Progressable
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-events.Events():
				if done, task, err := parsers.ParseCatalogerTaskStarted(e); err == nil && task.ID == monitor.TopLevelCatalogingTaskID {
					whole = done
				}
			case <-ticker.C:
				if whole != nil {
					_ = out.Progress(protocol.PhaseCatalogue, max(whole.Current(), 0), max(whole.Size(), 0))
				}
			}
		}
	}()
}
