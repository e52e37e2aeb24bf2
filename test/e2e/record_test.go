//go:build e2e

package e2e_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// TestRecordHistories records what the workflows of this build do on a real server into the directory that the replay test
// reads. Run it from a released commit, never from the change under test: a history recorded from the change proves nothing.
func TestRecordHistories(t *testing.T) {
	rig.Wanted(t, rig.EnvRecord)
	directory, err := filepath.Abs("../../workflows/testdata/replay")
	require.NoError(t, err)
	d := startDev(t, "--hub-scan-time", "1s", "--hub-accept-delay", "2s")
	d.StartWorker(t, 0)
	reference, first := d.PushRandom(t, "record/first", 1<<20)
	d.Observe(t, reference, first)
	d.AwaitVerdict(t, first, time.Minute)
	require.NoError(t, d.Starter.Images.Rescan(t.Context(), first, workflows.Rescan{Reason: "record", Priority: workflows.PriorityInteractive}))
	time.Sleep(time.Second)
	d.AwaitVerdict(t, first, time.Minute)
	d.record(t, directory, "scan_image_rescan.json", workflows.ScanImageID(first))
	d.record(t, directory, "image_scanned_twice.json", workflows.ImageID(first))

	known := d.AwaitVerdict(t, first, time.Minute)
	d.deleteAtHub(t, known.Verdicts[0].VersionURL)
	_, pass := d.refresh(t)
	d.record(t, directory, "refresh_hub_version_deleted.json", pass)

	reference, second := d.PushRandom(t, "record/terminated", 1<<20)
	d.Observe(t, reference, second)
	d.AwaitStep(t, second, "UploadScan")
	require.NoError(t, d.Client.TerminateWorkflow(t.Context(), workflows.ScanImageID(second), "", "record"))
	d.AwaitVerdict(t, second, 3*time.Minute)
	d.record(t, directory, "scan_image_first.json", workflows.ScanImageID(second))
	d.record(t, directory, "image_scan_terminated.json", workflows.ImageID(second))
	d.record(t, directory, "hub_pool_grants_delivered.json", workflows.HubPoolID)
}

// TestRecordInventoryHistories records the workflows of the join: pods that come, change and go, snapshots, a pod that cannot be
// resolved, verdicts written onto pods, and a cluster that is forgotten.
func TestRecordInventoryHistories(t *testing.T) {
	rig.Wanted(t, rig.EnvRecord)
	directory, err := filepath.Abs("../../workflows/testdata/replay")
	require.NoError(t, err)
	d := startDev(t)
	d.StartWorker(t, 0)
	written := d.StartPerceiver(t, "c")
	app, appDigest := d.PushRandom(t, "record/app", 1<<20)
	base, baseDigest := d.PushRandom(t, "record/base", 1<<20)
	r := model.PodReport{Cluster: "c", WriteBack: true, Version: model.Version{Epoch: 1, Counter: 1}, Pods: []model.Pod{
		rig.RunningPod("n", "a", app, appDigest), rig.RunningPod("n", "b", app, ""),
		rig.RunningPod("n", "lost", d.Registry+"/record/none:1", ""), rig.RunningPod("other", "a", base, baseDigest),
	}}
	require.NoError(t, d.Starter.Pods.Report(t.Context(), r))
	rig.Eventually(t, 2*time.Minute, "the verdicts", func() bool { return written.Writes() >= 3 })
	r.Version.Counter, r.Snapshot = 2, true
	r.Pods = []model.Pod{rig.RunningPod("n", "a", app, appDigest), rig.RunningPod("n", "c", base, baseDigest)}
	require.NoError(t, d.Starter.Pods.Report(t.Context(), r))
	rig.Eventually(t, time.Minute, "the verdict on a new pod", func() bool { return written.Of("uid-n-c").UID != "" })
	// The second word to the cluster comes after half a minute, the second try of what cannot be resolved after one.
	time.Sleep(70 * time.Second)
	gone := model.PodReport{Cluster: "c", Version: model.Version{Epoch: 1, Counter: 3}, Gone: []model.PodKey{rig.RunningPod("n", "a", app, "").Key()}}
	require.NoError(t, d.Starter.Pods.Report(t.Context(), gone))
	time.Sleep(2 * time.Second)
	require.NoError(t, d.Starter.Clusters.Forget(t.Context(), "c"))
	rig.Eventually(t, time.Minute, "the images to be notified", func() bool {
		view, err := d.Starter.Images.View(t.Context(), baseDigest)
		return err == nil && len(view.References) == 0
	})
	d.record(t, directory, "inventory_forgotten.json", workflows.InventoryID("c", "n"))
	d.record(t, directory, "cluster_forgotten.json", workflows.ClusterID("c"))
	d.record(t, directory, "image_of_pods.json", workflows.ImageID(appDigest))
}

func (d *dev) record(t *testing.T, directory, file, workflow string) {
	t.Helper()
	events := &historypb.History{}
	pages := d.Client.GetWorkflowHistory(t.Context(), workflow, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for pages.HasNext() {
		event, err := pages.Next()
		require.NoError(t, err)
		events.Events = append(events.Events, event)
	}
	text, err := protojson.MarshalOptions{Indent: " "}.Marshal(events)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(directory, file), append(text, '\n'), 0o600))
	t.Logf("%s: %d events", file, len(events.GetEvents()))
}

// TestRecordWatchdogHistory records a look that brings a workflow back, and finds another that fails again and again.
func TestRecordWatchdogHistory(t *testing.T) {
	rig.Wanted(t, rig.EnvRecord)
	directory, err := filepath.Abs("../../workflows/testdata/replay")
	require.NoError(t, err)
	h := &hostileSystem{dev: startDev(t), judged: map[model.Digest]bool{}}
	h.LoadComplete(t)
	h.StartWorker(t, 0)
	reference, first := h.PushApp(t, "record/ended", 1000)
	h.Observe(t, reference, first)
	h.AwaitVerdict(t, first, time.Minute)
	h.startBroken(t, "record-broken")
	rig.Eventually(t, 3*time.Minute, "a look that finds the broken workflow", func() bool {
		found, err := h.Starter.Watch.Last(t.Context())
		return err == nil && found.StuckCount == 1
	})
	h.end(t, workflows.ImageID(first))
	var look string
	rig.Eventually(t, 2*time.Minute, "a look that restores the image", func() bool {
		page, err := h.Client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Query: `WorkflowType = "Watchdog" AND ExecutionStatus = "Completed"`, PageSize: 1,
		})
		found, errLast := h.Starter.Watch.Last(t.Context())
		if err != nil || errLast != nil || len(page.GetExecutions()) == 0 || found.RestoredCount != 1 {
			return false
		}
		look = page.GetExecutions()[0].GetExecution().GetWorkflowId()
		return true
	})
	h.record(t, directory, "watchdog_restores.json", look)
}
