package v1

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/access"
)

// clusters are the endpoints for clusters.
type clusters struct{ backend api.Joiner }

func addClusters(r *router) {
	c := clusters{r.server.Backend()}
	reader, operator, tags, missing := []access.Scope{access.Reader}, []access.Scope{access.Operator}, []string{"clusters"}, []int{http.StatusNotFound}
	register(r, huma.Operation{
		OperationID: "list-clusters", Method: http.MethodGet, Path: "/api/v1/clusters", Tags: tags, Summary: "List the clusters that perceivers report",
	}, reader, c.list)
	register(r, huma.Operation{
		OperationID: "get-cluster", Method: http.MethodGet, Path: "/api/v1/clusters/{cluster}", Tags: tags, Errors: missing,
		Summary: "Show one cluster with the counts of its namespaces",
	}, reader, c.get)
	register(r, huma.Operation{
		OperationID: "forget-cluster", Method: http.MethodDelete, Path: "/api/v1/clusters/{cluster}", Tags: tags, Errors: missing, DefaultStatus: http.StatusAccepted,
		Summary: "Forget a deleted cluster", Description: "All its pods leave the join. A perceiver that still reports the cluster brings it back.",
	}, operator, c.forget)
}

type clustersOutput struct {
	Body struct {
		Clusters []api.Cluster `json:"clusters" nullable:"false"`
	}
}

func (c clusters) list(ctx context.Context, _ *struct{}) (*clustersOutput, error) {
	all, err := c.backend.Clusters(ctx)
	if err != nil {
		return nil, err
	}
	grant := grantOf(ctx)
	var out clustersOutput
	out.Body.Clusters = slices.DeleteFunc(append([]api.Cluster{}, all...), func(c api.Cluster) bool { return !grant.Sees(c.Name) })
	return &out, nil
}

type clusterInput struct {
	Cluster string `path:"cluster" maxLength:"63"`
}

type clusterOutput struct{ Body api.Cluster }

func (c clusters) get(ctx context.Context, in *clusterInput) (*clusterOutput, error) {
	name, err := clusterFor(ctx, in.Cluster)
	if err != nil {
		return nil, err
	}
	known, err := c.backend.Cluster(ctx, name)
	if err != nil {
		return nil, err
	}
	return &clusterOutput{known}, nil
}

func (c clusters) forget(ctx context.Context, in *clusterInput) (*struct{}, error) {
	name, err := clusterFor(ctx, in.Cluster)
	if err != nil {
		return nil, err
	}
	return nil, c.backend.ForgetCluster(ctx, name)
}
