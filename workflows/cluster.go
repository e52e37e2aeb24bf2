package workflows

import (
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
)

// ClusterInput starts a Cluster, or carries it into its next run.
type ClusterInput struct {
	Cluster string                         `json:"cluster"`
	State   inventory.Packed[ClusterState] `json:"state,omitzero"`
}

// ClusterState is all a Cluster knows; it goes with it into its next run.
type ClusterState struct {
	Namespaces map[string]*ClusterNamespace `json:"namespaces,omitempty"`
	// Pods and Images are the versions of the last complete snapshots of either kind; SnapshotAt is when the newer one came.
	Pods       model.Version `json:"pods,omitzero"`
	Images     model.Version `json:"images,omitzero"`
	SnapshotAt time.Time     `json:"snapshotAt,omitzero"`
	// Seen is when anything was last heard.
	Seen time.Time `json:"seen,omitzero"`
	// Settings are those of the newest snapshot.
	Settings inventory.Settings `json:"settings,omitzero"`
	// Forget is set while everything is being forgotten.
	Forget bool `json:"forget,omitempty"`
}

// ClusterNamespace is what a Cluster knows of a namespace.
type ClusterNamespace struct {
	Seen NamespaceSeen `json:"seen"`
	// Named says that the last snapshot named it.
	Named bool `json:"named,omitempty"`
	// Empty says that it is to be emptied: the last snapshot did not name it.
	Empty bool `json:"empty,omitempty"`
}

// clusterRun is one run of Cluster.
type clusterRun struct {
	cluster string
	state   *ClusterState
	logger  log.Logger
	began   time.Time
	alarm   alarm
	// emptying is the step under way.
	emptying workflow.Future
}

// Cluster knows the namespaces of one cluster. At the end of a snapshot it empties those that the snapshot did not name. It
// lives until an operator forgets the cluster.
func Cluster(ctx workflow.Context, in ClusterInput) error {
	c := &clusterRun{cluster: in.Cluster, state: in.State.Value, began: workflow.Now(ctx), logger: workflow.GetLogger(ctx)}
	if c.state == nil {
		c.state = &ClusterState{}
	}
	if c.state.Namespaces == nil {
		c.state.Namespaces = map[string]*ClusterNamespace{}
	}
	if err := c.answerQueries(ctx); err != nil {
		return err
	}
	return c.run(ctx)
}

// run takes what has arrived, does what is due, and waits for the next event.
func (c *clusterRun) run(ctx workflow.Context) error {
	for {
		c.receivePending(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case c.emptying == nil && c.state.Forget && len(c.state.Namespaces) == 0:
			if !c.receivePending(ctx) {
				return nil
			}
		case c.emptying == nil && c.shouldContinueAsNew(ctx):
			if !c.receivePending(ctx) {
				return workflow.NewContinueAsNewError(ctx, Cluster, ClusterInput{Cluster: c.cluster, State: inventory.Packed[ClusterState]{Value: c.state}})
			}
		default:
			c.empty(ctx)
			c.updateDetails(ctx)
			if err := c.wait(ctx); err != nil {
				return err
			}
		}
	}
}

// worn reports whether it is time for a new run.
func (c *clusterRun) shouldContinueAsNew(ctx workflow.Context) bool {
	return workflow.GetInfo(ctx).GetContinueAsNewSuggested() || workflow.Now(ctx).Sub(c.began) >= quietRun
}

// wait sleeps until a signal or the end of a step.
func (c *clusterRun) wait(ctx workflow.Context) error {
	c.alarm.set(ctx, c.began.Add(quietRun), "next run")
	selector := workflow.NewSelector(ctx)
	c.listen(ctx, selector)
	c.alarm.listen(selector)
	if c.emptying != nil {
		selector.AddFuture(c.emptying, func(f workflow.Future) { c.emptied(ctx, f) })
	}
	selector.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {})
	selector.Select(ctx)
	return ctx.Err()
}

// emptyAtOnce is how many namespaces one step empties.
const emptyAtOnce = 200

// empty tells namespaces that nothing older than the last snapshot is left in them; all of them, while the cluster is being
// forgotten.
func (c *clusterRun) empty(ctx workflow.Context) {
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
		c.emptying = workflow.ExecuteActivity(lightStep(ctx, "namespaces that are gone"), inventorySteps.EmptyNamespaces, in)
	}
}

// emptied takes which namespaces have no inventory any more.
func (c *clusterRun) emptied(ctx workflow.Context, f workflow.Future) {
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
