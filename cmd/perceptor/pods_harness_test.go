//go:build integration || e2e || record || bench

package main_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// labels stands in for a platform: it keeps what was last written onto each pod.
type labels struct {
	lock   sync.Mutex
	pods   map[string]model.PodVerdict
	writes int
}

func (l *labels) Write(_ context.Context, rows []model.PodVerdict) (model.WriteResult, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	for _, row := range rows {
		l.pods[row.UID] = row
		l.writes++
	}
	return model.WriteResult{Written: len(rows)}, nil
}

// of is what stands on a pod.
func (l *labels) of(uid string) model.PodVerdict {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.pods[uid]
}

// written is how many pods were written to.
func (l *labels) written() int {
	l.lock.Lock()
	defer l.lock.Unlock()
	return len(l.pods)
}

func (l *labels) count() int {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.writes
}

// perceiver serves the queue of a cluster, as a perceiver's process does.
func (d *dev) perceiver(t testing.TB, cluster string) *labels {
	t.Helper()
	written := &labels{pods: map[string]model.PodVerdict{}}
	w := worker.New(d.client, workflows.PerceiverQueue(cluster), worker.Options{DisableWorkflowWorker: true})
	w.RegisterActivity(activities.NewPerceiverSteps(d.starter.Pods, written))
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	return written
}

// running is a pod that runs an image, under its manifest's digest or another form.
func running(namespace, name, reference string, reported model.Digest) model.Pod {
	return model.Pod{
		UID: "uid-" + namespace + "-" + name, Namespace: namespace, Name: name, Platform: model.Platform{OS: "linux", Architecture: "amd64"},
		Containers: []model.Container{{Name: "main", Reference: reference, Digest: reported}},
	}
}
