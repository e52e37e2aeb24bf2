package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
)

// listen wakes the selector at every signal; drain then takes all of them.
func (c *clusterRun) listen(ctx workflow.Context, selector workflow.Selector) {
	selector.AddReceive(SignalNamespace.Channel(ctx), func(ch workflow.ReceiveChannel, _ bool) {
		receive(ctx, ch, func(s NamespaceSeen) { c.namespace(ctx, s) })
	})
	selector.AddReceive(SignalSnapshotEnd.Channel(ctx), func(ch workflow.ReceiveChannel, _ bool) {
		receive(ctx, ch, func(e SnapshotEnd) { c.snapshotEnd(ctx, e) })
	})
	selector.AddReceive(SignalForgetCluster.Channel(ctx), func(ch workflow.ReceiveChannel, _ bool) {
		receive(ctx, ch, func(ForgetCluster) { c.state.Forget = true })
	})
}

// drain takes every signal that has arrived and reports whether there was one.
func (c *clusterRun) receivePending(ctx workflow.Context) bool {
	some := false
	SignalNamespace.ReceivePending(ctx, func(s NamespaceSeen) { some = true; c.namespace(ctx, s) })
	SignalSnapshotEnd.ReceivePending(ctx, func(e SnapshotEnd) { some = true; c.snapshotEnd(ctx, e) })
	SignalForgetCluster.ReceivePending(ctx, func(ForgetCluster) { some = true; c.state.Forget = true })
	return some
}

// snapshotOf is the version of the last complete snapshot that a namespace would be named in.
func (c *clusterRun) snapshotOf(namespace string) model.Version {
	if namespace == BareImages {
		return c.state.Images
	}
	return c.state.Pods
}

// namespace takes the counts of a namespace. While everything is being forgotten, what is left of it is not news.
func (c *clusterRun) namespace(ctx workflow.Context, s NamespaceSeen) {
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
		known = &ClusterNamespace{}
		c.state.Namespaces[s.Namespace] = known
	}
	known.Seen = s
	// A namespace that the last snapshot did not name, and that has not heard of it: this Cluster did not know it then.
	if !known.Named && s.Pods > 0 && s.Snapshot.Before(c.snapshotOf(s.Namespace)) {
		known.Empty = true
	}
}

// snapshotEnd takes what a complete snapshot named. An older one than the last changes nothing.
func (c *clusterRun) snapshotEnd(ctx workflow.Context, e SnapshotEnd) {
	if c.state.Forget {
		// Somebody still watches this cluster: it is known from now on, with nothing of before.
		c.state.Forget, c.state.Namespaces = false, map[string]*ClusterNamespace{}
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
			seen := NamespaceSeen{Cluster: c.cluster, Namespace: name, Pods: e.Namespaces[name], Unscanned: e.Namespaces[name]}
			c.state.Namespaces[name] = &ClusterNamespace{Seen: seen}
		}
	}
	for _, name := range workflow.DeterministicKeys(c.state.Namespaces) {
		if name == BareImages && !images || name != BareImages && !pods {
			continue
		}
		known := c.state.Namespaces[name]
		_, known.Named = e.Namespaces[name]
		known.Empty = !known.Named && known.Seen.Pods+known.Seen.Refused > 0
	}
}

// clusterPage is how many namespaces one answer has.
const clusterPage = 2000

func (c *clusterRun) answerQueries(ctx workflow.Context) error {
	err := workflow.SetQueryHandlerWithOptions(ctx, QueryStatus, func(q ClusterQuery) (ClusterView, error) { return c.view(q), nil },
		workflow.QueryHandlerOptions{Description: "The namespaces of the cluster with their counts, and its last snapshot."})
	if err != nil {
		return fmt.Errorf("query %s: %w", QueryStatus, err)
	}
	return nil
}

func (c *clusterRun) view(q ClusterQuery) ClusterView {
	s := c.state
	view := ClusterView{
		Cluster: c.cluster, Snapshot: s.Pods, SnapshotAt: s.SnapshotAt, Seen: s.Seen, WriteBack: s.Settings.WriteBack, Domain: s.Settings.Domain,
	}
	if s.Pods.Before(s.Images) {
		view.Snapshot = s.Images
	}
	for _, name := range workflow.DeterministicKeys(s.Namespaces) {
		switch {
		case name <= q.After:
		case len(view.Namespaces) == clusterPage:
			view.Next = view.Namespaces[clusterPage-1].Namespace
			return view
		default:
			view.Namespaces = append(view.Namespaces, s.Namespaces[name].Seen)
		}
	}
	return view
}

// show writes the counts to the workflow's page in Web UI.
func (c *clusterRun) updateDetails(ctx workflow.Context) {
	var pods, unscanned, violations, refused int
	for _, name := range workflow.DeterministicKeys(c.state.Namespaces) {
		seen := c.state.Namespaces[name].Seen
		pods, unscanned, violations, refused = pods+seen.Pods, unscanned+seen.Unscanned, violations+seen.Violations, refused+seen.Refused
	}
	details := fmt.Sprintf("%d namespaces with %d pods, %d of them unscanned, %d in violation", len(c.state.Namespaces), pods, unscanned, violations)
	if refused > 0 {
		details += fmt.Sprintf("\n\n**No room for %d more pods**: they are in no row.", refused)
	}
	workflow.SetCurrentDetails(ctx, details)
}
