//go:build e2e

package e2e_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// Everything that is ended by hand is back within a minute, without a restart.
const (
	backWithin   = time.Minute
	keptCluster  = "kept"
	operatorsOwn = 7
)

// keptPods are the pods of a cluster whose workflows are ended by hand.
type keptPods struct {
	first  model.Digest
	image  string
	names  []string
	before workflows.ImageView
}

// reportKept reports three pods in two namespaces, which no snapshot ever repeats.
func (h *hostileSystem) reportKept(t *testing.T, reference string, first model.Digest) *keptPods {
	t.Helper()
	k := &keptPods{first: first, image: reference, names: []string{"east/a", "east/b", "west/a"}}
	require.NoError(t, h.Starter.Pods.Report(t.Context(), model.PodReport{Cluster: keptCluster, Pods: []model.Pod{
		rig.RunningPod("east", "a", reference, first), rig.RunningPod("east", "b", reference, first), rig.RunningPod("west", "a", reference, first),
	}}))
	rig.Eventually(t, time.Minute, "the pods of cluster kept", func() bool { return h.keptAgree(t, k) })
	k.before = h.AwaitVerdict(t, first, time.Minute)
	return k
}

// keptAgree reports whether the join has all the pods with their verdict. A join that is empty and no error hides them.
func (h *hostileSystem) keptAgree(t *testing.T, k *keptPods) bool {
	t.Helper()
	page, err := h.Starter.Pods.Join(t.Context(), starter.JoinFilter{Cluster: keptCluster})
	if err != nil {
		return false
	}
	require.NotEmpty(t, page.Rows, "pods are hidden behind an empty list")
	var names []string
	for _, row := range page.Rows {
		if row.Status != model.StatusComplete {
			return false
		}
		names = append(names, row.Namespace+"/"+row.Name)
	}
	return len(names) == len(k.names)
}

// end terminates a workflow.
func (h *hostileSystem) end(t *testing.T, id string) {
	t.Helper()
	h.sent.Add(1)
	require.NoError(t, h.Client.TerminateWorkflow(t.Context(), id, "", "a test"))
}

// endedByHand terminates one workflow of each kind, and counts what is not back in time.
func (h *hostileSystem) endedByHand(t *testing.T, k *keptPods) int {
	t.Helper()
	wrong := 0
	uploads := h.Stats(t).UploadsStarted
	for _, each := range []struct {
		what, id  string
		meanwhile func()
		back      func() bool
	}{
		{what: "Inventory", id: workflows.InventoryID(keptCluster, "east"), back: func() bool { return h.keptAgree(t, k) }},
		{
			what: "Inventory, and another pod is reported at once", id: workflows.InventoryID(keptCluster, "east"),
			meanwhile: func() {
				k.names = append(k.names, "east/c")
				require.NoError(t, h.Starter.Pods.Report(t.Context(), model.PodReport{Cluster: keptCluster, Pods: []model.Pod{rig.RunningPod("east", "c", k.image, k.first)}}))
			},
			back: func() bool { return h.keptAgree(t, k) },
		},
		{what: "Cluster", id: workflows.ClusterID(keptCluster), back: func() bool { return h.keptAgree(t, k) }},
		{
			what: "Cluster, and a namespace is notified at once", id: workflows.ClusterID(keptCluster),
			meanwhile: func() {
				require.NoError(t, h.Starter.Inventories.NotifyCluster(t.Context(), workflows.NamespaceSeen{
					Cluster: keptCluster, Namespace: "west", Pods: 1, Version: model.Version{Epoch: time.Now().UnixNano()},
				}))
			},
			back: func() bool { return h.keptAgree(t, k) },
		},
		{what: "Image", id: workflows.ImageID(k.first), back: func() bool {
			view, err := h.Starter.Images.View(t.Context(), k.first)
			return err == nil && h.runs(t, workflows.ImageID(k.first)) && view.Status == model.StatusComplete && view.OverallStatus == k.before.OverallStatus
		}},
		{what: "HubPool", id: workflows.HubPoolID, back: func() bool {
			status, err := h.Starter.Pool.Status(t.Context())
			return err == nil && len(status.Hubs) == 1 && status.Hubs[0].Paused && status.Hubs[0].Limit == operatorsOwn && status.ColdUntil.IsZero()
		}},
	} {
		time.Sleep(3 * time.Second) // the look that has restored the one before is over
		h.end(t, each.id)
		began := time.Now()
		if each.meanwhile != nil {
			each.meanwhile()
		}
		for time.Since(began) < backWithin && !each.back() {
			time.Sleep(300 * time.Millisecond)
		}
		if took := time.Since(began).Round(time.Second); took >= backWithin {
			wrong++
			t.Logf("%s was terminated and is not back after %s", each.what, took)
		} else {
			t.Logf("%s was terminated and is back after %s", each.what, took)
		}
	}
	if now := h.Stats(t).UploadsStarted; now != uploads {
		wrong++
		t.Logf("%d uploads although nothing had to be scanned", now-uploads)
	}
	return wrong
}

func (h *hostileSystem) runs(t *testing.T, id string) bool {
	t.Helper()
	described, err := h.Client.DescribeWorkflowExecution(t.Context(), id, "")
	return err == nil && described.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
}

// steer changes what an operator may change of the one hub, which outlives the pool.
func (h *hostileSystem) steer(t *testing.T) (undo func()) {
	t.Helper()
	status, err := h.Starter.Pool.Status(t.Context())
	require.NoError(t, err)
	hub := status.Hubs[0]
	_, err = h.Starter.Pool.SetLimit(t.Context(), workflows.HubLimit{Hub: hub.Name, Limit: operatorsOwn})
	require.NoError(t, err)
	_, err = h.Starter.Pool.Pause(t.Context(), hub.Name)
	require.NoError(t, err)
	return func() {
		_, err := h.Starter.Pool.Resume(t.Context(), hub.Name)
		require.NoError(t, err)
	}
}

// TestEndedByHand ends every kind of workflow by hand. Each is back within a minute with all it knew, and nothing is scanned again.
func TestEndedByHand(t *testing.T) {
	h := &hostileSystem{dev: startDev(t), judged: map[model.Digest]bool{}}
	h.LoadComplete(t)
	h.StartWorker(t, 0)
	h.scanNew(t, "ended/other")
	reference, first := h.PushApp(t, "ended/first", 1000)
	kept := h.reportKept(t, reference, first)
	undo := h.steer(t)
	require.Zero(t, h.endedByHand(t, kept))
	undo()
	h.scanNew(t, "ended/last")
	rig.Eventually(t, time.Minute, "a look that finds nothing", func() bool {
		found, err := h.Starter.Watch.Last(t.Context())
		return err == nil && found.StuckCount == 0 && found.RestoredCount == 0
	})
	_, err := h.Starter.Pods.Join(t.Context(), starter.JoinFilter{Cluster: "no such"})
	require.True(t, errors.Is(err, starter.ErrUnknownCluster) || errors.Is(err, starter.ErrStateUnknown))
}
