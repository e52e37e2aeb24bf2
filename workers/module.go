package workers

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.uber.org/fx"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
	"github.com/perceptor/perceptor/workflows/cluster"
	"github.com/perceptor/perceptor/workflows/image"
	"github.com/perceptor/perceptor/workflows/inventory"
	hubpool "github.com/perceptor/perceptor/workflows/pool"
	"github.com/perceptor/perceptor/workflows/refresh"
	"github.com/perceptor/perceptor/workflows/scan"
)

// Times of a worker's end. A light step is over in seconds; fx waits longer than any drain.
const (
	stopLight = 10 * time.Second
	stopSlack = time.Minute
)

// hubSlots is how many calls a process makes to one hub at a time; the driver's rate is the real bound.
const hubSlots = 16

// Module serves the roles of the settings: one fx module for each.
func Module(s Settings) fx.Option {
	options := []fx.Option{
		fx.Supply(s, s.Config, s.Logger),
		fx.Provide(func() client.Client { return s.Client }, starter.New, newLink),
		fx.Invoke(configureHubs),
	}
	if s.speaksToHubs() {
		options = append(options, fx.Provide(fx.Annotate(newDrivers, fx.As(fx.Self()), fx.As(new(activities.Hubs)))))
	}
	if s.plays(RoleWorkflows) {
		options = append(options, fx.Invoke(watch))
		if s.plays(RoleHub) {
			options = append(options, fx.Provide(newHubsHere), fx.Invoke(func(life fx.Lifecycle, c client.Client, s *starter.Starter, link *pool, here *hubsHere) {
				serveWorkflows(life, c, s, link, here)
			}))
		} else {
			options = append(options, fx.Invoke(func(life fx.Lifecycle, c client.Client, s *starter.Starter, link *pool) {
				serveWorkflows(life, c, s, link, nil)
			}))
		}
	}
	if s.plays(RoleHub) {
		options = append(options, fx.Provide(serveHubs), fx.Invoke(func(*hubQueues) {}))
	}
	if s.plays(RoleScan) {
		options = append(options, scanModule())
	}
	if s.Reload != nil {
		options = append(options, fx.Invoke(followConfiguration))
	}
	return fx.Options(options...)
}

// Run serves until ctx ends, then lets what is running finish as long as the settings allow.
func Run(ctx context.Context, s Settings) error {
	if err := s.check(); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	app := fx.New(Module(s), fx.NopLogger, fx.StopTimeout(s.Config.Scanner.Drain+stopSlack))
	if err := app.Err(); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	if err := app.Start(ctx); err != nil {
		return fmt.Errorf("worker start: %w", err)
	}
	s.Logger.Info("worker ready", "roles", s.Roles)
	<-ctx.Done()
	s.Logger.Info("worker stops", "drain", s.Config.Scanner.Drain)
	stopContext, cancel := context.WithTimeout(context.WithoutCancel(ctx), app.StopTimeout())
	defer cancel()
	if err := app.Stop(stopContext); err != nil {
		return fmt.Errorf("worker stop: %w", err)
	}
	return nil
}

// configureHubs sends the configuration to the pool of hubs, and the rates of the queues to the server, at every start of a
// worker.
func configureHubs(life fx.Lifecycle, settings Settings, s *starter.Starter, c config.Config) {
	life.Append(fx.StartHook(func(ctx context.Context) error {
		// A namespace that an older build made ready lacks what has been added since, and no workflow could go on in it.
		if err := s.Setup.AddAttributes(ctx, settings.Namespace); err != nil {
			settings.Logger.Warn("search attributes could not be added; run perceptor setup", "error", err)
		}
		return configurePool(ctx, s, settings.Namespace, c)
	}))
}

// configurePool sends the server and the pool what is configured.
func configurePool(ctx context.Context, s *starter.Starter, namespace string, c config.Config) error {
	if err := SetHubRates(ctx, s, namespace, c); err != nil {
		return err
	}
	if err := s.Pool.ConfigureHubs(ctx, HubConfigs(c)); err != nil {
		return err
	}
	return s.Refreshes.Configure(ctx, RefreshPlans(c))
}

// SetHubRates sets the configured rate of every hub's queue where no rate was set by hand.
func SetHubRates(ctx context.Context, s *starter.Starter, namespace string, c config.Config) error {
	for _, h := range c.Hubs {
		if err := s.Queues.SetHubRate(ctx, namespace, h.Name, h.Rate); err != nil {
			return err
		}
	}
	return nil
}

// limitTimes is the largest limit that may be set while it runs, as a multiple of the configured one, where the configuration
// names none.
const limitTimes = 10

