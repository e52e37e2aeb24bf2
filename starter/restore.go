package starter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

const (
	// restoreWithin is how long after its end a workflow is restored. What ended before, while no worker was running, its inventories
	// and its perceiver bring back.
	restoreWithin = time.Hour
	// restoreAtOnce bounds what one look restores, so that the look ends in time. The next look restores the rest.
	restoreAtOnce = 100
	// resentAtMost bounds the signals of one workflow that are sent again, the newest.
	resentAtMost = 2000
)

// Restore brings back images, inventories and clusters that were terminated or cancelled, which none of them ever does by itself, and
// names them. The server runs them again from their own history, so they know what they knew. A cluster that has lost namespaces is
// notified of them. What perceptor doctor has terminated is left alone, and so is what ended more than an hour ago.
func (w Watch) Restore(ctx context.Context, namespace string) ([]string, error) {
	var restored []string
	ended, err := w.endedByHand(ctx)
	if err != nil {
		return nil, err
	}
	var wrong []error
	for _, each := range ended {
		if len(restored) == restoreAtOnce {
			break
		}
		back, err := w.restore(ctx, namespace, each)
		if err != nil {
			wrong = append(wrong, err)
		}
		if back {
			restored = append(restored, each.GetExecution().GetWorkflowId())
		}
	}
	clusters, err := w.restoreClusters(ctx)
	return append(restored, clusters...), errors.Join(append(wrong, err)...)
}

// endedByHand lists what was terminated or cancelled lately, the newest first.
func (w Watch) endedByHand(ctx context.Context) ([]*workflowpb.WorkflowExecutionInfo, error) {
	query := fmt.Sprintf(`WorkflowType IN (%q, %q, %q) AND ExecutionStatus IN ("Terminated", "Canceled") AND CloseTime > %q`,
		workflows.TypeImage, workflows.TypeInventory, workflows.TypeCluster, time.Now().Add(-restoreWithin).UTC().Format(time.RFC3339))
	var ended []*workflowpb.WorkflowExecutionInfo
	known := map[string]bool{}
	err := w.eachListed(ctx, query, func(each *workflowpb.WorkflowExecutionInfo) {
		if id := each.GetExecution().GetWorkflowId(); !known[id] {
			known[id] = true
			ended = append(ended, each)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list workflows that were ended by hand: %w", err)
	}
	return ended, nil
}

// restore brings one workflow back, unless another has taken its place. It reports whether it did.
func (w Watch) restore(ctx context.Context, namespace string, ended *workflowpb.WorkflowExecutionInfo) (bool, error) {
	id, run := ended.GetExecution().GetWorkflowId(), ended.GetExecution().GetRunId()
	described, err := w.temporal.DescribeWorkflowExecution(ctx, id, "")
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("describe %s: %w", id, err)
	}
	newest := described.GetWorkflowExecutionInfo()
	if newest.GetExecution().GetRunId() == run {
		return w.reset(ctx, namespace, id, run)
	}
	// A report of a few pods has started a new inventory, which knows nothing of the others. The pods that it was sent are sent to the
	// restored one. An image asks its hubs again, and a cluster is notified of its namespaces.
	if ended.GetType().GetName() != workflows.TypeInventory || !isBlank(newest) {
		return false, nil
	}
	if whole, err := w.hasSnapshot(ctx, id); err != nil || whole {
		return false, err
	}
	back, err := w.reset(ctx, namespace, id, run)
	if err != nil || !back {
		return false, err
	}
	return true, w.resend(ctx, id, newest.GetExecution().GetRunId())
}

// isBlank reports whether a run is going on that began with nothing: it continues no other and was not restored.
func isBlank(newest *workflowpb.WorkflowExecutionInfo) bool {
	return newest.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING && newest.GetFirstRunId() == newest.GetExecution().GetRunId()
}

// hasSnapshot reports whether an inventory has had a snapshot of its namespace: then it knows all pods.
func (w Watch) hasSnapshot(ctx context.Context, id string) (bool, error) {
	var view workflows.InventoryView
	err := w.queryOpen(ctx, id, workflows.QueryStatus, &view)
	if isNotFound(err) {
		return true, nil
	}
	return view.Snapshot != (model.Version{}), err
}

// reset has the server run a closed workflow again from the last decision in its history, with all signals that arrived after it. It
// reports false for a run without a decision, and for one that Repair has terminated.
func (w Watch) reset(ctx context.Context, namespace, id, run string) (bool, error) {
	decision, reason := int64(0), ""
	err := w.eachEvent(ctx, id, run, func(event *historypb.HistoryEvent) {
		switch event.GetEventType() {
		case enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
			decision = event.GetEventId()
		case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
			reason = event.GetWorkflowExecutionTerminatedEventAttributes().GetReason()
		}
	})
	if err != nil || decision == 0 || strings.HasPrefix(reason, repaired) {
		return false, err
	}
	_, err = w.temporal.ResetWorkflowExecution(ctx, &workflowservice.ResetWorkflowExecutionRequest{
		Namespace: namespace, WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: id, RunId: run},
		Reason: "it was ended by hand and is still needed", WorkflowTaskFinishEventId: decision,
	})
	if err != nil {
		return false, fmt.Errorf("restore %s: %w", id, err)
	}
	return true, nil
}

