//go:build e2e

package kubernetes

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/perceptor/perceptor/internal/kubetest"
	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
)

// realCluster is an API server with two nodes and a namespace.
func realCluster(t *testing.T) *kubetest.Cluster {
	t.Helper()
	rig.Needs(t, "etcd", "etcd-server")
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
	onCluster(t, Options{Cluster: "c", Reporter: b, SnapshotInterval: time.Hour, LeaderElect: true}, c.Kubeconfig)
	known := func(uid string) func() bool {
		return func() bool { b.lock.Lock(); defer b.lock.Unlock(); _, is := b.known[uid]; return is }
	}
	require.Eventually(t, known(web), soon, 10*time.Millisecond)
	require.False(t, known(job)())
	b.lock.Lock()
	pod := b.known[web]
	b.lock.Unlock()
	require.Equal(t, model.Pod{
		UID: web, Namespace: "shop", Name: "web", Platform: model.Platform{OS: "linux", Architecture: "arm64"}, Containers: []model.Container{
			{Name: "web", Kind: model.ContainerMain, Reference: "registry.example/web:1", Digest: model.Digest(digest)},
			{Name: "setup", Kind: model.ContainerInit, Reference: "setup:1", Digest: model.Digest(digest)},
			{Name: "proxy", Kind: model.ContainerSidecar, Reference: "registry.example/proxy:1", Digest: model.Digest(digest)},
			{Name: "debug", Kind: model.ContainerEphemeral, Reference: "registry.example/debug:1"},
		},
	}, pod)

	later := add(kubetest.Pod{Namespace: "shop", Name: "later", Node: "intel", Containers: []kubetest.Container{{Name: "a", Image: "registry.example/a:1"}}})
	require.Eventually(t, known(later), soon, 10*time.Millisecond)
	require.NoError(t, c.DeletePod(t.Context(), "shop", "web"))
	require.Eventually(t, func() bool { return !known(web)() }, soon, 10*time.Millisecond)
	require.NoError(t, c.DeleteNamespace(t.Context(), "shop"))
	require.Eventually(t, func() bool { return !known(later)() }, soon, 10*time.Millisecond)
}

// onPod reads a pod's labels, annotations and owners of fields.
func onPod(t *testing.T, c *kubetest.Cluster, namespace, name string) metav1.ObjectMeta {
	t.Helper()
	var pod struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
	}
	require.NoError(t, c.Get(t.Context(), "/api/v1/namespaces/"+namespace+"/pods/"+name, &pod))
	return pod.Metadata
}

