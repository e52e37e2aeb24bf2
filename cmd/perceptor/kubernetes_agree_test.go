//go:build e2e

package main_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/kubetest"
	"github.com/perceptor/perceptor/model"
)

// unscannable are images that get no verdict, as a pod names them and as the runtime reports them.
var unscannable = map[string]struct{ image, id string }{
	"missing":  {"/no/such:1", ""},
	"vanished": {"/no/such:2", "/no/such@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	"nonsense": {"/No Such", ""},
}

// unscanned is what stands on a pod that never had all of its images scanned: nothing.
var unscanned = marks{"", -1, -1}

// originalAnswer is the original's answer.
type originalAnswer struct {
	Pods []scannedPod
}

type scannedPod struct {
	Namespace, Name                   string
	PolicyViolations, Vulnerabilities int
	OverallStatus                     model.OverallStatus
}

// addUnscannable adds pods that run an image which cannot be scanned beside a clean one that can.
func (w *world) addUnscannable(ctx context.Context) []planned {
	var all []planned
	for name, each := range unscannable {
		clean := w.images[1]
		p := planned{}
		p.Namespace, p.Name, p.Node = "unscannable", name, nodes[0].Name
		p.Containers = []kubetest.Container{
			{Name: "clean", Image: clean.reference(), ImageID: clean.repository + "@" + string(clean.manifests["amd64"])},
			{Name: "cannot", Image: w.Registry + each.image},
		}
		if each.id != "" {
			p.Containers[1].ImageID = w.Registry + each.id
		}
		all = append(all, p)
	}
	w.addNamespaces(all)
	for _, p := range all {
		_, err := w.kube.AddPod(ctx, p.Pod)
		require.NoError(w.t, err)
	}
	return all
}

// podsByCommand asks `perceptor pods`.
func (w *world) podsByCommand() map[string]model.PodVerdict {
	path, err := filepath.Abs(filepath.Join(bin, "perceptor"))
	require.NoError(w.t, err)
	command := exec.Command(path, "pods", "--dev", w.directory, "--cluster", clusterName, "-o", "json")
	command.Env = append(os.Environ(), "TEMPORAL_ADDRESS="+w.Temporal)
	said, err := command.Output()
	require.NoError(w.t, err, "%s", said)
	var rows []model.PodVerdict
	require.NoError(w.t, json.Unmarshal(said, &rows), "%.300s", said)
	all := map[string]model.PodVerdict{}
	for _, row := range rows {
		all[row.Namespace+"/"+row.Name] = row
	}
	require.Len(w.t, all, len(rows))
	return all
}

// compare reads what is known of the pods in three ways: `perceptor pods`, the original's /scanresults, and the annotations in the
// cluster. They agree on every pod whose images are all scanned; of the others the first alone speaks, and says why they are not.
func (w *world) compare(ctx context.Context, others []planned) {
	t := w.t
	eventually(t, 3*time.Minute, "a reason for every pod that is not scanned", func() bool {
		rows := w.podsByCommand()
		for _, p := range others {
			if rows[p.key()].Status != model.StatusFailed {
				return false
			}
		}
		return true
	})
	rows := w.podsByCommand()
	var results originalAnswer
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
