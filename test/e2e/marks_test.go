//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/internal/kubetest"
	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// The size of TestMarks.
const (
	markedPods       = 800
	markedNamespaces = 8
	markedImages     = 6
	// marksWithin is how long all marks may take to be right.
	marksWithin = 8 * time.Minute
)

// TestMarks holds the marks on 800 pods of a real API server against what the rows say, while users edit them, rights are taken and
// given back, the leader is frozen in the middle of its batches and thawed, other perceivers report with clocks an hour ahead and
// behind, and another cluster has the same name.
func TestMarks(t *testing.T) {
	rig.Wanted(t, rig.EnvLong)
	w := &marksSystem{kubernetesSystem: startKubernetes(t, markedImages), test: t}
	pods := rig.PlanPods(w.Images, markedPods, markedNamespaces)
	for i := range pods {
		pods[i].Later = false
	}
	w.AddNamespaces(pods)
	require.NoError(t, w.AddPods(t.Context(), pods, 0))
	w.reportWithClock(time.Hour)
	w.StartPart("worker")
	w.StartPart("api")
	w.admitLeases()
	first, second := w.startCandidate(), w.startCandidate()
	rig.Eventually(t, 2*time.Minute, "one of the perceivers to lead", func() bool { return w.holder() != "" })
	w.allRight("after the start")

	w.edit(pods[:300])
	w.allRight("after the edits of users")

	w.grant(false)
	w.edit(pods[300:360])
	rig.Eventually(t, marksWithin, "refused writes in the list of clusters", func() bool {
		return strings.Contains(w.list(), "writes refused since")
	})
	w.grant(true)
	w.allRight("after the rights were given back")
	rig.Eventually(t, marksWithin, "the end of the trouble in the list of clusters", func() bool {
		return !strings.Contains(w.list(), "writes refused since")
	})

	w.reportWithClock(-time.Hour)
	w.reportWithClock(time.Hour)
	w.edit(pods[360:420])
	w.allRight("after reports with clocks an hour behind and an hour ahead")

	w.freeze(pods, first, second)

	w.refuseOtherCluster()
	w.allRight("at the end")
	wrong, total, example := w.wrong(t.Context())
	require.Zero(t, wrong, example)
	rig.AnnounceResult(t, fmt.Sprintf("marks e2e: %d pods, %d wrong", total, wrong))
}

// marksSystem is a system whose perceivers the test starts by itself.
type marksSystem struct {
	*kubernetesSystem
	test *testing.T
}

// reportWithClock reports as a perceiver does whose clock is that much ahead, or behind: a cluster with one other pod. What the
// present perceivers report must count all the same.
func (w *marksSystem) reportWithClock(ahead time.Duration) {
	ghost := rig.RunningPod("team-00", "ghost", w.Images[0].Reference(), "")
	require.NoError(w.T, w.Starter.Pods.Report(w.T.Context(), model.PodReport{
		Cluster: rig.ClusterName, Snapshot: true, WriteBack: true, Pods: []model.Pod{ghost},
		Version: model.Version{Epoch: time.Now().Add(ahead).UnixNano(), Counter: 1},
	}))
}

// perceiverOf is a kubeconfig of the perceiver's service account.
func (w *marksSystem) perceiverOf(c *kubetest.Cluster) string {
	file, err := c.KubeconfigOf(w.T.Context(), "perceptor", "perceiver")
	require.NoError(w.T, err)
	return file
}

// admitLeases lets the perceiver hold its Lease in the namespace of the kubeconfig too.
func (w *marksSystem) admitLeases() {
	for _, kind := range []string{"Role", "RoleBinding"} {
		for _, object := range w.manifests(kind) {
			metadata, ok := object["metadata"].(kubetest.Object)
			require.True(w.T, ok)
			metadata["namespace"] = "default"
			require.NoError(w.T, w.Kube.Apply(w.T.Context(), object))
		}
	}
}

