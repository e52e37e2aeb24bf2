package starter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Clusters is the client of the workflows that keep one cluster each: its namespaces and its snapshots.
type Clusters struct{ link }

// List lists the names of the clusters that are known, sorted. The list lags about a second behind.
func (c Clusters) List(ctx context.Context) ([]string, error) {
	var names []string
	err := c.eachListed(ctx, running(workflows.TypeCluster), func(each *workflowpb.WorkflowExecutionInfo) {
		names = append(names, workflows.ClusterOf(each.GetExecution().GetWorkflowId()))
	})
	if err != nil {
		return nil, fmt.Errorf("list clusters: %w", err)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// CheckAll answers ErrStateUnknown when a namespace is watched whose cluster is not running: the list of clusters then lacks it.
func (c Clusters) CheckAll(ctx context.Context, known []string) error {
	missing, err := c.missing(ctx, known)
	return errors.Join(err, stateUnknown(missing))
}

// checkOne answers ErrStateUnknown when a cluster that is not running has an inventory.
func (c Clusters) checkOne(ctx context.Context, name string) error {
	query := settledInventories(time.Now()) + fmt.Sprintf(" AND %s = %q", workflows.AttributeCluster.GetName(), workflows.Keyword(name))
	page, err := c.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: 1})
	if err != nil {
		return fmt.Errorf("list inventories of cluster %s: %w", name, err)
	}
	if len(page.GetExecutions()) == 0 {
		return nil
	}
	return stateUnknown([]string{name})
}

func stateUnknown(clusters []string) error {
	if len(clusters) == 0 {
		return nil
	}
	return fmt.Errorf("%w: the workflow of cluster %s is not running although its namespaces are watched", ErrStateUnknown, strings.Join(clusters, ", "))
}

// clusterFollows is how long the first inventory of a cluster may run before its cluster does: the inventory starts it.
const clusterFollows = time.Minute

// settledInventories asks for the inventories whose cluster must be running by now.
func settledInventories(now time.Time) string {
	return running(workflows.TypeInventory) + fmt.Sprintf(" AND StartTime < %q", now.Add(-clusterFollows).UTC().Format(time.RFC3339))
}

// excludedAtMost is how many names one question to the server leaves out.
const excludedAtMost = 50

// missing lists clusters that have an inventory and are not among those given, at most one of them.
func (c Clusters) missing(ctx context.Context, known []string) ([]string, error) {
	var query strings.Builder
	query.WriteString(settledInventories(time.Now()))
	for _, name := range known[:min(len(known), excludedAtMost)] {
		_, _ = fmt.Fprintf(&query, " AND %s != %q", workflows.AttributeCluster.GetName(), workflows.Keyword(name))
	}
	page, err := c.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query.String(), PageSize: 1})
	if err != nil {
		return nil, fmt.Errorf("list inventories: %w", err)
	}
	for _, each := range page.GetExecutions() {
		cluster, _, err := workflows.NamespaceOf(each.GetExecution().GetWorkflowId())
		if err == nil && !slices.Contains(known, cluster) {
			return []string{cluster}, nil
		}
	}
	return nil, nil
}

