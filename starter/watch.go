package starter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/workflows"
)

// watchSteps is a nil pointer by which a step is named.
var watchSteps *activities.WatchSteps

// Watch is the client that finds workflows that cannot go on by themselves, and brings back what can be rebuilt.
type Watch struct{ link }

// Stuck is a workflow that cannot go on by itself.
type Stuck = activities.StuckWorkflow

// remedies say how what a workflow knows comes back when it is terminated by Repair.
var remedies = map[string]string{
	workflows.TypeHubPool:    "the next scan starts another, which asks the open scans what they hold; pauses and limits are kept",
	workflows.TypeImage:      "its inventories notify a new one within half an hour, which asks the hubs for the verdict",
	workflows.TypeScanImage:  "its image starts another scan",
	workflows.TypeInventory:  "the perceiver's next snapshot starts another; restart the perceiver to have that now",
	workflows.TypeCluster:    "its inventories start another",
	workflows.TypeRefreshHub: "its schedule starts the next pass",
	workflows.TypeWatchdog:   "its schedule starts the next look",
}

// Configure makes the Schedule by which all workflows are looked after. A pause by an operator stays.
func (w Watch) Configure(ctx context.Context) error {
	if err := w.schedule(ctx, workflows.WatchdogID, workflows.WatchdogEvery, 0, &client.ScheduleWorkflowAction{
		ID: workflows.WatchdogID, Workflow: workflows.TypeWatchdog, TaskQueue: workflows.TaskQueue, Args: []any{workflows.WatchdogInput{}},
		WorkflowExecutionTimeout: workflows.WatchdogLongest, StaticSummary: "look after all workflows",
	}); err != nil {
		return fmt.Errorf("schedule the watchdog: %w", err)
	}
	return nil
}

// ErrNotWatched says that the last complete look at all workflows is too long ago, or that there was none: whether one cannot go on by
// itself is not known.
var ErrNotWatched = errors.New("the workflows have not been looked after lately; is the schedule watchdog paused, or no worker with the role workflows running?")

// Last is what the last complete look of the Watchdog found. It gives ErrNotWatched when that is more than three minutes ago.
func (w Watch) Last(ctx context.Context) (workflows.WatchdogResult, error) {
	var found workflows.WatchdogResult
	page, err := w.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: fmt.Sprintf(`WorkflowType = %q AND ExecutionStatus = "Completed" AND CloseTime > %q`, workflows.TypeWatchdog,
			time.Now().Add(-workflows.WatchdogSilent).UTC().Format(time.RFC3339)),
		PageSize: 1,
	})
	if err != nil {
		return found, fmt.Errorf("list the looks of the watchdog: %w", err)
	}
	if len(page.GetExecutions()) == 0 {
		return found, ErrNotWatched
	}
	last := page.GetExecutions()[0].GetExecution()
	if err := w.temporal.GetWorkflow(ctx, last.GetWorkflowId(), last.GetRunId()).Get(ctx, &found); err != nil {
		return found, fmt.Errorf("read the last look of the watchdog: %w", err)
	}
	return found, nil
}

// Look finds the workflows whose task fails again and again, a pool of hubs that is not running, and clusters and inventories that are
// not running although others count on them. The server marks a failing workflow after five failures, which takes about a minute.
func (w Watch) Look(ctx context.Context) ([]Stuck, error) {
	found, err := w.failing(ctx)
	if err != nil {
		return nil, err
	}
	pool, err := w.missingPool(ctx)
	if err != nil {
		return nil, err
	}
	missing, err := w.missing(ctx, found)
	return slices.Concat(found, pool, missing), err
}

// StuckAmong finds those of some workflows whose task fails again and again, by asking for each. One that is not running is left out.
func (w Watch) StuckAmong(ctx context.Context, ids ...string) ([]Stuck, error) {
	var found []Stuck
	for _, id := range ids {
		described, err := w.temporal.DescribeWorkflowExecution(ctx, id, "")
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("describe %s: %w", id, err)
		}
		attempt := described.GetPendingWorkflowTask().GetAttempt()
		if info := described.GetWorkflowExecutionInfo(); info.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING && attempt >= wedgedAfter {
			found = append(found, failing(info, attempt))
		}
	}
	return found, nil
}

