package starter

import (
	"context"
	"fmt"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Inventories is the client of the workflows that keep the pods of one namespace each. It carries what inventories, images and
// clusters say to each other.
type Inventories struct{ link }

// reference is the reference of a namespace to an image.
func reference(in activities.EnsureImagesInput) workflows.Reference {
	return workflows.Reference{
		Kind: workflows.ReferenceInventory, ID: workflows.ReferrerID(in.Cluster, in.Namespace), Version: in.Version, Until: in.Until,
	}
}

// ObserveImage says that a namespace runs an image. The image's workflow is started when there is none.
func (v Inventories) ObserveImage(ctx context.Context, in activities.EnsureImagesInput, e activities.EnsureImage) error {
	domain := in.Domain
	if inRegistry := func(n model.Name) bool { return n.Engine == "" }; len(e.Names) > 0 && !slices.ContainsFunc(e.Names, inRegistry) {
		domain = workflows.EngineDomain(e.Names[0].Engine)
	}
	return Images(v).Observe(ctx, e.Known.Digest, workflows.Observe{
		Names: e.Names, Platform: e.Platform, Reference: reference(in), Priority: workflows.Priority(in.Priority),
		Namespace: workflows.ReferrerID(in.Cluster, in.Namespace), Domain: domain, HubNames: e.HubNames, Known: e.Known.Version,
	})
}

// CheckImage gives the first run ID of an image's workflow, and reports whether its search attributes agree with what the
// inventory knows. The chain is empty when none is running. The server answers without a workflow task.
func (v Inventories) CheckImage(ctx context.Context, known model.Summary) (chain string, same bool, err error) {
	described, err := v.temporal.DescribeWorkflowExecution(ctx, workflows.ImageID(known.Digest), "")
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

// ForgetImage says that a namespace does not run an image any more. An image whose workflow has ended needs no notice.
func (v Inventories) ForgetImage(ctx context.Context, in activities.EnsureImagesInput, d model.Digest) error {
	err := v.signal(ctx, workflows.ImageID(d), workflows.SignalForget.Name, workflows.Forget{Reference: reference(in)})
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("forget image %s: %w", d, err)
	}
	return nil
}

// NotifyInventory sends what is known of an image to the inventory of a referrer. Open is false when none is running.
func (v Inventories) NotifyInventory(ctx context.Context, referrer string, summary model.Summary) (open bool, err error) {
	err = v.signal(ctx, workflows.InventoryOf(referrer), workflows.SignalSummary.Name, summary)
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("notify inventory %s: %w", referrer, err)
	}
	return true, nil
}

// NotifyCluster sends the counts of a namespace to its cluster. The cluster's workflow is started when there is none, unless
// the namespace has ended.
func (v Inventories) NotifyCluster(ctx context.Context, seen activities.NamespaceSeen) error {
	if !seen.Ended {
		return v.signalCluster(ctx, seen.Cluster, workflows.SignalNamespace.Name, seen)
	}
	err := v.signal(ctx, workflows.ClusterID(seen.Cluster), workflows.SignalNamespace.Name, seen)
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("notify cluster %s: %w", seen.Cluster, err)
	}
	return nil
}

// EmptyNamespace says that a namespace holds no pod older than a version; with forget its inventory ends. Open is false when
// none is running.
func (v Inventories) EmptyNamespace(ctx context.Context, cluster string, n activities.EmptyNamespace, forget bool) (open bool, err error) {
	part := workflows.SnapshotPart{Forget: forget, PodsChanged: workflows.PodsChanged{Cluster: cluster, Namespace: n.Name, Version: n.Version}}
	err = v.signal(ctx, workflows.InventoryID(cluster, n.Name), workflows.SignalSnapshot.Name, part)
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("empty namespace %s of cluster %s: %w", n.Name, cluster, err)
	}
	return true, nil
}
