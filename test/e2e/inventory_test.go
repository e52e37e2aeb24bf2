//go:build e2e

package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// joined waits until the join has so many rows, all in a status.
func (d *dev) joined(t testing.TB, f starter.JoinFilter, count int, status model.ScanStatus) []model.PodVerdict {
	t.Helper()
	var rows []model.PodVerdict
	rig.Eventually(t, 3*time.Minute, "the join", func() bool {
		page, err := d.Starter.Pods.Join(context.Background(), f)
		if err != nil || len(page.Rows) != count {
			return false
		}
		rows = page.Rows
		for _, row := range rows {
			if row.Status != status {
				return false
			}
		}
		return true
	})
	return rows
}

func TestPodsAreJoinedWhileTheWorkerIsKilled(t *testing.T) {
	d := startDev(t)
	first := d.StartWorker(t, 0)
	written := d.StartPerceiver(t, "c")
	app, appDigest := d.PushRandom(t, "join/app", 1<<20)
	base, baseDigest := d.PushRandom(t, "join/base", 1<<20)
	report := model.PodReport{Cluster: "c", WriteBack: true, Version: model.Version{Epoch: 1, Counter: 1}, Pods: []model.Pod{
		rig.RunningPod("one", "a", app, appDigest), rig.RunningPod("one", "b", base, baseDigest), rig.RunningPod("two", "a", app, appDigest),
		{Bare: true, Containers: []model.Container{{Reference: base, Digest: baseDigest}}},
	}}
	require.NoError(t, d.Starter.Pods.Report(t.Context(), report))
	first.Kill(t)
	require.NoError(t, d.Starter.Pods.Report(t.Context(), report))
	late := report
	late.Version, late.Pods = model.Version{Epoch: 1}, []model.Pod{rig.RunningPod("one", "a", base, baseDigest)}
	require.NoError(t, d.Starter.Pods.Report(t.Context(), late))
	d.StartWorker(t, 0)
	rows := d.joined(t, starter.JoinFilter{Cluster: "c"}, 4, model.StatusComplete)
	require.Equal(t, []string{workflows.BareImages, "one", "one", "two"},
		[]string{rows[0].Namespace, rows[1].Namespace, rows[2].Namespace, rows[3].Namespace})
	require.Equal(t, appDigest, rows[1].Containers[0].Image.Digest, "a late report changes nothing")
	require.Equal(t, 2, d.Stats(t).UploadsAccepted)
	for _, row := range rows[1:] {
		rig.Eventually(t, time.Minute, "the verdict on pod "+row.Name, func() bool { return written.Of(row.UID).Status == model.StatusComplete })
		require.Equal(t, row.OverallStatus, written.Of(row.UID).OverallStatus)
	}

	// A pod whose image is known gets its verdict without a scan, and an unchanged snapshot writes nothing.
	began := time.Now()
	report.Version.Counter, report.Pods = 2, []model.Pod{rig.RunningPod("three", "a", app, appDigest)}
	require.NoError(t, d.Starter.Pods.Report(t.Context(), report))
	rig.Eventually(t, time.Minute, "the verdict of a known image", func() bool {
		return written.Of("uid-three-a").Status == model.StatusComplete
	})
	t.Logf("from the event to the verdict on the pod: %s", time.Since(began))
	writes := written.Writes()
	report.Version.Counter, report.Snapshot = 3, true
	report.Pods = []model.Pod{rig.RunningPod("one", "b", base, baseDigest), rig.RunningPod("three", "a", app, appDigest)}
	require.NoError(t, d.Starter.Pods.Report(t.Context(), report))
	rows = d.joined(t, starter.JoinFilter{}, 2, model.StatusComplete)
	require.Equal(t, "one", rows[0].Namespace)
	require.Equal(t, "three", rows[1].Namespace)
	require.Equal(t, writes, written.Writes())
	require.Equal(t, 2, d.Stats(t).UploadsAccepted)

	view, err := d.Starter.Clusters.View(t.Context(), "c")
	require.NoError(t, err)
	require.Equal(t, report.Version, view.Snapshot)
	said := d.perceptor(t, "cluster", "forget", "c")
	require.Equal(t, exitOK, said.Code, said.Stderr)
	require.Contains(t, said.Stdout, "Cluster c is being forgotten: ")
	rig.Eventually(t, time.Minute, "the cluster to be forgotten", func() bool {
		_, err := d.Starter.Pods.Join(context.Background(), starter.JoinFilter{Cluster: "c"})
		return err != nil
	})
	rig.Eventually(t, time.Minute, "the workflow of the cluster to end", func() bool {
		_, err := d.Starter.Clusters.View(context.Background(), "c")
		return errors.Is(err, starter.ErrUnknownCluster)
	})
	require.ErrorIs(t, d.Starter.Clusters.Forget(t.Context(), "c"), starter.ErrUnknownCluster)
	rig.Eventually(t, time.Minute, "the images to be notified", func() bool {
		view, err := d.Starter.Images.View(context.Background(), appDigest)
		return err == nil && len(view.References) == 0
	})
}

