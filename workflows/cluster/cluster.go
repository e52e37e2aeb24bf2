package cluster

import (
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/workflows"
)

// inventorySteps is a nil pointer by which the workflow names its steps.
var inventorySteps *activities.InventorySteps

// clusterRun is one run of Cluster.
type clusterRun struct {
	cluster string
	state   *workflows.ClusterState
	logger  log.Logger
	began   time.Time
	inbox   workflows.Inbox
	alarm   workflows.Alarm
	// names are the bytes of the names of all namespaces that this run has known.
	names int
	// emptying is the step under way.
	emptying workflow.Future
}

// Cluster knows the namespaces of one cluster. At the end of a snapshot it empties those that the snapshot did not name. It
// lives until an operator forgets the cluster.
func Cluster(ctx workflow.Context, in workflows.ClusterInput) error {
	state, wrong := workflows.Continued(ctx, in.State.Value)
	c := &clusterRun{cluster: workflows.ClusterOf(workflow.GetInfo(ctx).WorkflowExecution.ID), state: state, began: workflow.Now(ctx), logger: workflow.GetLogger(ctx)}
	if c.state == nil {
		c.state = &workflows.ClusterState{}
	}
	if c.state.Namespaces == nil {
		c.state.Namespaces = map[string]*workflows.ClusterNamespace{}
	}
	for _, name := range workflow.DeterministicKeys(c.state.Namespaces) {
		c.names += len(name)
	}
	c.inbox.Rejected = &c.state.Rejected
	if in.Cluster != c.cluster {
		wrong = errOtherCluster
	}
	if wrong != nil {
		c.inbox.Reject(ctx, workflows.RejectedInput, wrong)
	}
	c.openInbox()
	if err := c.answerQueries(ctx); err != nil {
		return err
	}
	if err := c.answerUpdates(ctx); err != nil {
		return err
	}
	return c.run(ctx)
}

// run takes what has arrived, does what is due, and waits for the next event.
func (c *clusterRun) run(ctx workflow.Context) error {
	for {
		c.inbox.ReceivePending(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case c.emptying == nil && c.state.Forget && len(c.state.Namespaces) == 0:
			if !c.inbox.ReceivePending(ctx) {
				return nil
			}
		case c.emptying == nil && workflows.ShouldContinueAsNew(ctx, c.began):
			if !c.inbox.ReceivePending(ctx) {
				return workflow.NewContinueAsNewError(ctx, workflows.TypeCluster, workflows.ClusterInput{Cluster: c.cluster, State: inventory.Packed[workflows.ClusterState]{Value: c.state}})
			}
		default:
			c.emptyNamespaces(ctx)
			c.updateDetails(ctx)
			if err := c.wait(ctx); err != nil {
				return err
			}
		}
	}
}

// wait sleeps until a signal or the end of a step.
func (c *clusterRun) wait(ctx workflow.Context) error {
	c.alarm.Set(ctx, c.began.Add(workflows.QuietRun), "next run")
	selector := workflow.NewSelector(ctx)
	c.inbox.Listen(ctx, selector)
	c.alarm.Listen(selector, nil)
	if c.emptying != nil {
		selector.AddFuture(c.emptying, func(f workflow.Future) { c.takeEmptied(ctx, f) })
	}
	selector.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {})
	selector.Select(ctx)
	return ctx.Err()
}

// emptyAtOnce is how many namespaces one step empties.
const emptyAtOnce = 200

// emptyNamespaces notifies namespaces that nothing older than the last snapshot is left in them; all of them, while the cluster is being
// forgotten.
func (c *clusterRun) emptyNamespaces(ctx workflow.Context) {
	if c.emptying != nil {
		return
	}
	in := activities.EmptyNamespacesInput{Cluster: c.cluster, Forget: c.state.Forget}
	for _, name := range workflow.DeterministicKeys(c.state.Namespaces) {
		known := c.state.Namespaces[name]
		if (known.Empty || c.state.Forget) && len(in.Namespaces) < emptyAtOnce {
			in.Namespaces = append(in.Namespaces, activities.EmptyNamespace{Name: name, Version: c.snapshotOf(name)})
			known.Empty = false
		}
	}
	if len(in.Namespaces) > 0 {
		c.emptying = workflow.ExecuteActivity(workflows.LightStep(ctx, "empty the namespaces that are gone"), inventorySteps.EmptyNamespaces, in)
	}
}

// takeEmptied takes which namespaces have no inventory any more.
func (c *clusterRun) takeEmptied(ctx workflow.Context, f workflow.Future) {
	c.emptying = nil
	var result activities.EmptyNamespacesResult
	if err := f.Get(ctx, &result); err != nil {
		c.logger.Warn("namespaces were not emptied", "error", err)
		return
	}
	for _, name := range result.Closed {
		delete(c.state.Namespaces, name)
	}
}
