//go:build e2e

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/internal/kubetest"
	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
)

// TestKubernetesEndToEnd joins 300 pods of 20 namespaces while the perceiver, the API and the worker are killed with -9, and while pods
// and namespaces are deleted. Then Temporal loses everything, and the join comes back without an upload.
func TestKubernetesEndToEnd(t *testing.T) {
	rig.Wanted(t, rig.EnvLong)
	s := size{
		pods: 300, namespaces: 20, images: 36, doomed: 48, doomedNamespaces: 4, rounds: 2,
		pause: 200 * time.Millisecond, down: 4 * time.Second, within: 15 * time.Minute,
	}
	w := startKubernetes(t, s.images)
	r := w.tell(s)
	r.agreed(t, s.pods)

	before := w.Stats(t)
	w.EmptyTemporal()
	for _, part := range slices.Backward(rig.Parts) {
		w.StartPart(part)
	}
	w.settle(t.Context(), s.within).agreed(t, s.pods)
	require.Equal(t, before.UploadsStarted, w.Stats(t).UploadsStarted, "the join comes back without an upload")

	w.compare(t.Context(), w.addUnscannable(t.Context()))
	rig.AnnounceResult(t, r.line())
}

// size is how large a story is.
type size struct {
	pods, namespaces, images int
	// doomed pods are deleted on the way, some with their namespaces.
	doomed, doomedNamespaces int
	// rounds is how often each of Perceptor's processes is killed.
	rounds int
	// pause is the time between two new pods, down how long a killed process stays away, within how long it may take until all is
	// well again after the last kill.
	pause, down, within time.Duration
}

// tell runs pods in a cluster while Perceptor's processes are killed and pods and namespaces deleted, and waits until the join, the
// pods' labels and annotations, and the hub agree.
func (w *kubernetesSystem) tell(s size) report {
	ctx, cancel := context.WithCancel(w.T.Context())
	defer cancel()
	stay := rig.PlanPods(w.Images, s.pods, s.namespaces)
	doomed := rig.PlanDoomedPods(w.Images, s.doomed, s.namespaces, s.doomedNamespaces)
	require.Subset(w.T, rig.DigestsOf(stay), rig.DigestsOf(doomed), "what only deleted pods run may be scanned or not")
	w.AddNamespaces(stay, doomed)
	require.NoError(w.T, w.AddPods(ctx, doomed, 0))
	for _, part := range slices.Backward(rig.Parts) {
		w.StartPart(part)
	}
	var coming errgroup.Group
	coming.Go(func() error { return w.AddPods(ctx, stay, s.pause) })
	w.storm(ctx, s, doomed)
	require.NoError(w.T, coming.Wait())
	r := w.settle(ctx, s.within)
	w.T.Logf("hub: %+v", w.Stats(w.T))
	return r
}

// storm kills the processes in turn. While the perceiver is dead, some of the doomed pods and one of the doomed namespaces go.
func (w *kubernetesSystem) storm(ctx context.Context, s size, doomed []rig.PlannedPod) {
	var single []rig.PlannedPod
	var whole []string
	for _, p := range doomed {
		switch {
		case !strings.HasPrefix(p.Namespace, "doomed-"):
			single = append(single, p)
		case !slices.Contains(whole, p.Namespace):
			whole = append(whole, p.Namespace)
		}
	}
	rounds := max(1, s.rounds)
	for i := range rounds {
		for _, part := range rig.Parts {
			w.T.Logf("round %d: kill -9 of the %s", i+1, part)
			w.KillPart(part)
			if part == rig.Parts[0] {
				w.DeletePods(ctx, single[i*len(single)/rounds:(i+1)*len(single)/rounds])
				for _, namespace := range whole[i*len(whole)/rounds : (i+1)*len(whole)/rounds] {
					w.DeleteNamespace(ctx, namespace)
				}
			}
			time.Sleep(s.down)
			w.StartPart(part)
			time.Sleep(s.down)
		}
	}
}

// settle checks until all is well; what is wrong at the end fails the test.
func (w *kubernetesSystem) settle(ctx context.Context, within time.Duration) report {
	var last report
	var err error
	began, logged := time.Now(), time.Now()
	for time.Since(began) < within {
		last, err = w.check(ctx)
		if err == nil && last.faults == 0 && last.joined == w.pods() {
			w.T.Logf("all is well %s after the last kill", time.Since(began).Round(time.Second))
			return last
		}
		if time.Since(logged) > 20*time.Second {
			logged = time.Now()
			w.T.Logf("%d of %d joined, %d faults, such as %q %v", last.joined, w.pods(), last.faults, last.wrong[:min(2, len(last.wrong))], err)
		}
		time.Sleep(time.Second)
	}
	require.NoError(w.T, err, "see %s", w.Logs)
	require.Fail(w.T, "time is up", "%d of %d pods joined after %s, %d faults; see %s:\n%s",
		last.joined, w.pods(), within, last.faults, w.Logs, strings.Join(last.wrong, "\n"))
	return last
}

// pods is how many the cluster has.
func (w *kubernetesSystem) pods() int {
	return len(w.Alive())
}

