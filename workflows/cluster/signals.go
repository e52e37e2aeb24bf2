package cluster

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// namespacesAtMost bounds what a cluster keeps; a snapshot names at most as many.
const (
	namespacesAtMost = 20_000
	// namesAtMost bounds the bytes of their names, so that what a cluster knows fits into one payload when it is packed.
	namesAtMost = 800_000
)

var (
	errOtherCluster = errors.New("it is about another cluster")
	errFull         = fmt.Errorf("the cluster has more than %d namespaces", namespacesAtMost)
)

// openInbox says what is done with each signal.
func (c *clusterRun) openInbox() {
	workflows.Receive(&c.inbox, workflows.SignalResetVersion, func(workflow.Context, workflows.ResetVersion) error {
		c.forgetVersions(0)
		return nil
	})
	workflows.Receive(&c.inbox, workflows.SignalNamespace, c.receiveCounts)
	workflows.Receive(&c.inbox, workflows.SignalSnapshotEnd, c.receiveSnapshotEnd)
	workflows.Receive(&c.inbox, workflows.SignalHealth, func(ctx workflow.Context, h model.PerceiverHealth) error {
		c.state.Health, c.state.HealthAt = h, workflow.Now(ctx)
		return nil
	})
	workflows.Receive(&c.inbox, workflows.SignalForgetCluster, func(workflow.Context, workflows.ForgetCluster) error {
		c.state.Forget, c.state.Identity, c.state.Conflict = true, "", nil
		return nil
	})
}

// hasRoom reports whether the cluster can keep one more namespace.
func (c *clusterRun) hasRoom() bool {
	return len(c.state.Namespaces) < namespacesAtMost && c.names < namesAtMost
}

// snapshotOf is the version of the last complete snapshot that a namespace would be named in.
func (c *clusterRun) snapshotOf(namespace string) model.Version {
	if namespace == workflows.BareImages {
		return c.state.Images
	}
	return c.state.Pods
}

// receiveCounts takes the counts of a namespace. While everything is being forgotten, what is left of it is not news.
func (c *clusterRun) receiveCounts(ctx workflow.Context, s workflows.NamespaceSeen) error {
	if s.Cluster != c.cluster {
		return errOtherCluster
	}
	known := c.state.Namespaces[s.Namespace]
	if c.state.Forget || known != nil && s.Version.Before(known.Seen.Version) {
		return nil
	}
	if known == nil && !s.Ended && !c.hasRoom() {
		return errFull
	}
	c.state.Seen = workflow.Now(ctx)
	if s.Ended {
		delete(c.state.Namespaces, s.Namespace)
		return nil
	}
	if known == nil {
		known = &workflows.ClusterNamespace{}
		c.state.Namespaces[s.Namespace] = known
		c.names += len(s.Namespace)
	}
	known.Seen = s
	// A namespace that the last snapshot did not name, and that has not heard of it: this Cluster did not know it then.
	if !known.Named && s.Pods > 0 && s.Snapshot.Before(c.snapshotOf(s.Namespace)) {
		known.Empty = true
	}
	return nil
}

// receiveSnapshotEnd takes what a complete snapshot named. An older one than the last changes nothing.
func (c *clusterRun) receiveSnapshotEnd(ctx workflow.Context, e workflows.SnapshotEnd) error {
	if e.Cluster != c.cluster {
		return errOtherCluster
	}
	if c.state.Forget {
		// A perceiver still watches this cluster: it is known from now on, with nothing of before.
		c.state.Forget, c.state.Namespaces = false, map[string]*workflows.ClusterNamespace{}
	}
	c.heal(ctx)
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
		return nil
	}
	c.state.SnapshotAt = c.state.Seen
	if !e.Version.Before(c.state.Settings.Version) {
		c.state.Settings = inventory.Settings{Version: e.Version, WriteBack: e.WriteBack, Domain: e.Domain}
	}
	for _, name := range workflow.DeterministicKeys(e.Namespaces) {
		if c.state.Namespaces[name] == nil && c.hasRoom() {
			seen := workflows.NamespaceSeen{Cluster: c.cluster, Namespace: name, Pods: e.Namespaces[name], Unscanned: e.Namespaces[name]}
			c.state.Namespaces[name] = &workflows.ClusterNamespace{Seen: seen}
			c.names += len(name)
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
	return nil
}