// manifests are the objects of one kind among the perceiver's manifests.
func (w *marksSystem) manifests(kind string) []kubetest.Object {
	all, err := kubetest.ReadManifests(filepath.Join(rig.Root(w.T), "deploy/kubernetes/40-perceiver.yaml"))
	require.NoError(w.T, err)
	return slices.DeleteFunc(all, func(o kubetest.Object) bool { return o["kind"] != kind })
}

// grant gives the perceiver the right to patch pods, or takes it away.
func (w *marksSystem) grant(patch bool) {
	for _, role := range w.manifests("ClusterRole") {
		rules, ok := role["rules"].([]any)
		require.True(w.T, ok)
		for _, rule := range rules {
			r, ok := rule.(kubetest.Object)
			require.True(w.T, ok)
			verbs, ok := r["verbs"].([]any)
			require.True(w.T, ok)
			if !patch {
				r["verbs"] = slices.DeleteFunc(verbs, func(v any) bool { return v == "patch" })
			}
		}
		require.NoError(w.T, w.Kube.Apply(w.T.Context(), role))
	}
}

// candidate is one of the perceivers that may lead, and its way to the API server.
type candidate struct {
	*rig.Program
	front *kubetest.Front
}

func (w *marksSystem) startCandidate() candidate {
	front := w.Kube.NewFront(w.test)
	kubeconfig, err := front.Kubeconfig(w.perceiverOf(w.Kube))
	require.NoError(w.T, err)
	return candidate{rig.Start(w.T, "perceptor", []string{"TEMPORAL_ADDRESS=" + w.Temporal}, "perceiver", "kubernetes", "--dev", w.Directory,
		"--kubeconfig", kubeconfig, "--cluster", rig.ClusterName, "--leader-elect", "--snapshot-interval", "1m"), front}
}

// identity is how a candidate calls itself in the Lease.
func (c candidate) identity(t testing.TB) string {
	_, rest, found := strings.Cut(c.Transcript.String(), "identity=")
	require.True(t, found, "the perceiver names itself")
	return strings.Fields(rest)[0]
}

// holder is who holds the Lease.
func (w *marksSystem) holder() string {
	var lease struct {
		Spec struct {
			HolderIdentity string `json:"holderIdentity"`
		} `json:"spec"`
	}
	err := w.Kube.Get(w.T.Context(), "/apis/coordination.k8s.io/v1/namespaces/default/leases/perceptor-perceiver", &lease)
	require.True(w.T, err == nil || kubetest.Gone(err), "%v", err)
	return lease.Spec.HolderIdentity
}

func (w *marksSystem) list() string {
	return (&dev{w.Dev}).perceptor(w.test, "cluster", "list").Stdout
}

// edit does to the marks of pods what users do: change a status, remove keys, remove all.
func (w *marksSystem) edit(pods []rig.PlannedPod) {
	w.T.Helper()
	require.NoError(w.T, w.tryEdit(pods))
}

func (w *marksSystem) tryEdit(pods []rig.PlannedPod) error {
	changes := []kubetest.Object{
		{"labels": kubetest.Object{"pod.overall-status": "NOT_IN_VIOLATION", "com.blackducksoftware.pod.overall-status": "NOT_IN_VIOLATION"}},
		{"labels": kubetest.Object{"image0": nil, "pod.vulnerabilities": "0"}, "annotations": kubetest.Object{"pod.overall-status": nil}},
		{"labels": kubetest.Object{"pod.overall-status": nil, "image0.overall-status": nil}},
	}
	var group errgroup.Group
	group.SetLimit(16)
	for i, p := range pods {
		group.Go(func() error {
			path := "/api/v1/namespaces/" + p.Namespace + "/pods/" + p.Name + "?fieldManager=user"
			return w.Kube.Call(w.T.Context(), http.MethodPatch, path, kubetest.Merge, kubetest.Object{"metadata": changes[i%len(changes)]}, nil)
		})
	}
	return group.Wait()
}

// How the leader is frozen: after that many writes of a batch, and for so long after the thaw nothing of it may arrive.
const (
	writesBeforeFreeze = 60
	thawWatched        = 20 * time.Second
)

