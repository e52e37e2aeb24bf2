package apibackend

import (
	"cmp"
	"context"
	"errors"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// Pods reads a page of the join. A cluster that was not reported yet has no pods.
func (b *Backend) Pods(ctx context.Context, q api.PodQuery) (api.PodPage, error) {
	page, err := b.starter.Pods.Join(ctx, starter.JoinFilter{
		Cluster: q.Cluster, Namespace: q.Namespace, Status: q.Status, OverallStatus: q.OverallStatus, Image: q.Image, After: q.After, Limit: q.Limit,
		Workload: q.Workload, Labels: q.Labels,
	})
	if errors.Is(err, starter.ErrUnknownCluster) && !errors.Is(err, starter.ErrStateUnknown) {
		return api.PodPage{}, nil
	}
	if err != nil {
		return api.PodPage{}, explained(err)
	}
	return api.PodPage{Pods: page.Rows, Next: page.Next, Refused: page.Refused}, nil
}

// Clusters reads every cluster that is known.
func (b *Backend) Clusters(ctx context.Context) ([]api.Cluster, error) {
	names, err := b.starter.Clusters.List(ctx)
	if err != nil {
		return nil, explained(err)
	}
	var all []api.Cluster
	for _, name := range names {
		view, err := b.starter.Clusters.View(ctx, name)
		if errors.Is(err, starter.ErrUnknownCluster) {
			continue // forgotten since it was listed
		}
		if err != nil {
			return nil, explained(err)
		}
		all = append(all, clusterOf(view))
	}
	return all, nil
}

// Cluster reads one cluster.
func (b *Backend) Cluster(ctx context.Context, name string) (api.Cluster, error) {
	view, err := b.starter.Clusters.View(ctx, name)
	if err != nil {
		return api.Cluster{}, explained(err)
	}
	return clusterOf(view), nil
}

// ForgetCluster forgets a cluster and everything in it.
func (b *Backend) ForgetCluster(ctx context.Context, name string) error {
	return explained(b.starter.Clusters.Forget(ctx, name))
}

func clusterOf(view workflows.ClusterView) api.Cluster {
	c := api.Cluster{
		Name: view.Cluster, Namespaces: make([]api.Namespace, len(view.Namespaces)), Snapshot: view.SnapshotAt, Seen: view.Seen,
		WriteBack: view.WriteBack, Domain: view.Domain, Troubles: view.Health.Troubles, WritesRefused: view.Health.Refused,
	}
	if view.Conflict != nil {
		c.Conflict = cmp.Or(view.Conflict.Identity, "unknown")
	}
	for i, each := range view.Namespaces {
		c.Namespaces[i] = api.Namespace{
			Name: each.Namespace, Pods: each.Pods, Unscanned: each.Unscanned, Violations: each.Violations, Unknown: each.Unknown, Refused: each.Refused,
		}
	}
	return c
}