// pushIndex puts an index of two platforms into the registry and gives its digest and those of its manifests.
func (d *dev) pushIndex(t testing.TB, repository string) (reference string, index, amd, arm model.Digest) {
	t.Helper()
	digests := map[string]model.Digest{}
	var whole v1.ImageIndex = empty.Index
	for _, architecture := range []string{"amd64", "arm64"} {
		layer, err := random.Image(1<<20, 1)
		require.NoError(t, err)
		config, err := layer.ConfigFile()
		require.NoError(t, err)
		config = config.DeepCopy()
		config.OS, config.Architecture = "linux", architecture
		made, err := mutate.ConfigFile(layer, config)
		require.NoError(t, err)
		digest, err := made.Digest()
		require.NoError(t, err)
		digests[architecture] = model.Digest(digest.String())
		whole = mutate.AppendManifests(whole, mutate.IndexAddendum{
			Add: made, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}},
		})
	}
	reference = d.Registry + "/" + repository + ":1"
	parsed, err := name.ParseReference(reference)
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(parsed, whole))
	digest, err := whole.Digest()
	require.NoError(t, err)
	return reference, model.Digest(digest.String()), digests["amd64"], digests["arm64"]
}

func TestOneIndexOnTwoPlatformsInThreeFormsIsTwoScans(t *testing.T) {
	d := startDev(t)
	d.StartWorker(t, 0)
	reference, index, amd, arm := d.pushIndex(t, "join/index")
	onArm := rig.RunningPod("n", "index-arm", reference, index)
	onArm.Platform.Architecture = "arm64"
	pending := rig.RunningPod("n", "pending-arm", reference, "")
	pending.Platform.Architecture = "arm64"
	require.NoError(t, d.Starter.Pods.Report(t.Context(), model.PodReport{Cluster: "c", Pods: []model.Pod{
		rig.RunningPod("n", "index-amd", reference, index), onArm, rig.RunningPod("n", "manifest-amd", reference, amd), rig.RunningPod("m", "tag-amd", reference, ""), pending,
	}}))
	rows := d.joined(t, starter.JoinFilter{}, 5, model.StatusComplete)
	for _, row := range rows {
		want := amd
		if row.Name == "index-arm" || row.Name == "pending-arm" {
			want = arm
		}
		require.Equal(t, want, row.Containers[0].Image.Digest, row.Name)
	}
	seen := d.Stats(t)
	require.Equal(t, 2, seen.UploadsAccepted)
	require.Equal(t, map[string]int{amd.Hex(): 1, arm.Hex(): 1}, seen.ScansByName)
}

// TestPodsOnTheCommandLine: every form and filter, and pods that have no verdict, with the reason.
func TestPodsOnTheCommandLine(t *testing.T) {
	d := startDev(t)
	d.LoadComplete(t)
	d.StartWorker(t, 0)
	app, appDigest := d.PushApp(t, "pods/app", 1<<20)
	require.NoError(t, d.Starter.Pods.Report(t.Context(), model.PodReport{Cluster: "c", Pods: []model.Pod{
		rig.RunningPod("one", "a", app, appDigest), rig.RunningPod("two", "lost", d.Registry+"/pods/none:1", ""), rig.RunningPod("two", "b", app, ""),
	}}))
	d.joined(t, starter.JoinFilter{Cluster: "c", Image: app}, 2, model.StatusComplete)
	d.joined(t, starter.JoinFilter{Cluster: "c", Namespace: "two", Status: model.StatusFailed}, 1, model.StatusFailed)
	var rows []model.PodVerdict
	require.NoError(t, json.Unmarshal([]byte(d.perceptor(t, "pods", "--cluster", "c", "-o", "json").Stdout), &rows))
	require.Len(t, rows, 3)
	require.Equal(t, "a", rows[0].Name)
	require.NoError(t, json.Unmarshal([]byte(d.perceptor(t, "pods", "--cluster", "c", "--overall-status", "unknown", "-o", "json").Stdout), &rows))
	require.Len(t, rows, 1)
	require.Equal(t, "lost", rows[0].Name)
	wide := d.perceptor(t, "pods", "-o", "wide", "--status", "Failed")
	require.Contains(t, wide.Stdout, "resolve: not-found: ")
	require.Contains(t, wide.Stdout, "next try")
	yaml := d.perceptor(t, "pods", "-o", "yaml", "--image", string(appDigest))
	require.Contains(t, yaml.Stdout, "- cluster: c\n  namespace: one\n  name: a\n")
	require.Contains(t, d.perceptor(t, "pods", "--limit", "1").Stdout, "There are more than 1 pods")
	require.Contains(t, d.perceptor(t, "cluster", "list").Stdout, "never")
	for _, wrong := range [][]string{{"pods", "-o", "xml"}, {"pods", "--limit", "0"}, {"pods", "--cluster", "none"}, {"cluster", "forget", "none"}} {
		said := d.perceptor(t, wrong...)
		require.Equal(t, exitTrouble, said.Code, wrong)
		require.NotEmpty(t, said.Stderr)
	}
}