// freeze stops the leader in the middle of its batches, changes what the images say meanwhile, and lets the leader go on when
// another one has written everything. After the thaw no write of it may be taken while the other one leads. Then the other one ends,
// and the one that was frozen does the work again.
func (w *marksSystem) freeze(pods []rig.PlannedPod, first, second candidate) {
	leader, other := first, second
	if w.holder() != first.identity(w.T) {
		leader, other = second, first
	}
	require.Equal(w.T, leader.identity(w.T), w.holder())
	began := time.Now()
	var editing errgroup.Group
	editing.Go(func() error { return w.tryEdit(pods) })
	rig.Eventually(w.T, marksWithin, "the leader to be in the middle of its batches", func() bool {
		return len(leader.front.Writes(began)) >= writesBeforeFreeze
	})
	leader.Signal(syscall.SIGSTOP)
	defer leader.Signal(syscall.SIGCONT)
	require.NoError(w.T, editing.Wait())
	wrong, _, _ := w.wrong(w.T.Context())
	require.NotZero(w.T, wrong, "the leader was frozen before its batches were done")
	for i, image := range w.Images {
		for _, digest := range image.Manifests {
			w.judge(digest, i%2 == 0)
		}
	}
	w.allRight("with a frozen leader")
	require.Equal(w.T, other.identity(w.T), w.holder())

	thawed := time.Now()
	leader.Signal(syscall.SIGCONT)
	for time.Since(thawed) < thawWatched {
		wrong, _, example := w.wrong(w.T.Context())
		require.Zero(w.T, wrong, "the leader that was frozen wrote old rows: %s", example)
		time.Sleep(time.Second)
	}
	require.Equal(w.T, other.identity(w.T), w.holder(), "it is the other one that leads")
	late := leader.front.Writes(thawed)
	require.LessOrEqual(w.T, len(late), writesAtOnce, "what was on its way when the leader was frozen")
	for _, write := range late {
		require.False(w.T, write.Accepted(), "after the thaw it wrote onto %s: %s", write.Pod, write.Body)
	}
	w.T.Logf("after the thaw, %d writes of the frozen leader arrived, and none was taken", len(late))

	other.Signal(syscall.SIGTERM)
	back := time.Now()
	w.edit(pods[:60])
	w.allRight("when the leader that was frozen leads again")
	require.Equal(w.T, leader.identity(w.T), w.holder())
	require.NotEmpty(w.T, leader.front.Writes(back))
}

// writesAtOnce is how many writes of a perceiver may be on their way at a time.
const writesAtOnce = 8

// judge gives every namespace another summary of an image, as its workflow does after a new judgement.
func (w *marksSystem) judge(digest model.Digest, bad bool) {
	s := model.Summary{
		Digest: digest, Version: model.Version{Epoch: 1 << 62}, Status: model.StatusComplete, OverallStatus: model.NotInViolation, JudgedAt: time.Now(),
		Coverage: model.CoverageSummary{Components: 1, Assessed: 1, Satisfied: true},
	}
	if bad {
		s.OverallStatus, s.PolicyViolations, s.Vulnerabilities = model.InViolation, 9, model.Counts{Critical: 4, High: 3}
	}
	for i := range markedNamespaces {
		_, err := w.Starter.Inventories.NotifyInventory(w.T.Context(), workflows.ReferrerID(rig.ClusterName, fmt.Sprintf("team-%02d", i)), s)
		require.NoError(w.T, err)
	}
}