// failing finds the workflows whose task fails again and again.
func (w Watch) failing(ctx context.Context) ([]Stuck, error) {
	var found []Stuck
	err := w.eachListed(ctx, `ExecutionStatus = "Running" AND TemporalReportedProblems IS NOT NULL`, func(each *workflowpb.WorkflowExecutionInfo) {
		found = append(found, failing(each, 1))
	})
	if err != nil {
		return nil, fmt.Errorf("list workflows with problems: %w", err)
	}
	for i := range found {
		described, err := w.temporal.DescribeWorkflowExecution(ctx, found[i].WorkflowID, found[i].RunID)
		if isNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("describe %s: %w", found[i].WorkflowID, err)
		}
		found[i].Failures = max(int(described.GetPendingWorkflowTask().GetAttempt())-1, 0)
	}
	return found, nil
}

func failing(info *workflowpb.WorkflowExecutionInfo, attempt int32) Stuck {
	kind := info.GetType().GetName()
	remedy, ours := remedies[kind]
	if !ours {
		remedy = "it is no workflow of this build: terminate it"
	}
	return Stuck{
		WorkflowID: info.GetExecution().GetWorkflowId(), RunID: info.GetExecution().GetRunId(), Type: kind, Failures: int(attempt) - 1,
		Problem: "its workflow task fails again and again", Remedy: remedy,
	}
}

func (w Watch) missingPool(ctx context.Context) ([]Stuck, error) {
	described, err := w.temporal.DescribeWorkflowExecution(ctx, workflows.HubPoolID, "")
	if err != nil && !isNotFound(err) {
		return nil, fmt.Errorf("describe the pool of hubs: %w", err)
	}
	if err == nil && described.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return nil, nil
	}
	return []Stuck{{WorkflowID: workflows.HubPoolID, Type: workflows.TypeHubPool, Problem: "it is not running", Remedy: remedies[workflows.TypeHubPool]}}, nil
}

// missing finds clusters and inventories that should be running and are not. Those that are known to fail are not asked.
func (w Watch) missing(ctx context.Context, known []Stuck) ([]Stuck, error) {
	seen, err := w.survey(ctx)
	if err != nil {
		return nil, err
	}
	var found []Stuck
	for _, cluster := range seen.clustersWithout() {
		found = append(found, Stuck{
			WorkflowID: workflows.ClusterID(cluster), Type: workflows.TypeCluster, Problem: "it is not running although its namespaces are watched",
			Remedy: remedies[workflows.TypeCluster],
		})
	}
	isKnown := func(cluster string) bool {
		return slices.ContainsFunc(known, func(s Stuck) bool { return s.WorkflowID == workflows.ClusterID(cluster) })
	}
	for _, each := range w.ask(ctx, slices.DeleteFunc(slices.Clone(seen.clusters), isKnown)) {
		if each.err != nil {
			found = append(found, Stuck{
				WorkflowID: workflows.ClusterID(each.name), Type: workflows.TypeCluster, Problem: "it does not answer: " + each.err.Error(),
				Remedy: "look whether a worker with the role workflows runs, and whether its log names this workflow",
			})
			continue
		}
		lost, err := w.lostInventories(ctx, seen, each.view)
		if err != nil {
			return nil, err
		}
		found = append(found, lost...)
	}
	return found, nil
}

// lostInventories finds the namespaces of a cluster that have pods by their last count, and no inventory.
func (w Watch) lostInventories(ctx context.Context, seen survey, view workflows.ClusterView) ([]Stuck, error) {
	var found []Stuck
	for _, n := range view.Namespaces {
		if _, runs := seen.inventories[view.Cluster][n.Namespace]; runs || n.Pods == 0 {
			continue
		}
		id := workflows.InventoryID(view.Cluster, n.Namespace)
		// Lists lag behind.
		described, err := w.temporal.DescribeWorkflowExecution(ctx, id, "")
		if err != nil && !isNotFound(err) {
			return nil, fmt.Errorf("describe %s: %w", id, err)
		}
		if err == nil && described.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
			continue
		}
		found = append(found, Stuck{
			WorkflowID: id, Type: workflows.TypeInventory, Remedy: remedies[workflows.TypeInventory],
			Problem: fmt.Sprintf("it is not running although its last count was %d pods", n.Pods),
		})
	}
	return found, nil
}

