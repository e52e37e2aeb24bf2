package starter

import (
	"context"
	"fmt"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/workflows"
)

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