// line is how a story ended.
func (r report) line() string {
	return fmt.Sprintf("kubernetes e2e: %d pods joined, %d images, %d scans, %d stale", r.joined, r.images, r.scans, r.stale)
}

// agreed requires that every pod is joined and every image scanned exactly once.
func (r report) agreed(t testing.TB, pods int) {
	t.Helper()
	require.Equal(t, fmt.Sprintf("kubernetes e2e: %d pods joined, %d images, %d scans, 0 stale", pods, r.images, r.images), r.line())
}

// unscannable are images that get no verdict, as a pod names them and as the runtime reports them.
var unscannable = map[string]struct{ image, id string }{
	"missing":  {"/no/such:1", ""},
	"vanished": {"/no/such:2", "/no/such@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	"nonsense": {"/No Such", ""},
}

// unscanned is what stands on a pod that never had all of its images scanned: nothing.
var unscanned = marks{"", -1, -1}

// compatAnswer is the answer of /scanresults, in the form of Perceptor 0.x (2018).
type compatAnswer struct {
	Pods []scannedPod
}

type scannedPod struct {
	Namespace, Name                   string
	PolicyViolations, Vulnerabilities int
	OverallStatus                     model.OverallStatus
}

// addUnscannable adds pods that run an image which cannot be scanned beside a clean one that can.
func (w *kubernetesSystem) addUnscannable(ctx context.Context) []rig.PlannedPod {
	var all []rig.PlannedPod
	for name, each := range unscannable {
		clean := w.Images[1]
		p := rig.PlannedPod{}
		p.Namespace, p.Name, p.Node = "unscannable", name, rig.Nodes[0].Name
		p.Containers = []kubetest.Container{
			{Name: "clean", Image: clean.Reference(), ImageID: clean.Repository + "@" + string(clean.Manifests["amd64"])},
			{Name: "cannot", Image: w.Registry + each.image},
		}
		if each.id != "" {
			p.Containers[1].ImageID = w.Registry + each.id
		}
		all = append(all, p)
	}
	w.AddNamespaces(all)
	for _, p := range all {
		_, err := w.Kube.AddPod(ctx, p.Pod)
		require.NoError(w.T, err)
	}
	return all
}

// podsByCommand asks `perceptor pods`.
func (w *kubernetesSystem) podsByCommand() map[string]model.PodVerdict {
	path := rig.Built(w.T, "perceptor")
	command := exec.Command(path, "pods", "--dev", w.Directory, "--cluster", rig.ClusterName, "-o", "json")
	command.Env = append(os.Environ(), "TEMPORAL_ADDRESS="+w.Temporal)
	said, err := command.Output()
	require.NoError(w.T, err, "%s", said)
	var rows []model.PodVerdict
	require.NoError(w.T, json.Unmarshal(said, &rows), "%.300s", said)
	all := map[string]model.PodVerdict{}
	for _, row := range rows {
		all[row.Namespace+"/"+row.Name] = row
	}
	require.Len(w.T, all, len(rows))
	return all
}

// compare reads what is known of the pods in three ways: `perceptor pods`, /scanresults of Perceptor 0.x (2018), and the annotations in the
// cluster. They agree on every pod whose images are all scanned; of the others the first alone speaks, and says why they are not.
func (w *kubernetesSystem) compare(ctx context.Context, others []rig.PlannedPod) {
	t := w.T
	rig.Eventually(t, 3*time.Minute, "a reason for every pod that is not scanned", func() bool {
		rows := w.podsByCommand()
		for _, p := range others {
			if rows[p.Key()].Status != model.StatusFailed {
				return false
			}
		}
		return true
	})
	rows := w.podsByCommand()
	var results compatAnswer
	require.NoError(t, w.askAPI(ctx, "/scanresults", &results))
	scanned := map[string]scannedPod{}
	for _, pod := range results.Pods {
		scanned[pod.Namespace+"/"+pod.Name] = pod
	}
	require.Len(t, scanned, len(results.Pods))
	pods, err := w.podsInCluster(ctx)
	require.NoError(t, err)
	require.Len(t, rows, len(pods))
	require.Len(t, scanned, len(pods)-len(others))
	for key, pod := range pods {
		row, there := rows[key]
		require.True(t, there, key)
		if row.Status != model.StatusComplete {
			require.NotContains(t, scanned, key)
			require.Equal(t, model.OverallUnknown, row.OverallStatus, key)
			require.NotEmpty(t, reasonsOf(row), key)
			require.Equal(t, unscanned, marked(pod), key)
			continue
		}
		bad := row.Vulnerabilities.Critical + row.Vulnerabilities.High
		require.Equal(t, scannedPod{row.Namespace, row.Name, row.PolicyViolations, bad, row.OverallStatus}, scanned[key])
		require.Equal(t, marks{row.OverallStatus, row.PolicyViolations, bad}, marked(pod), key)
	}
}

// reasonsOf are why containers have no verdict.
func reasonsOf(row model.PodVerdict) []string {
	var all []string
	for _, c := range row.Containers {
		if c.Image.Failure != nil && c.Image.Failure.Reason != "" {
			all = append(all, c.Image.Failure.Reason)
		}
	}
	return all
}
