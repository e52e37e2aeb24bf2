package cluster

import (
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// openInbox says what is done with each signal.
func (c *clusterRun) openInbox() {
	workflows.Receive(&c.inbox, workflows.SignalNamespace, c.receiveCounts)
	workflows.Receive(&c.inbox, workflows.SignalSnapshotEnd, c.receiveSnapshotEnd)
	workflows.Receive(&c.inbox, workflows.SignalHealth, func(ctx workflow.Context, h model.PerceiverHealth) {
		c.state.Health, c.state.HealthAt = h, workflow.Now(ctx)
	})
	workflows.Receive(&c.inbox, workflows.SignalForgetCluster, func(workflow.Context, workflows.ForgetCluster) {
		c.state.Forget, c.state.Identity, c.state.Conflict = true, "", nil
	})
}

// snapshotOf is the version of the last complete snapshot that a namespace would be named in.
func (c *clusterRun) snapshotOf(namespace string) model.Version {
	if namespace == workflows.BareImages {
		return c.state.Images
	}
	return c.state.Pods
}

// receiveCounts takes the counts of a namespace. While everything is being forgotten, what is left of it is not news.
func (c *clusterRun) receiveCounts(ctx workflow.Context, s workflows.NamespaceSeen) {
	known := c.state.Namespaces[s.Namespace]
	if c.state.Forget || known != nil && s.Version.Before(known.Seen.Version) {
		return
	}
	c.state.Seen = workflow.Now(ctx)
	if s.Ended {
		delete(c.state.Namespaces, s.Namespace)
		return
	}
	if known == nil {
		known = &workflows.ClusterNamespace{}
		c.state.Namespaces[s.Namespace] = known
	}
	known.Seen = s
	// A namespace that the last snapshot did not name, and that has not heard of it: this Cluster did not know it then.
	if !known.Named && s.Pods > 0 && s.Snapshot.Before(c.snapshotOf(s.Namespace)) {
		known.Empty = true
	}
}

// receiveSnapshotEnd takes what a complete snapshot named. An older one than the last changes nothing.
func (c *clusterRun) receiveSnapshotEnd(ctx workflow.Context, e workflows.SnapshotEnd) {
	if c.state.Forget {
		// A perceiver still watches this cluster: it is known from now on, with nothing of before.
		c.state.Forget, c.state.Namespaces = false, map[string]*workflows.ClusterNamespace{}
	}
	c.state.Seen = workflow.Now(ctx)
	pods := e.Scope != model.ScopeImages && c.state.Pods.Before(e.Version)
	images := e.Scope != model.ScopePods && c.state.Images.Before(e.Version)
	if pods {
		c.state.Pods = e.Version
	}
	if images {
		c.state.Images = e.Version
	}
	if !pods && !images {
		return
	}
	c.state.SnapshotAt = c.state.Seen
	if !e.Version.Before(c.state.Settings.Version) {
		c.state.Settings = inventory.Settings{Version: e.Version, WriteBack: e.WriteBack, Domain: e.Domain}
	}
	for _, name := range workflow.DeterministicKeys(e.Namespaces) {
		if c.state.Namespaces[name] == nil {
			seen := workflows.NamespaceSeen{Cluster: c.cluster, Namespace: name, Pods: e.Namespaces[name], Unscanned: e.Namespaces[name]}
			c.state.Namespaces[name] = &workflows.ClusterNamespace{Seen: seen}
		}
	}
	for _, name := range workflow.DeterministicKeys(c.state.Namespaces) {
		if name == workflows.BareImages && !images || name != workflows.BareImages && !pods {
			continue
		}
		known := c.state.Namespaces[name]
		_, known.Named = e.Namespaces[name]
		known.Empty = !known.Named && known.Seen.Pods+known.Seen.Refused > 0
	}
}
