package starter

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"

	"github.com/perceptor/perceptor/workflows"
)

// Watch is the client that finds workflows that cannot go on by themselves, and brings back what can be rebuilt.
type Watch struct{ link }

// Stuck is a workflow that cannot go on by itself.
type Stuck struct {
	WorkflowID string `json:"workflowID"`
	Type       string `json:"type"`
	// Failures is how many times in a row its task failed; 0 when it is missing altogether.
	Failures int `json:"failures,omitempty"`
	// Problem says what is wrong, Remedy what rebuilds it once it is terminated; both are for a person.
	Problem string `json:"problem"`
	Remedy  string `json:"remedy"`

	runID string
}

// remedies say how what a workflow knows comes back when it is terminated.
var remedies = map[string]string{
	workflows.TypeHubPool:    "the next scan starts another, which asks the open scans what they hold; pauses and limits are kept",
	workflows.TypeImage:      "its inventories notify a new one within half an hour, which asks the hubs for the verdict",
	workflows.TypeScanImage:  "its image starts another scan",
	workflows.TypeInventory:  "the perceiver's next snapshot starts another",
	workflows.TypeCluster:    "its inventories start another",
	workflows.TypeRefreshHub: "its schedule starts the next pass",
}

// Look finds the workflows whose task fails again and again, a pool of hubs that is not running, and a cluster that is not running
// although its namespaces are watched. The server marks a failing workflow after five failures, which takes about a minute.
func (w Watch) Look(ctx context.Context) ([]Stuck, error) {
	var found []Stuck
	err := w.eachListed(ctx, `ExecutionStatus = "Running" AND TemporalReportedProblems IS NOT NULL`, func(each *workflowpb.WorkflowExecutionInfo) {
		kind := each.GetType().GetName()
		remedy, ours := remedies[kind]
		if !ours {
			remedy = "it is no workflow of this build: terminate it"
		}
		found = append(found, Stuck{
			WorkflowID: each.GetExecution().GetWorkflowId(), Type: kind, Problem: "its workflow task fails again and again", Remedy: remedy,
			runID: each.GetExecution().GetRunId(),
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list workflows with problems: %w", err)
	}
	for i := range found {
		described, err := w.temporal.DescribeWorkflowExecution(ctx, found[i].WorkflowID, found[i].runID)
		if err != nil {
			return nil, fmt.Errorf("describe %s: %w", found[i].WorkflowID, err)
		}
		found[i].Failures = int(described.GetPendingWorkflowTask().GetAttempt()) - 1
	}
	missing, err := w.missing(ctx)
	return append(found, missing...), err
}

// missing finds what should be running and is not.
func (w Watch) missing(ctx context.Context) ([]Stuck, error) {
	var found []Stuck
	described, err := w.temporal.DescribeWorkflowExecution(ctx, workflows.HubPoolID, "")
	if err != nil && !isNotFound(err) {
		return nil, fmt.Errorf("describe the pool of hubs: %w", err)
	}
	if err != nil || described.GetWorkflowExecutionInfo().GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		found = append(found, Stuck{
			WorkflowID: workflows.HubPoolID, Type: workflows.TypeHubPool, Problem: "it is not running", Remedy: remedies[workflows.TypeHubPool],
		})
	}
	known, err := Clusters(w).List(ctx)
	if err != nil {
		return nil, err
	}
	lost, err := Clusters(w).missing(ctx, known)
	for _, name := range lost {
		found = append(found, Stuck{
			WorkflowID: workflows.ClusterID(name), Type: workflows.TypeCluster, Problem: "it is not running although its namespaces are watched",
			Remedy: remedies[workflows.TypeCluster],
		})
	}
	return found, err
}

// Repair terminates what is stuck, and starts again what others would only start later. The hubs are those of a new pool.
func (w Watch) Repair(ctx context.Context, stuck []Stuck, hubs []workflows.HubConfig) error {
	var wrong []error
	for _, s := range stuck {
		if s.runID != "" {
			reason := fmt.Sprintf("%s; failures in a row: %d", s.Problem, s.Failures)
			if err := w.temporal.TerminateWorkflow(ctx, s.WorkflowID, s.runID, reason); err != nil && !isNotFound(err) {
				wrong = append(wrong, fmt.Errorf("terminate %s: %w", s.WorkflowID, err))
				continue
			}
		}
		switch s.Type {
		case workflows.TypeHubPool:
			wrong = append(wrong, Pool(w).ConfigureHubs(ctx, hubs))
		case workflows.TypeCluster:
			wrong = append(wrong, w.restoreCluster(ctx, workflows.ClusterOf(s.WorkflowID)))
		}
	}
	return errors.Join(wrong...)
}

// RestoreClusters starts the workflow of a cluster again that is not running although its namespaces are watched. The workers do it
// now and then, so that a terminated one hides nothing for long.
func (w Watch) RestoreClusters(ctx context.Context) (restored []string, err error) {
	known, err := Clusters(w).List(ctx)
	if err != nil {
		return nil, err
	}
	lost, err := Clusters(w).missing(ctx, known)
	if err != nil {
		return nil, err
	}
	for _, name := range lost {
		if err := w.restoreCluster(ctx, name); err != nil {
			return restored, err
		}
		restored = append(restored, name)
	}
	return restored, nil
}

// restoreCluster notifies a cluster, which that starts, of the counts of every namespace that is watched.
func (w Watch) restoreCluster(ctx context.Context, cluster string) error {
	condition := running(workflows.TypeInventory) + fmt.Sprintf(" AND %s = %q", workflows.AttributeCluster.GetName(), workflows.Keyword(cluster))
	var ids []string
	err := w.eachListed(ctx, condition, func(each *workflowpb.WorkflowExecutionInfo) { ids = append(ids, each.GetExecution().GetWorkflowId()) })
	if err != nil {
		return fmt.Errorf("list the inventories of cluster %s: %w", cluster, err)
	}
	for _, id := range ids {
		var view workflows.InventoryView
		err := w.queryOpen(ctx, id, workflows.QueryStatus, &view)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		if err := Inventories(w).NotifyCluster(ctx, view.NamespaceSeen); err != nil {
			return err
		}
	}
	return nil
}