// HubConfigs is what the pool needs to know of the configured hubs.
func HubConfigs(c config.Config) []workflows.HubConfig {
	var hubs []workflows.HubConfig
	for _, h := range c.Hubs {
		hubs = append(hubs, workflows.HubConfig{Name: h.Name, Limit: h.Limit, Settle: h.Settle, Disabled: h.Disabled, MaxLimit: cmp.Or(h.MaxLimit, limitTimes*h.Limit)})
	}
	return hubs
}

// refreshEvery is how often a hub is asked what has changed, where the configuration says nothing else.
const refreshEvery = time.Minute

// RefreshPlans says how often each hub is asked what has changed. A hub that gets no new scans still judges old ones.
func RefreshPlans(c config.Config) []starter.RefreshPlan {
	var plans []starter.RefreshPlan
	for _, h := range c.Hubs {
		plan := starter.RefreshPlan{Hub: h.Name, Every: h.Refresh}
		if plan.Every == 0 {
			plan.Every = refreshEvery
		}
		plans = append(plans, plan)
	}
	return plans
}

// appendWorker adds a worker to the life of the process.
func appendWorker(life fx.Lifecycle, w worker.Worker) {
	life.Append(fx.StartStopHook(w.Start, w.Stop))
}

// stickyWait is how long a workflow waits for the worker that has it in memory before any other may continue it. A scan
// that waits for a dead worker holds its lease meanwhile, and the pool is one workflow for all: five seconds, the SDK's default,
// are too long. Much shorter would have busy workers read histories again, and be busier.
const stickyWait = 2 * time.Second

// cachedWorkflows is how many workflows a process keeps in memory between their tasks, of all of its workers together. Each
// takes some 75 KiB, so that the SDK's 10,000 are more than what a worker's container may have. Those that wait for days are
// read again when it is their turn; their histories are short.
const cachedWorkflows = 2000

// pollersAtMost is how many requests for tasks one worker has open at a time on a queue that is busy, fewestPollers on one that is not.
// Two, the SDK's default, leave tasks waiting at the server, which then writes them to its database.
const (
	pollersAtMost = 20
	fewestPollers = 2
)

// pollers lets the SDK choose how many requests for tasks are open; slots is how many tasks there may be.
func pollers(slots int) worker.PollerBehavior {
	most := max(min(slots, pollersAtMost), 1)
	return worker.NewPollerBehaviorAutoscaling(worker.PollerBehaviorAutoscalingOptions{
		InitialNumberOfPollers: min(fewestPollers, most), MinimumNumberOfPollers: min(fewestPollers, most), MaximumNumberOfPollers: most,
	})
}

// serveWorkflows runs the stories and the steps that only speak to Temporal. Workflows ask the hubs of here by themselves.
func serveWorkflows(life fx.Lifecycle, c client.Client, s *starter.Starter, link *pool, here activities.HubsHere) {
	worker.SetStickyWorkflowCacheSize(cachedWorkflows)
	w := worker.New(c, workflows.TaskQueue, worker.Options{
		WorkerStopTimeout: stopLight, StickyScheduleToStartTimeout: stickyWait,
		WorkflowTaskPollerBehavior: pollers(pollersAtMost), ActivityTaskPollerBehavior: pollers(pollersAtMost),
	})
	w.RegisterWorkflowWithOptions(scan.ScanImage, workflow.RegisterOptions{Name: workflows.TypeScanImage})
	w.RegisterWorkflowWithOptions(image.Image, workflow.RegisterOptions{Name: workflows.TypeImage})
	w.RegisterWorkflowWithOptions(hubpool.HubPool, workflow.RegisterOptions{Name: workflows.TypeHubPool})
	w.RegisterWorkflowWithOptions(inventory.Inventory, workflow.RegisterOptions{Name: workflows.TypeInventory})
	w.RegisterWorkflowWithOptions(cluster.Cluster, workflow.RegisterOptions{Name: workflows.TypeCluster})
	w.RegisterWorkflowWithOptions(refresh.RefreshHub, workflow.RegisterOptions{Name: workflows.TypeRefreshHub})
	w.RegisterActivity(activities.NewScanSteps(link, s.Scans, here))
	w.RegisterActivity(activities.NewPoolSteps(s.Scans, s.Queues, s.Scans))
	w.RegisterActivity(activities.NewReportSteps(s.Images))
	w.RegisterActivity(activities.NewInventorySteps(s.Inventories))
	w.RegisterActivity(activities.NewRefreshSteps(s.Refreshes))
	w.RegisterActivity(activities.NewPrioritizeSteps(s.Scans))
	appendWorker(life, w)
}