// refuseOtherCluster wants a perceiver of another cluster to end, the list to show it, and nothing of the first cluster to change.
func (w *marksSystem) refuseOtherCluster() {
	other := kubetest.Start(w.T)
	require.NoError(w.T, other.AddNode(w.T.Context(), rig.Nodes[0]))
	p := rig.Start(w.T, "perceptor", []string{"TEMPORAL_ADDRESS=" + w.Temporal}, "perceiver", "kubernetes", "--dev", w.Directory,
		"--kubeconfig", other.Kubeconfig, "--cluster", rig.ClusterName)
	select {
	case err := <-p.Ended:
		p.Ended <- err
		require.Error(w.T, err, "it ends with a failure")
	case <-time.After(2 * time.Minute):
		require.Fail(w.T, "the perceiver of another cluster goes on", p.Transcript.String())
	}
	require.Contains(w.T, p.Transcript.String(), "belongs to another cluster")
	require.Contains(w.T, w.list(), "another cluster uses this name")
}

// allRight waits until every mark equals what the pod's images say.
func (w *marksSystem) allRight(when string) {
	w.T.Helper()
	began, logged := time.Now(), time.Now()
	for {
		wrong, total, example := w.wrong(w.T.Context())
		if wrong == 0 && total == markedPods {
			w.T.Logf("%s: all marks are right after %s", when, time.Since(began).Round(time.Second))
			return
		}
		if time.Since(logged) > 20*time.Second {
			logged = time.Now()
			w.T.Logf("%s, after %s: %d of %d pods have wrong marks, such as %s", when, time.Since(began).Round(time.Second), wrong, total, example)
		}
		require.Less(w.T, time.Since(began), marksWithin, "%s: %d of %d pods have wrong marks, such as %s; see %s", when, wrong, total, example, w.Logs)
		time.Sleep(time.Second)
	}
}

// wrong counts the pods whose marks are not what their rows say, and gives an example. A pod without a verdict is wrong here.
func (w *marksSystem) wrong(ctx context.Context) (wrong, total int, example string) {
	pods, err := w.podsInCluster(ctx)
	require.NoError(w.T, err)
	rows, err := w.rows(ctx)
	if err != nil {
		return len(pods), len(pods), err.Error()
	}
	byUID := map[string]model.PodVerdict{}
	for _, row := range rows {
		byUID[row.UID] = row
	}
	if len(byUID) != len(pods) {
		wrong, example = 1, fmt.Sprintf("%d rows of %d pods", len(byUID), len(pods))
	}
	for key, pod := range pods {
		if fault := faultOf(pod, byUID[pod.Metadata.UID]); fault != "" {
			wrong++
			example = key + ": " + fault
		}
	}
	return wrong, len(pods), example
}

// faultOf is how the marks of a pod differ from its row, in both forms of keys; empty where they do not.
func faultOf(pod inCluster, row model.PodVerdict) string {
	if row.Status != model.StatusComplete {
		return fmt.Sprintf("the row is %q, %s", row.Status, row.OverallStatus)
	}
	bad := func(c model.Counts) string { return strconv.Itoa(c.Critical + c.High) }
	want := map[string]string{
		"pod.overall-status": string(row.OverallStatus), "com.blackducksoftware.pod.overall-status": string(row.OverallStatus),
		"pod.policy-violations": strconv.Itoa(row.PolicyViolations), "pod.vulnerabilities": bad(row.Vulnerabilities),
		"com.blackducksoftware.pod.vulnerabilities": bad(row.Vulnerabilities),
	}
	for i, c := range row.Containers {
		for _, prefix := range []string{"", "com.blackducksoftware."} {
			key := fmt.Sprintf("%simage%d", prefix, i)
			want[key+".overall-status"], want[key+".vulnerabilities"] = string(c.Image.OverallStatus), bad(c.Image.Vulnerabilities)
		}
		if pod.Metadata.Labels[fmt.Sprintf("image%d", i)] == "" {
			return fmt.Sprintf("there is no image%d", i)
		}
	}
	for key, value := range want {
		if pod.Metadata.Labels[key] != value {
			return fmt.Sprintf("label %s is %q; want %q", key, pod.Metadata.Labels[key], value)
		}
	}
	if got := pod.Metadata.Annotations["pod.overall-status"]; got != string(row.OverallStatus) {
		return fmt.Sprintf("annotation pod.overall-status is %q; want %q", got, row.OverallStatus)
	}
	return ""
}