func (w Watch) eachEvent(ctx context.Context, id, run string, do func(*historypb.HistoryEvent)) error {
	events := w.temporal.GetWorkflowHistory(ctx, id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if isNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the history of %s: %w", id, err)
		}
		do(event)
	}
	return nil
}

// resend sends the signals of an earlier run again. They carry versions, so that none changes anything twice.
func (w Watch) resend(ctx context.Context, id, run string) error {
	var signals []*historypb.WorkflowExecutionSignaledEventAttributes
	err := w.eachEvent(ctx, id, run, func(event *historypb.HistoryEvent) {
		if signal := event.GetWorkflowExecutionSignaledEventAttributes(); signal != nil {
			signals = append(signals, signal)
		}
	})
	if err != nil {
		return err
	}
	lost := max(len(signals)-resentAtMost, 0)
	signals = signals[lost:]
	for _, s := range signals {
		if payloads := s.GetInput().GetPayloads(); len(payloads) == 1 {
			if err := w.signal(ctx, id, s.GetSignalName(), converter.NewRawValue(payloads[0])); err != nil {
				return fmt.Errorf("send %s to %s again: %w", s.GetSignalName(), id, err)
			}
		}
	}
	if lost > 0 {
		return fmt.Errorf("send signals to %s again: the first %d are left out; the next snapshot brings what they said", id, lost)
	}
	return nil
}

// restoreClusters notifies clusters of settled inventories that they do not know, and starts those that are not running.
func (w Watch) restoreClusters(ctx context.Context) ([]string, error) {
	seen, err := w.survey(ctx)
	if err != nil {
		return nil, err
	}
	var restored []string
	var wrong []error
	for _, name := range seen.clustersWithout() {
		if err := w.restoreCluster(ctx, name); err != nil {
			wrong = append(wrong, err)
			continue
		}
		restored = append(restored, workflows.ClusterID(name))
	}
	for _, each := range w.ask(ctx, seen.clusters) {
		if each.err != nil {
			continue // Look says so
		}
		known := map[string]bool{}
		for _, n := range each.view.Namespaces {
			known[n.Namespace] = true
		}
		for namespace, settled := range seen.inventories[each.name] {
			if settled && !known[namespace] {
				wrong = append(wrong, w.notifyOf(ctx, workflows.InventoryID(each.name, namespace)))
			}
		}
	}
	return restored, errors.Join(wrong...)
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
		if err := w.notifyOf(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// notifyOf sends a cluster the counts of one of its inventories, as the inventory has them now.
func (w Watch) notifyOf(ctx context.Context, inventory string) error {
	var view workflows.InventoryView
	err := w.queryOpen(ctx, inventory, workflows.QueryStatus, &view)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return Inventories(w).NotifyCluster(ctx, view.NamespaceSeen)
}