// survey is which clusters and inventories run, as the lists show it.
type survey struct {
	// clusters are sorted.
	clusters []string
	// inventories are the namespaces of each cluster, and whether the cluster must know of them by now.
	inventories map[string]map[string]bool
}

func (w Watch) survey(ctx context.Context) (survey, error) {
	s := survey{inventories: map[string]map[string]bool{}}
	settled := time.Now().Add(-clusterFollows)
	// The inventories are listed first: one that is started meanwhile has a cluster in the second list.
	err := w.eachListed(ctx, running(workflows.TypeInventory), func(each *workflowpb.WorkflowExecutionInfo) {
		cluster, namespace, err := workflows.NamespaceOf(each.GetExecution().GetWorkflowId())
		if err != nil {
			return // started by hand under an ID that no inventory has
		}
		if s.inventories[cluster] == nil {
			s.inventories[cluster] = map[string]bool{}
		}
		s.inventories[cluster][namespace] = each.GetStartTime().AsTime().Before(settled)
	})
	if err != nil {
		return s, fmt.Errorf("list inventories: %w", err)
	}
	s.clusters, err = Clusters(w).List(ctx)
	return s, err
}

// clustersWithout are the clusters that are not running although they have a settled inventory, sorted.
func (s survey) clustersWithout() []string {
	var missing []string
	for cluster, namespaces := range s.inventories {
		if _, runs := slices.BinarySearch(s.clusters, cluster); runs {
			continue
		}
		for _, settled := range namespaces {
			if settled {
				missing = append(missing, cluster)
				break
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// askedCluster is what a cluster answered.
type askedCluster struct {
	name string
	view workflows.ClusterView
	err  error
}

// ask asks clusters, some at a time. One that is not running any more has no namespaces.
func (w Watch) ask(ctx context.Context, names []string) []askedCluster {
	answers := make([]askedCluster, len(names))
	var group errgroup.Group
	group.SetLimit(joinAtOnce)
	for i, name := range names {
		group.Go(func() error {
			view, err := Clusters(w).View(ctx, name)
			if errors.Is(err, ErrUnknownCluster) {
				err = nil
			}
			view.Cluster = name
			answers[i] = askedCluster{name, view, err}
			return nil
		})
	}
	_ = group.Wait()
	return answers
}

// repaired begins the reason for which Repair terminates a workflow. One that was terminated for it is not restored: it would fail again.
const repaired = "repaired by perceptor: "

// Repair terminates what is stuck, and starts again what others would only start later. The list of hubs is that of a new
// pool.
func (w Watch) Repair(ctx context.Context, stuck []Stuck, list workflows.Configure) error {
	var wrong []error
	for _, s := range stuck {
		if s.RunID != "" {
			reason := fmt.Sprintf("%s%s; failures in a row: %d", repaired, s.Problem, s.Failures)
			if err := w.temporal.TerminateWorkflow(ctx, s.WorkflowID, s.RunID, reason); err != nil && !isNotFound(err) {
				wrong = append(wrong, fmt.Errorf("terminate %s: %w", s.WorkflowID, err))
				continue
			}
		}
		switch s.Type {
		case workflows.TypeHubPool:
			wrong = append(wrong, Pool(w).ConfigureHubs(ctx, list))
		case workflows.TypeCluster:
			wrong = append(wrong, w.restoreCluster(ctx, workflows.ClusterOf(s.WorkflowID)))
		}
	}
	return errors.Join(wrong...)
}

// auditKept is how long the server keeps a change for the audit log while no worker runs that could write it.
const auditKept = 24 * time.Hour

// Audit has a worker write a change into the audit log. It returns when the server has stored that.
func (w Watch) Audit(ctx context.Context, in activities.WriteAuditInput) error {
	_, err := w.temporal.ExecuteActivity(ctx, client.StartActivityOptions{
		ID: "audit/" + uuid.NewString(), TaskQueue: workflows.TaskQueue, StartToCloseTimeout: askLong, ScheduleToCloseTimeout: auditKept,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: time.Second},
	}, watchSteps.WriteAudit, in)
	if err != nil {
		return fmt.Errorf("store a change for the audit log: %w", err)
	}
	return nil
}