func TestARealClusterIsWrittenTo(t *testing.T) {
	c := realCluster(t)
	uid, err := c.AddPod(t.Context(), kubetest.Pod{
		Namespace: "shop", Name: "web", Node: "arm", Labels: map[string]string{"app": "web", "pod.vulnerabilities": "7"},
		Containers: []kubetest.Container{{Name: "web", Image: "registry.example/web:1"}},
	})
	require.NoError(t, err)
	writers := make(chan *Writer, 1)
	onCluster(t, Options{Cluster: "c", Reporter: newBoard(), Form: FormBoth, SnapshotInterval: time.Hour, Serve: func(ctx context.Context, w *Writer) {
		writers <- w
		<-ctx.Done()
	}}, c.Kubeconfig)
	w := <-writers
	write := func(containers ...model.ContainerVerdict) model.WriteResult {
		t.Helper()
		row := model.Join("c", model.Pod{UID: uid, Namespace: "shop", Name: "web"}, containers)
		result, err := w.Write(t.Context(), []string{uid}, func(context.Context, []string) ([]model.PodVerdict, error) { return []model.PodVerdict{row}, nil })
		require.NoError(t, err)
		return result
	}
	clean, bad := verdictOn("registry.example/web:1", model.NotInViolation, 0, 1), verdictOn("registry.example/b:1", model.InViolation, 2, 5)
	require.Equal(t, model.WriteResult{Written: 1}, write(clean, clean))
	now := onPod(t, c, "shop", "web")
	want := w.manager.Want(w.marker.of(model.Join("c", model.Pod{}, []model.ContainerVerdict{clean, clean})), []string{"label pod.vulnerabilities"})
	require.Equal(t, want, w.manager.Read(&now).Marks, "every key is ours but the one that another had before")
	require.Equal(t, "7", now.Labels["pod.vulnerabilities"])
	require.Equal(t, "web", now.Labels["app"])
	require.Eventually(t, func() bool { w.lock.Lock(); defer w.lock.Unlock(); return len(w.sent) == 0 }, soon, 10*time.Millisecond)
	require.Equal(t, model.WriteResult{Unchanged: 1}, write(clean, clean))
	require.Equal(t, now.ResourceVersion, onPod(t, c, "shop", "web").ResourceVersion)

	require.Equal(t, model.WriteResult{Written: 1}, write(bad))
	now = onPod(t, c, "shop", "web")
	require.NotContains(t, now.Labels, "image1")
	require.NotContains(t, now.Annotations, "image1.quality.image.openshift.io")
	require.Equal(t, "web", now.Labels["app"])
	var events struct {
		Items []struct {
			Reason, Message string
			InvolvedObject  struct{ UID string }
		}
	}
	require.Eventually(t, func() bool {
		return c.Get(t.Context(), "/api/v1/namespaces/shop/events", &events) == nil && len(events.Items) > 0
	}, soon, 10*time.Millisecond)
	require.Len(t, events.Items, 1)
	require.Equal(t, uid, events.Items[0].InvolvedObject.UID)
	require.Equal(t, "PolicyViolation", events.Items[0].Reason)

	// Another pod of the same name is not written to, not even before the cache has heard of it.
	require.NoError(t, c.DeletePod(t.Context(), "shop", "web"))
	_, err = c.AddPod(t.Context(), kubetest.Pod{Namespace: "shop", Name: "web", Node: "arm", Containers: []kubetest.Container{{Name: "web", Image: "registry.example/web:2"}}})
	require.NoError(t, err)
	row := model.Join("c", model.Pod{UID: uid, Namespace: "shop", Name: "web"}, []model.ContainerVerdict{clean})
	became, err := w.bring(t.Context(), row, &podEntry{})
	require.NoError(t, err)
	require.Equal(t, gone, became)
	require.Empty(t, onPod(t, c, "shop", "web").Labels)
	require.NoError(t, c.DeletePod(t.Context(), "shop", "web"))
	became, err = w.bring(t.Context(), row, &podEntry{})
	require.NoError(t, err)
	require.Equal(t, gone, became, "and nothing is made again")
	require.Len(t, write(clean).Gone, 1)
}

func TestPullSecretsOfARealCluster(t *testing.T) {
	c := realCluster(t)
	manifest := filepath.Join(t.TempDir(), "secret.yaml")
	require.NoError(t, os.WriteFile(manifest, []byte(`apiVersion: v1
kind: Secret
metadata: {name: ours, namespace: shop}
type: kubernetes.io/dockerconfigjson
stringData: {.dockerconfigjson: '{"auths":{"registry.example":{"username":"robot","password":"s3cret"}}}'}
`), 0o600))
	objects, err := kubetest.ReadManifests(manifest)
	require.NoError(t, err)
	for _, object := range objects {
		require.NoError(t, c.Apply(t.Context(), object))
	}
	client, err := Connect(Connection{Kubeconfig: c.Kubeconfig, UserAgent: "perceptor/test"})
	require.NoError(t, err)
	texts, err := NewSecrets(client).DockerConfigs(t.Context(), "kubernetes:shop/gone,ours")
	require.NoError(t, err)
	require.Len(t, texts, 1)
	require.JSONEq(t, `{"auths":{"registry.example":{"username":"robot","password":"s3cret"}}}`, string(texts[0]))
}
