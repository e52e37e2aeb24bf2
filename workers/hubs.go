package workers

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.uber.org/fx"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/internal/hub/blackduck"
	"github.com/perceptor/perceptor/workflows"
)

// callsAtMost times the rate of a hub's queue is how many calls a process makes in a second: a step makes up to five, most steps one.
// It also bounds what workflows ask by themselves, and backs up servers whose queues have several partitions.
const callsAtMost = 3

// drivers are those of the configured hubs. A reload adds and changes some while steps run. None is taken away before the
// process ends: the scans that a hub still has when it leaves the configuration are to be finished.
type drivers struct {
	lock    sync.RWMutex
	configs map[string]config.Hub
	hubs    activities.HubMap
}

func newDrivers(c config.Config) (*drivers, error) {
	d := &drivers{configs: map[string]config.Hub{}, hubs: activities.HubMap{}}
	return d, d.configure(c.Hubs)
}

// Hub is the driver of a hub.
func (d *drivers) Hub(name string) (activities.Hub, bool) {
	d.lock.RLock()
	defer d.lock.RUnlock()
	return d.hubs.Hub(name)
}

// configure makes drivers of the hubs that are new or changed; where one cannot be made nothing changes.
func (d *drivers) configure(hubs []config.Hub) error {
	d.lock.Lock()
	defer d.lock.Unlock()
	made := activities.HubMap{}
	for _, h := range hubs {
		if d.configs[h.Name] == h {
			continue
		}
		driver, err := blackduck.New(blackduck.Options{
			Name: h.Name, URL: h.URL, TokenFile: h.TokenFile, Username: h.Username, PasswordFile: h.PasswordFile,
			CAFile: h.CAFile, Insecure: h.Insecure, Generation: blackduck.Generation(h.Generation), RequestsPerSecond: callsAtMost * h.Rate,
		})
		if err != nil {
			return fmt.Errorf("hub %s: %w", h.Name, err)
		}
		made[h.Name] = driver
	}
	for _, h := range hubs {
		if driver, ok := made[h.Name]; ok {
			d.configs[h.Name], d.hubs[h.Name] = h, driver
		}
	}
	return nil
}

// askingHere is how many workflows of this process ask one hub at a time by themselves. All others ask on the hub's queue, where what
// finishes a scan comes first: a thousand new images must not take the hub's rate from it.
const askingHere = 4

// hubsHere lets the workflows of a process that serves the hubs' queues ask the hubs.
type hubsHere struct {
	hubs   activities.Hubs
	lock   sync.Mutex
	asking map[string]int
}

func newHubsHere(hubs activities.Hubs) *hubsHere {
	return &hubsHere{hubs: hubs, asking: map[string]int{}}
}

// HubHere gives a hub to ask, unless enough workflows ask it now.
func (h *hubsHere) HubHere(name string) (activities.Hub, func(), bool) {
	hub, known := h.hubs.Hub(name)
	h.lock.Lock()
	defer h.lock.Unlock()
	if !known || h.asking[name] >= askingHere {
		return nil, nil, false
	}
	h.asking[name]++
	return hub, func() {
		h.lock.Lock()
		defer h.lock.Unlock()
		h.asking[name]--
	}, true
}

// hubQueues serves the queues of hubs: the calls, and the probes on queues of their own.
type hubQueues struct {
	client  client.Client
	steps   *activities.HubSteps
	lock    sync.Mutex
	workers map[string][]worker.Worker
}

func serveHubs(life fx.Lifecycle, c client.Client, conf config.Config, hubs activities.Hubs, link *pool) *hubQueues {
	q := &hubQueues{client: c, steps: activities.NewHubSteps(hubs, link), workers: map[string][]worker.Worker{}}
	life.Append(fx.StartStopHook(func() error { return q.serve(conf.Hubs) }, q.stop))
	return q
}

// serve adds the queues that are not served yet.
func (q *hubQueues) serve(hubs []config.Hub) error {
	q.lock.Lock()
	defer q.lock.Unlock()
	for _, h := range hubs {
		if q.workers[h.Name] != nil {
			continue
		}
		calls := worker.New(q.client, workflows.HubQueue(h.Name), worker.Options{
			DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: hubSlots, WorkerStopTimeout: stopLight, ActivityTaskPollerBehavior: pollers(hubSlots),
		})
		calls.RegisterActivity(q.steps)
		probes := worker.New(q.client, workflows.HubControlQueue(h.Name), worker.Options{
			DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: 1, WorkerStopTimeout: stopLight,
		})
		probes.RegisterActivity(q.steps.ProbeHub)
		if err := errors.Join(calls.Start(), probes.Start()); err != nil {
			return fmt.Errorf("queue of hub %s: %w", h.Name, err)
		}
		q.workers[h.Name] = []worker.Worker{calls, probes}
	}
	return nil
}

func (q *hubQueues) stop(context.Context) {
	q.lock.Lock()
	defer q.lock.Unlock()
	var all sync.WaitGroup
	for _, each := range q.workers {
		for _, w := range each {
			all.Go(w.Stop)
		}
	}
	all.Wait()
}
