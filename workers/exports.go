package workers

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/sdk/worker"

	"github.com/perceptor/perceptor/internal/backoff"
	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/internal/perceiver/docker"
	"github.com/perceptor/perceptor/workflows"
)

// newExporter is the Docker Engine of this host; nil where the configuration names none.
func newExporter(c config.Config) (*docker.Exporter, error) {
	if c.Scanner.DockerHost == "" {
		return nil, nil //nolint:nilnil // none is no error, and puller knows it
	}
	return docker.NewExporter(docker.Connection{Host: c.Scanner.DockerHost, UserAgent: "perceptor"})
}

// exports pulls images out of the Docker Engine of this host. Their backlog is named after the engine's ID, so it begins when the engine
// first answers.
type exports struct {
	engine  *docker.Exporter
	pullsOf func(domain string, atOnce int) worker.Worker
	logger  *slog.Logger

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// engineDelay is the delay before an engine is asked again for its ID.
var engineDelay = backoff.Delay{First: time.Second, Most: 30 * time.Second}

func (e *exports) start() {
	if e == nil {
		return
	}
	var ctx context.Context
	ctx, e.cancel = context.WithCancel(context.Background())
	e.running.Go(func() { e.run(ctx) })
}

// run serves the engine's backlog until ctx ends.
func (e *exports) run(ctx context.Context) {
	id := e.ask(ctx)
	if id == "" {
		return
	}
	pulls := e.pullsOf(workflows.EngineDomain(id), 1)
	if err := pulls.Start(); err != nil {
		e.logger.Error("the images of the Docker Engine are not exported", "engine", id, "error", err)
		return
	}
	e.logger.Info("the images of the Docker Engine can be exported", "engine", id)
	<-ctx.Done()
	pulls.Stop()
}

// ask asks the engine for its ID until it answers; empty when ctx has ended.
func (e *exports) ask(ctx context.Context) string {
	for failures := 1; ; failures++ {
		id, err := e.engine.Engine(ctx)
		if err == nil {
			return id
		}
		if ctx.Err() != nil {
			return ""
		}
		if failures == 1 {
			e.logger.Warn("the Docker Engine does not answer; it is asked again", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(engineDelay.After(failures)):
		}
	}
}

// stop ends the exports, and waits for those that are under way as long as a drain may take.
func (e *exports) stop() {
	if e == nil {
		return
	}
	e.cancel()
	e.running.Wait()
}