// View asks a cluster for all its namespaces and its last snapshot. It gives ErrUnknownCluster when there is none.
func (c Clusters) View(ctx context.Context, name string) (workflows.ClusterView, error) {
	var whole workflows.ClusterView
	for after := ""; ; {
		var page workflows.ClusterView
		err := c.queryOpen(ctx, workflows.ClusterID(name), workflows.QueryStatus, &page, workflows.ClusterQuery{After: after})
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

// Forget forgets a cluster and everything in it: its inventories end, and images that nothing else refers to are no longer
// kept. A perceiver that still watches the cluster brings it back with its next snapshot. It gives ErrUnknownCluster when
// there is no such cluster.
func (c Clusters) Forget(ctx context.Context, name string) error {
	if _, err := c.View(ctx, name); err != nil {
		return err
	}
	err := c.signal(ctx, workflows.ClusterID(name), workflows.SignalForgetCluster.Name, workflows.ForgetCluster{Version: now()})
	if isNotFound(err) {
		return fmt.Errorf("forget cluster %s: %w", name, ErrUnknownCluster)
	}
	if err != nil {
		return fmt.Errorf("forget cluster %s: %w", name, err)
	}
	return nil
}

// ResetVersion lets the next report of a cluster count, whatever its version: after a report whose version was too new, all others would
// be old. What is known of the pods stays until the next snapshot. It gives ErrUnknownCluster when there is no such cluster.
func (c Clusters) ResetVersion(ctx context.Context, name string) error {
	view, err := c.View(ctx, name)
	if err != nil {
		return err
	}
	ids := []string{workflows.ClusterID(name)}
	for _, n := range view.Namespaces {
		ids = append(ids, workflows.InventoryID(name, n.Namespace))
	}
	var group errgroup.Group
	group.SetLimit(reportAtOnce)
	for _, id := range ids {
		group.Go(func() error {
			err := c.signal(ctx, id, workflows.SignalResetVersion.Name, workflows.ResetVersion{})
			if err != nil && !isNotFound(err) {
				return fmt.Errorf("reset the version of %s: %w", id, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// Begin registers a perceiver that begins to report, and gives the epoch of its reports: the present time in nanoseconds since 1970,
// and newer than every epoch given before, whatever the clocks say. Identity tells the cluster from others: the UID of the namespace
// kube-system, the ID of a container engine, or the cluster ID of a swarm. A perceiver of another cluster than the one that has the
// name gets an *OtherClusterError. A perceiver may ask again now and then with its epoch as current, which is 0 at its start: it gets
// another one when newer reports than its own were taken. Begin needs a running worker with the role workflows.
func (c Clusters) Begin(ctx context.Context, name, identity string, current int64) (int64, error) {
	if err := model.CheckCluster(name); err != nil {
		return 0, fmt.Errorf("begin to watch a cluster: %w", err)
	}
	var begun workflows.BegunCluster
	err := c.updateCluster(ctx, name, workflows.UpdateBegin, workflows.BeginCluster{Identity: identity, Epoch: current}, &begun)
	if refused, ok := errors.AsType[*temporal.ApplicationError](err); ok && refused.Type() == workflows.ErrorOtherCluster {
		other := &OtherClusterError{Cluster: name, Given: identity}
		if err := refused.Details(&other.Known); err != nil {
			return 0, fmt.Errorf("begin to watch cluster %s: read the refusal: %w", name, err)
		}
		return 0, other
	}
	if err != nil {
		return 0, fmt.Errorf("begin to watch cluster %s: %w", name, err)
	}
	return begun.Epoch, nil
}

// Adopt gives the name of a cluster to another one, such as a cluster that was built again: to the one that was refused last where
// identity is empty. It gives ErrUnknownCluster when there is no such cluster, and a RejectedError when none was refused.
func (c Clusters) Adopt(ctx context.Context, name, identity string) (workflows.ClusterView, error) {
	if _, err := c.View(ctx, name); err != nil {
		return workflows.ClusterView{}, err
	}
	var view workflows.ClusterView
	err := c.updateCluster(ctx, name, workflows.UpdateAdopt, workflows.AdoptCluster{Identity: identity}, &view)
	if refused, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return view, RejectedError{refused.Message()}
	}
	if err != nil {
		return view, fmt.Errorf("adopt cluster %s: %w", name, err)
	}
	return view, nil
}

// Health sends what the perceiver of a cluster cannot do. A cluster that is not known is not started by it.
func (c Clusters) Health(ctx context.Context, name string, h model.PerceiverHealth) error {
	err := c.signal(ctx, workflows.ClusterID(name), workflows.SignalHealth.Name, h)
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("report the health of cluster %s: %w", name, err)
	}
	return nil
}

// updateCluster updates the workflow of a cluster, which is started when it is not running.
func (c Clusters) updateCluster(ctx context.Context, name, update string, in, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	s := clusterStart(name)
	operation := c.temporal.NewWithStartWorkflowOperation(s.options(enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING), s.workflowType, s.input)
	handle, err := c.temporal.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: operation,
		UpdateOptions:          client.UpdateWorkflowOptions{UpdateName: update, Args: []any{in}, WaitForStage: client.WorkflowUpdateStageCompleted},
	})
	if err != nil {
		return err
	}
	return handle.Get(ctx, answer)
}
