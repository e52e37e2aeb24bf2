//go:build bench

package bench_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/sync/errgroup"
)

// bare runs the workflow that scans are compared with.
type bare struct {
	client  client.Client
	started int
}

// startBare serves the bare workflow by workers set as the real ones are. Like a scan's, its steps are not on the
// workflow's own queue: four are on one, four on another.
func startBare(b *testing.B, c client.Client) *bare {
	b.Helper()
	workflowWorker := worker.New(c, bareQueue, worker.Options{WorkerStopTimeout: time.Second})
	workflowWorker.RegisterWorkflow(bareWorkflow)
	all := []worker.Worker{workflowWorker}
	for _, queue := range bareStepQueues {
		steps := worker.New(c, queue, worker.Options{DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: slots})
		steps.RegisterActivity(bareStep)
		all = append(all, steps)
	}
	for _, w := range all {
		require.NoError(b, w.Start())
		b.Cleanup(w.Stop)
	}
	return &bare{client: c}
}

func (r *bare) round(b *testing.B, number int) {
	b.Helper()
	var group errgroup.Group
	group.SetLimit(inFlight)
	for range number {
		r.started++
		options := client.StartWorkflowOptions{ID: fmt.Sprintf("bare/%d", r.started), TaskQueue: bareQueue}
		group.Go(func() error {
			run, err := r.client.ExecuteWorkflow(b.Context(), options, bareWorkflow)
			if err != nil {
				return err
			}
			return run.Get(b.Context(), nil)
		})
	}
	require.NoError(b, group.Wait())
}

// The queues of the bare workflow.
const bareQueue = "bare"

var bareStepQueues = []string{"bare-a", "bare-b"}

// bareWorkflow runs eight steps one after the other and nothing else.
func bareWorkflow(ctx workflow.Context) error {
	for i := range 8 {
		step := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			TaskQueue: bareStepQueues[i%len(bareStepQueues)], StartToCloseTimeout: time.Minute,
		})
		if err := workflow.ExecuteActivity(step, bareStep).Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

func bareStep(context.Context) error { return nil }

// cost is time, and processor time of the server and of this process.
type cost struct{ time, cpu time.Duration }

func (c *cost) add(b *testing.B, d *dev, work func()) {
	b.Helper()
	cpu, began := processorTime(b, d.Process.Pid, os.Getpid()), time.Now()
	work()
	c.time += time.Since(began)
	c.cpu += processorTime(b, d.Process.Pid, os.Getpid()) - cpu
}

// tick is the unit of processor times in /proc on every Linux that Go runs on; see proc(5), utime.
const tick = 10 * time.Millisecond

// processorTime is what processes have used so far.
func processorTime(b *testing.B, processes ...int) time.Duration {
	b.Helper()
	var ticks int64
	for _, pid := range processes {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		require.NoError(b, err)
		// The name, in brackets, may hold spaces; utime and stime are the 12th and 13th field after it.
		_, after, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(after)
		require.Greater(b, len(fields), 12)
		for _, field := range fields[11:13] {
			n, err := strconv.ParseInt(field, 10, 64)
			require.NoError(b, err)
			ticks += n
		}
	}
	return time.Duration(ticks) * tick
}
