package kubernetes

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/internal/perceiver/conformance"
	"github.com/perceptor/perceptor/model"
)

// TestMarksConform runs the behaviours of writing back on client-go's fake cluster. A test with the tag e2e runs them, and those of
// reports, on a real one.
func TestMarksConform(t *testing.T) {
	conformance.RunMarked(t, func(*testing.T) conformance.Marked {
		return &fakePlatform{client: fake.NewClientset(nodeOf("node", "amd64"), namespaceOf("a", nil))}
	})
}

// marked is a platform whose perceiver's writer is kept.
type marked struct{ writer atomic.Pointer[Writer] }

// Write writes rows by the perceiver that runs.
func (m *marked) Write(ctx context.Context, uids []string, read func(context.Context, []string) ([]model.PodVerdict, error)) (model.WriteResult, error) {
	for m.writer.Load() == nil && ctx.Err() == nil {
		time.Sleep(time.Millisecond) // it has begun to report, and begins to write
	}
	return m.writer.Load().Write(ctx, uids, read)
}

// watchWith runs a perceiver that reports the pods of one namespace.
func (m *marked) watchWith(ctx context.Context, client Client, to perceiver.Reporter, namespace string) error {
	watching, err := New(Options{
		Cluster: "c", Client: client, Reporter: to, Selection: Selection{Namespaces: []string{namespace}},
		Serve: func(ctx context.Context, w *Writer) {
			m.writer.Store(w)
			<-ctx.Done()
		},
	})
	if err != nil {
		return err
	}
	return watching.Run(ctx)
}

// fakePlatform is client-go's fake cluster.
type fakePlatform struct {
	marked
	client *fake.Clientset
	number int
}

// Add runs a pod.
func (p *fakePlatform) Add(t *testing.T, name, tag string) {
	t.Helper()
	p.number++
	pod := podOf("a", name, "registry.example/"+name+":"+tag)
	pod.UID = types.UID(fmt.Sprintf("uid-%d", p.number))
	_, err := p.client.CoreV1().Pods("a").Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
}

// Replace deletes the pod and runs another one of its name.
func (p *fakePlatform) Replace(t *testing.T, name, tag string) {
	t.Helper()
	p.Remove(t, name)
	p.Add(t, name, tag)
}

// Remove deletes a pod.
func (p *fakePlatform) Remove(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, p.client.CoreV1().Pods("a").Delete(t.Context(), name, metav1.DeleteOptions{}))
}

// Away, Back and Repeat are not asked for by the behaviours of writing back.
func (p *fakePlatform) Away(*testing.T) {}

// Back does nothing.
func (p *fakePlatform) Back(*testing.T) {}

// Repeat does nothing.
func (p *fakePlatform) Repeat(*testing.T) {}

// Shown is what the pod's label says.
func (p *fakePlatform) Shown(t *testing.T, name string) model.OverallStatus {
	t.Helper()
	pod, err := p.client.CoreV1().Pods("a").Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	return model.OverallStatus(pod.Labels["pod.overall-status"])
}

// Deface edits the label.
func (p *fakePlatform) Deface(t *testing.T, name string) {
	t.Helper()
	_, err := p.client.CoreV1().Pods("a").Patch(t.Context(), name, types.MergePatchType,
		[]byte(`{"metadata":{"labels":{"pod.overall-status":"NOT_IN_VIOLATION"}}}`), metav1.PatchOptions{FieldManager: "user"})
	require.NoError(t, err)
}

// Watch runs a perceiver.
func (p *fakePlatform) Watch(ctx context.Context, to perceiver.Reporter) error {
	return p.watchWith(ctx, fakeClient{p.client}, to, "a")
}
