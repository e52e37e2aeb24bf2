package starter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/perceptor/perceptor/workflows"
)

// ErrUnknownCluster is the answer for a cluster of which nothing is known.
var ErrUnknownCluster = errors.New("no such cluster is known")

// openClusters is answered from visibility, which lags a little; it is for browsing.
const openClusters = `WorkflowType = "Cluster" AND ExecutionStatus = "Running"`

// Clusters lists the names of the clusters that are known, in their order.
func (s *Starter) Clusters(ctx context.Context) ([]string, error) {
	var names []string
	var token []byte
	for {
		page, err := s.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: openClusters, PageSize: 1000, NextPageToken: token})
		if err != nil {
			return nil, fmt.Errorf("list clusters: %w", err)
		}
		for _, each := range page.GetExecutions() {
			names = append(names, workflows.ClusterOf(each.GetExecution().GetWorkflowId()))
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			slices.Sort(names)
			return slices.Compact(names), nil
		}
	}
}

// Cluster asks a cluster's workflow for its namespaces and its last snapshot; ErrUnknownCluster when there is none.
func (s *Starter) Cluster(ctx context.Context, name string) (workflows.ClusterView, error) {
	var whole workflows.ClusterView
	for after := ""; ; {
		var page workflows.ClusterView
		err := s.queryOpen(ctx, workflows.ClusterID(name), workflows.QueryStatus, &page, workflows.ClusterQuery{After: after})
		if isNotFound(err) {
			return whole, fmt.Errorf("cluster %s: %w", name, ErrUnknownCluster)
		}
		if err != nil {
			return whole, err
		}
		page.Namespaces = append(whole.Namespaces, page.Namespaces...)
		whole = page
		if after = page.Next; after == "" {
			return whole, nil
		}
	}
}

// ForgetCluster has a cluster and everything in it forgotten: its inventories end, and images that nothing else refers to
// are no longer kept. A perceiver that still watches the cluster brings it back with its next snapshot.
func (s *Starter) ForgetCluster(ctx context.Context, name string) error {
	if _, err := s.Cluster(ctx, name); err != nil {
		return err
	}
	err := s.temporal.SignalWorkflow(ctx, workflows.ClusterID(name), "", workflows.SignalForgetCluster.Name, workflows.ForgetCluster{Version: now()})
	if isNotFound(err) {
		return fmt.Errorf("forget cluster %s: %w", name, ErrUnknownCluster)
	}
	if err != nil {
		return fmt.Errorf("forget cluster %s: %w", name, err)
	}
	return nil
}

// Epoch is the epoch for a perceiver that begins to watch a cluster: the present time, and in any case newer than that of
// the last snapshot, which a machine whose clock is ahead may have sent.
func (s *Starter) Epoch(ctx context.Context, cluster string) (int64, error) {
	view, err := s.Cluster(ctx, cluster)
	if err != nil && !errors.Is(err, ErrUnknownCluster) {
		return 0, err
	}
	return max(time.Now().UnixNano(), view.Snapshot.Epoch+1), nil
}

// queryOpen asks a workflow that is running; what has closed is not found.
func (s *Starter) queryOpen(ctx context.Context, id, name string, answer any, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	response, err := s.temporal.QueryWorkflowWithOptions(ctx, &client.QueryWorkflowWithOptionsRequest{
		WorkflowID: id, QueryType: name, Args: args, QueryRejectCondition: enumspb.QUERY_REJECT_CONDITION_NOT_OPEN,
	})
	if err != nil {
		return fmt.Errorf("ask %s: %w", id, err)
	}
	if response.QueryRejected != nil {
		return errClosed
	}
	if err := response.QueryResult.Get(answer); err != nil {
		return fmt.Errorf("read the answer of %s: %w", id, err)
	}
	return nil
}
