package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/perceptor/perceptor/internal/api/access"
)

type clustersOutput struct {
	Body struct {
		Clusters []Cluster `json:"clusters" nullable:"false"`
	}
}

type clusterInput struct {
	Cluster string `path:"cluster" maxLength:"63"`
}

type clusterOutput struct{ Body Cluster }

func (v *v1) addClusters() {
	reader, operator, tags, missing := []access.Scope{access.Reader}, []access.Scope{access.Operator}, []string{"clusters"}, []int{http.StatusNotFound}
	register(v, huma.Operation{
		OperationID: "list-clusters", Method: http.MethodGet, Path: "/api/v1/clusters", Tags: tags, Summary: "The clusters that are watched",
	}, reader, v.listClusters)
	register(v, huma.Operation{
		OperationID: "get-cluster", Method: http.MethodGet, Path: "/api/v1/clusters/{cluster}", Tags: tags, Errors: missing, Summary: "One cluster, its namespaces and their counts",
	}, reader, v.getCluster)
	register(v, huma.Operation{
		OperationID: "forget-cluster", Method: http.MethodDelete, Path: "/api/v1/clusters/{cluster}", Tags: tags, Errors: missing, DefaultStatus: http.StatusAccepted,
		Summary: "Forget a cluster that is no more", Description: "Everything in it is gone from the join. A perceiver that still reports brings it back.",
	}, operator, v.forgetCluster)
}

func (v *v1) listClusters(ctx context.Context, _ *struct{}) (*clustersOutput, error) {
	all, err := v.options.Backend.Clusters(ctx)
	if err != nil {
		return nil, err
	}
	grant := grantOf(ctx)
	var out clustersOutput
	out.Body.Clusters = slices.DeleteFunc(append([]Cluster{}, all...), func(c Cluster) bool { return !grant.Sees(c.Name) })
	return &out, nil
}

func (v *v1) getCluster(ctx context.Context, in *clusterInput) (*clusterOutput, error) {
	name, err := clusterFor(ctx, in.Cluster)
	if err != nil {
		return nil, err
	}
	known, err := v.options.Backend.Cluster(ctx, name)
	if err != nil {
		return nil, err
	}
	return &clusterOutput{known}, nil
}

func (v *v1) forgetCluster(ctx context.Context, in *clusterInput) (*struct{}, error) {
	name, err := clusterFor(ctx, in.Cluster)
	if err != nil {
		return nil, err
	}
	return nil, v.options.Backend.ForgetCluster(ctx, name)
}
