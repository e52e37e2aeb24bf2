package cluster

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/workflows"
)

// answerUpdates registers perceivers and lets an operator give the name to another cluster. No handler blocks.
func (c *clusterRun) answerUpdates(ctx workflow.Context) error {
	for _, u := range []struct {
		name, description string
		handler, check    any
	}{
		{workflows.UpdateBegin, "A perceiver begins to report: which cluster it watches. The answer is the epoch of its reports.", c.begin, checkBegin},
		{workflows.UpdateAdopt, "Give the name to another cluster, such as one that was built again.", c.adopt, workflows.AdoptCluster.Check},
	} {
		err := workflow.SetUpdateHandlerWithOptions(ctx, u.name, u.handler, workflow.UpdateHandlerOptions{Validator: u.check, Description: u.description})
		if err != nil {
			return fmt.Errorf("offer the update %s: %w", u.name, err)
		}
	}
	return nil
}

func checkBegin(ctx workflow.Context, b workflows.BeginCluster) error {
	return b.Check(workflow.Now(ctx))
}

// begin registers a perceiver, unless it watches another cluster. One that cannot say which cluster it watches is taken only while
// the cluster has no identity: it could be another one.
func (c *clusterRun) begin(ctx workflow.Context, b workflows.BeginCluster) (workflows.BegunCluster, error) {
	c.inbox.ReceivePending(ctx) // a snapshot that arrived before counts
	now := workflow.Now(ctx)
	c.heal(ctx)
	if c.state.Identity != "" && b.Identity != c.state.Identity {
		c.noteConflict(now, b.Identity)
		c.logger.Warn("a perceiver of another cluster was refused", "cluster", c.cluster, "identity", b.Identity, "known", c.state.Identity)
		return workflows.BegunCluster{}, temporal.NewNonRetryableApplicationError("the name belongs to another cluster", workflows.ErrorOtherCluster, nil, c.state.Identity)
	}
	c.state.Identity = b.Identity
	c.state.Epoch = max(c.state.Epoch, c.state.Pods.Epoch, c.state.Images.Epoch, c.state.Settings.Version.Epoch)
	for _, name := range workflow.DeterministicKeys(c.state.Namespaces) {
		c.state.Epoch = max(c.state.Epoch, c.state.Namespaces[name].Seen.Snapshot.Epoch)
	}
	if b.Epoch == 0 || b.Epoch < c.state.Epoch {
		// A clock that was ahead once does not make the reports of the next perceiver old.
		c.state.Epoch = max(now.UnixNano(), c.state.Epoch+1)
	}
	return workflows.BegunCluster{Epoch: c.state.Epoch}, nil
}

func (c *clusterRun) noteConflict(now time.Time, identity string) {
	known := c.state.Conflict
	if known == nil || known.Identity != identity {
		known = &workflows.ClusterConflict{Identity: identity, Since: now}
		c.state.Conflict = known
	}
	known.Last = now
	known.Count++
}

// adopt gives the name to the cluster that was refused, or to a named one. The perceiver of the earlier one is refused when it
// registers again, and its older reports change nothing.
func (c *clusterRun) adopt(_ workflow.Context, a workflows.AdoptCluster) (workflows.ClusterView, error) {
	identity := a.Identity
	if identity == "" && c.state.Conflict != nil {
		identity = c.state.Conflict.Identity
	}
	if identity == "" {
		return workflows.ClusterView{}, temporal.NewNonRetryableApplicationError("no other cluster with an identity was refused under this name; nothing to adopt", "invalid", nil)
	}
	c.state.Identity, c.state.Conflict = identity, nil
	view := c.view(workflows.ClusterQuery{})
	view.Namespaces = nil
	return view, nil
}
