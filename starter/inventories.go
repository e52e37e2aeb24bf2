package starter

import (
	"context"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// reference is the reference of a namespace to an image.
func reference(in activities.EnsureImagesInput) workflows.Reference {
	return workflows.Reference{
		Kind: workflows.ReferenceInventory, ID: workflows.ReferrerID(in.Cluster, in.Namespace), Version: in.Version, Until: in.Until,
	}
}

// ObserveImage tells an image that a namespace runs it; its workflow is started when there is none.
func (s *Starter) ObserveImage(ctx context.Context, in activities.EnsureImagesInput, e activities.EnsureImage) error {
	return s.Observe(ctx, e.Known.Digest, workflows.Observe{
		Names: e.Names, Platform: e.Platform, Reference: reference(in), Priority: workflows.Priority(in.Priority),
		Namespace: workflows.ReferrerID(in.Cluster, in.Namespace), Domain: in.Domain, HubNames: e.HubNames, Known: e.Known.Version,
	})
}

// CheckImage gives the first run id of a running image and reports whether it shows what is known of it. The server answers
// that by itself, so it costs no workflow anything.
func (s *Starter) CheckImage(ctx context.Context, known model.Summary) (chain string, same bool, err error) {
	described, err := s.temporal.DescribeWorkflowExecution(ctx, workflows.ImageID(known.Digest), "")
	if isNotFound(err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("describe image %s: %w", known.Digest, err)
	}
	info := described.GetWorkflowExecutionInfo()
	if info.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return "", false, nil
	}
	shown := imageRow(info.GetSearchAttributes().GetIndexedFields(), info.GetStartTime().AsTime())
	return info.GetFirstRunId(), shown.Status == known.Status && shown.OverallStatus == known.OverallStatus, nil
}

// ForgetImage tells an image that a namespace does not run it any more. One that is gone need not know.
func (s *Starter) ForgetImage(ctx context.Context, in activities.EnsureImagesInput, d model.Digest) error {
	err := s.temporal.SignalWorkflow(ctx, workflows.ImageID(d), "", workflows.SignalForget.Name, workflows.Forget{Reference: reference(in)})
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("forget image %s: %w", d, err)
	}
	return nil
}

// TellSummary tells the inventory of a referrer what is known of an image; open is false when there is none.
func (s *Starter) NotifyInventory(ctx context.Context, referrer string, summary model.Summary) (open bool, err error) {
	err = s.temporal.SignalWorkflow(ctx, workflows.InventoryOf(referrer), "", workflows.SignalSummary.Name, summary)
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("tell inventory %s: %w", referrer, err)
	}
	return true, nil
}

// TellCluster tells a cluster the counts of a namespace. Its workflow is started when there is none, unless the namespace
// has ended.
func (s *Starter) NotifyCluster(ctx context.Context, seen activities.NamespaceSeen) error {
	if !seen.Ended {
		return s.signalCluster(ctx, seen.Cluster, workflows.SignalNamespace.Name, seen)
	}
	err := s.temporal.SignalWorkflow(ctx, workflows.ClusterID(seen.Cluster), "", workflows.SignalNamespace.Name, seen)
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("tell cluster %s: %w", seen.Cluster, err)
	}
	return nil
}

// EmptyNamespace tells an inventory that nothing older than a version is left in its namespace, or to end; open is false when
// there is none.
func (s *Starter) EmptyNamespace(ctx context.Context, cluster string, n activities.EmptyNamespace, forget bool) (open bool, err error) {
	part := workflows.SnapshotPart{Forget: forget, PodsChanged: workflows.PodsChanged{Cluster: cluster, Namespace: n.Name, Version: n.Version}}
	err = s.temporal.SignalWorkflow(ctx, workflows.InventoryID(cluster, n.Name), "", workflows.SignalSnapshot.Name, part)
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("empty namespace %s of cluster %s: %w", n.Name, cluster, err)
	}
	return true, nil
}
