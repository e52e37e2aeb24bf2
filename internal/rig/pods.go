package rig

import (
	"context"
	"reflect"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Labels stands in for a platform: it keeps the last verdict that was written onto each pod.
type Labels struct {
	lock   sync.Mutex
	pods   map[string]model.PodVerdict
	writes int
}

// Write is what the perceiver's steps call.
func (l *Labels) Write(ctx context.Context, uids []string, read func(context.Context, []string) ([]model.PodVerdict, error)) (model.WriteResult, error) {
	rows, err := read(ctx, uids)
	if err != nil {
		return model.WriteResult{}, err
	}
	l.lock.Lock()
	defer l.lock.Unlock()
	var result model.WriteResult
	for _, row := range rows {
		if reflect.DeepEqual(l.pods[row.UID], row) {
			result.Unchanged++
			continue
		}
		l.pods[row.UID] = row
		l.writes++
		result.Written++
	}
	return result, nil
}

// Of is the verdict on a pod.
func (l *Labels) Of(uid string) model.PodVerdict {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.pods[uid]
}

// WrittenPods is the number of pods with a verdict.
func (l *Labels) WrittenPods() int {
	l.lock.Lock()
	defer l.lock.Unlock()
	return len(l.pods)
}

// Writes is the number of writes, repeated ones included.
func (l *Labels) Writes() int {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.writes
}

// StartPerceiver serves the queue of a cluster, as a perceiver's process does.
func (d *Dev) StartPerceiver(t testing.TB, cluster string) *Labels {
	t.Helper()
	written := &Labels{pods: map[string]model.PodVerdict{}}
	w := worker.New(d.Client, workflows.PerceiverQueue(cluster), worker.Options{DisableWorkflowWorker: true})
	w.RegisterActivity(activities.NewPerceiverSteps(d.Starter.Pods, written))
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	return written
}

// RunningPod is a pod that runs an image. The runtime may have reported a digest or not.
func RunningPod(namespace, name, reference string, reported model.Digest) model.Pod {
	return model.Pod{
		UID: "uid-" + namespace + "-" + name, Namespace: namespace, Name: name, Platform: model.Platform{OS: "linux", Architecture: "amd64"},
		Containers: []model.Container{{Name: "main", Reference: reference, Digest: reported}},
	}
}
