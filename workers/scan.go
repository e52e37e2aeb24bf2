package workers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.uber.org/fx"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/internal/scanclient"
	"github.com/perceptor/perceptor/internal/workspace"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// scanModule makes this process a scanner host.
func scanModule() fx.Option {
	return fx.Options(
		fx.Provide(newWorkspaces, newRegistry, newScanClient, newScannerSteps),
		fx.Invoke(serveRegistry, servePulls),
	)
}

func newWorkspaces(life fx.Lifecycle, c config.Config) (*workspace.Pool, error) {
	host, err := Host(c.Scanner.Directory)
	if err != nil {
		return nil, err
	}
	pool, err := workspace.Open(c.Scanner.Directory, host, c.Scanner.Workspaces)
	if err != nil {
		return nil, err
	}
	life.Append(fx.StopHook(pool.Close))
	return pool, nil
}

func newScannerSteps(r *registry.Client, s *scanclient.Runner, p *workspace.Pool, hubs activities.Hubs) *activities.ScannerSteps {
	return activities.NewScannerSteps(puller{r}, sbomClient{s}, p, hubs)
}

// serveRegistry answers short questions to the registries this host reaches.
func serveRegistry(life fx.Lifecycle, c client.Client, conf config.Config, r *registry.Client) {
	w := worker.New(c, workflows.RegistryQueue(conf.Scanner.Domain), worker.Options{
		DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: hubSlots, WorkerStopTimeout: stopLight,
	})
	w.RegisterActivity(activities.NewRegistrySteps(puller{r}, starter.New(c).Images))
	appendWorker(life, w)
}

// scanner is the pulling and the host's own queue of one scanner host, with the order in which they stop.
type scanner struct {
	pulls, steps worker.Worker
	pool         *workspace.Pool
	sweeper      sweeper
	drain        time.Duration
	logger       *slog.Logger
	stopSweeping context.CancelFunc
}

// servePulls pulls images out of the backlog of the domain, and serves the later steps of those it has pulled.
func servePulls(life fx.Lifecycle, c client.Client, conf config.Config, pool *workspace.Pool, steps *activities.ScannerSteps, s *starter.Starter, logger *slog.Logger) error {
	tuner, err := workspaceTuner(pool)
	if err != nil {
		return fmt.Errorf("slots of %s: %w", pool.Host(), err)
	}
	drain := max(conf.Scanner.Drain, time.Second)
	pulls := worker.New(c, workflows.PullQueue(conf.Scanner.Domain), worker.Options{
		DisableWorkflowWorker: true, Tuner: tuner, ActivityTaskPollerBehavior: pollers(pool.Size()), WorkerStopTimeout: drain,
	})
	pulls.RegisterActivity(steps.PullImage)
	// Twice the workspaces: a step may still be returning when the workspace it released is acquired again.
	own := worker.New(c, workflows.HostQueue(pool.Host()), worker.Options{
		DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: 2 * pool.Size(), WorkerStopTimeout: stopLight,
		ActivityTaskPollerBehavior: pollers(2 * pool.Size()),
	})
	own.RegisterActivity(steps.UploadScan)
	host := &scanner{
		pulls: pulls, steps: own, pool: pool, drain: conf.Scanner.Drain, logger: logger,
		sweeper: sweeper{pool: pool, lookUp: s.Scans.Workspace, logger: logger},
	}
	life.Append(fx.StartStopHook(host.start, host.stop))
	return nil
}

func (s *scanner) start() error {
	if err := s.steps.Start(); err != nil {
		return fmt.Errorf("queue of host %s: %w", s.pool.Host(), err)
	}
	if err := s.pulls.Start(); err != nil {
		return fmt.Errorf("pulls of host %s: %w", s.pool.Host(), err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stopSweeping = stop
	go s.sweeper.run(ctx)
	s.logger.Info("scanner ready", "host", s.pool.Host(), "workspaces", s.pool.Size(), "kept", len(s.pool.List()))
	return nil
}

// drainLook is how often a stopping host checks whether its workspaces are released.
const drainLook = 100 * time.Millisecond

// stop stops the pulls, lets the scans of its workspaces finish for as long as a drain may take, then stops the host's own
// queue. What is left in a workspace then is found again at the next start.
func (s *scanner) stop(ctx context.Context) {
	deadline := time.Now().Add(s.drain)
	s.pulls.Stop()
	for time.Now().Before(deadline) && ctx.Err() == nil && len(s.pool.List()) > 0 {
		time.Sleep(drainLook)
	}
	s.stopSweeping()
	s.steps.Stop()
	if left := len(s.pool.List()); left > 0 {
		s.logger.Warn("workspaces left for the next start", "host", s.pool.Host(), "count", left)
	}
}
