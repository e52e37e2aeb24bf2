//go:build e2e

package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/kubetest"
	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/internal/perceiver/conformance"
	"github.com/perceptor/perceptor/model"
)

// TestConformance runs the behaviours that every perceiver has on a real API server, each in a namespace of its own.
func TestConformance(t *testing.T) {
	c := realCluster(t)
	number := 0
	start := func(t *testing.T) *realPlatform {
		t.Helper()
		number++
		namespace := fmt.Sprintf("behaviour-%d", number)
		require.NoError(t, c.AddNamespace(t.Context(), namespace, nil))
		front := c.NewFront(t)
		kubeconfig, err := front.Kubeconfig(c.Kubeconfig)
		require.NoError(t, err)
		return &realPlatform{cluster: c, front: front, kubeconfig: kubeconfig, namespace: namespace}
	}
	conformance.Run(t, func(t *testing.T) conformance.Platform { return start(t) })
	conformance.RunMarked(t, func(t *testing.T) conformance.Marked { return start(t) })
}

// realPlatform is one namespace of a real API server, which the perceiver reaches through a Front.
type realPlatform struct {
	cluster               *kubetest.Cluster
	front                 *kubetest.Front
	kubeconfig, namespace string
	marked
}

var _ conformance.Marked = (*realPlatform)(nil)

// Shown is what the pod's label says.
func (p *realPlatform) Shown(t *testing.T, name string) model.OverallStatus {
	t.Helper()
	now := onPod(t, p.cluster, p.namespace, name)
	return model.OverallStatus(now.Labels["pod.overall-status"])
}

// Deface edits the label.
func (p *realPlatform) Deface(t *testing.T, name string) {
	t.Helper()
	path := "/api/v1/namespaces/" + p.namespace + "/pods/" + name + "?fieldManager=user"
	edit := kubetest.Object{"metadata": kubetest.Object{"labels": kubetest.Object{"pod.overall-status": "NOT_IN_VIOLATION"}}}
	require.NoError(t, p.cluster.Call(t.Context(), http.MethodPatch, path, kubetest.Merge, edit, nil))
}

// Add runs a pod.
func (p *realPlatform) Add(t *testing.T, name, tag string) {
	t.Helper()
	_, err := p.cluster.AddPod(t.Context(), kubetest.Pod{
		Namespace: p.namespace, Name: name, Node: "intel", Containers: []kubetest.Container{{Name: "main", Image: "registry.example/" + name + ":" + tag}},
	})
	require.NoError(t, err)
}

// Replace deletes the pod and runs another one of its name, as a StatefulSet does.
func (p *realPlatform) Replace(t *testing.T, name, tag string) {
	t.Helper()
	p.Remove(t, name)
	p.Add(t, name, tag)
}

// Remove deletes a pod.
func (p *realPlatform) Remove(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, p.cluster.DeletePod(t.Context(), p.namespace, name))
}

// Away refuses all connections until Back.
func (p *realPlatform) Away(*testing.T) { p.front.Close() }

// Back lets connections in again.
func (p *realPlatform) Back(*testing.T) { p.front.Open() }

// Repeat cuts the watches, so that they begin again.
func (p *realPlatform) Repeat(*testing.T) {
	for range 3 {
		p.front.Cut()
	}
}

// Watch runs a perceiver.
func (p *realPlatform) Watch(ctx context.Context, to perceiver.Reporter) error {
	client, err := Connect(Connection{Kubeconfig: p.kubeconfig, UserAgent: "perceptor/test"})
	if err != nil {
		return err
	}
	return p.watchWith(ctx, client, to, p.namespace)
}
