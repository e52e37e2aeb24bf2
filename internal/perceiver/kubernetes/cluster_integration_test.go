//go:build integration

package kubernetes

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/image"
	"github.com/perceptor/perceptor/internal/kubetest"
)

// realCluster is an API server with two nodes and a namespace.
func realCluster(t *testing.T) *kubetest.Cluster {
	t.Helper()
	c := kubetest.Start(t)
	require.NoError(t, c.AddNode(t.Context(), kubetest.Node{Name: "intel", Architecture: "amd64", Runtime: "containerd://2.1.4"}))
	require.NoError(t, c.AddNode(t.Context(), kubetest.Node{Name: "arm", Architecture: "arm64", Runtime: "cri-o://1.34.0"}))
	require.NoError(t, c.AddNamespace(t.Context(), "shop", nil))
	return c
}

// onCluster runs a perceiver on a real cluster.
func onCluster(t *testing.T, o Options, kubeconfig string) {
	t.Helper()
	var err error
	o.Client, err = Connect(Connection{Kubeconfig: kubeconfig, UserAgent: "perceptor/test"})
	require.NoError(t, err)
	perceiver, err := New(o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- perceiver.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

func TestARealClusterIsReported(t *testing.T) {
	c := realCluster(t)
	digest := "sha256:" + sumA
	add := func(p kubetest.Pod) string {
		t.Helper()
		uid, err := c.AddPod(t.Context(), p)
		require.NoError(t, err)
		return uid
	}
	web := add(kubetest.Pod{Namespace: "shop", Name: "web", Node: "arm", Containers: []kubetest.Container{
		{Name: "web", Image: "registry.example/web:1", ImageID: "registry.example/web@" + digest},
		{Name: "setup", Kind: kubetest.Init, Image: "setup:1", ImageID: "docker-pullable://setup@" + digest, Reported: "setup:1"},
		{Name: "proxy", Kind: kubetest.Sidecar, Image: "registry.example/proxy:1", ImageID: digest},
		{Name: "debug", Kind: kubetest.Ephemeral, Image: "registry.example/debug:1"},
	}})
	job := add(kubetest.Pod{Namespace: "shop", Name: "job", Node: "intel", Phase: "Succeeded", Containers: []kubetest.Container{
		{Name: "job", Image: "job:1", ImageID: "docker.io/library/job@" + digest},
	}})

	b := newBoard()
	onCluster(t, Options{Cluster: "c", Reporter: b, SnapshotInterval: time.Hour}, c.Kubeconfig)
	known := func(uid string) func() bool {
		return func() bool { b.lock.Lock(); defer b.lock.Unlock(); _, is := b.known[uid]; return is }
	}
	require.Eventually(t, known(web), soon, 10*time.Millisecond)
	require.False(t, known(job)())
	b.lock.Lock()
	pod := b.known[web]
	b.lock.Unlock()
	require.Equal(t, image.Pod{
		UID: web, Namespace: "shop", Name: "web", Platform: image.Platform{OS: "linux", Architecture: "arm64"}, Containers: []image.Container{
			{Name: "web", Kind: image.ContainerMain, Reference: "registry.example/web:1", Digest: image.Digest(digest)},
			{Name: "setup", Kind: image.ContainerInit, Reference: "setup:1", Digest: image.Digest(digest)},
			{Name: "proxy", Kind: image.ContainerSidecar, Reference: "registry.example/proxy:1"},
			{Name: "debug", Kind: image.ContainerEphemeral, Reference: "registry.example/debug:1"},
		},
	}, pod)

	later := add(kubetest.Pod{Namespace: "shop", Name: "later", Node: "intel", Containers: []kubetest.Container{{Name: "a", Image: "registry.example/a:1"}}})
	require.Eventually(t, known(later), soon, 10*time.Millisecond)
	require.NoError(t, c.DeletePod(t.Context(), "shop", "web"))
	require.Eventually(t, func() bool { return !known(web)() }, soon, 10*time.Millisecond)
	require.NoError(t, c.DeleteNamespace(t.Context(), "shop"))
	require.Eventually(t, func() bool { return !known(later)() }, soon, 10*time.Millisecond)
}
