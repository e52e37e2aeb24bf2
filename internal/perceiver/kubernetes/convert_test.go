package kubernetes

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/perceptor/perceptor/model"
)

func everything(t *testing.T) *Filter {
	t.Helper()
	f, err := NewFilter(Selection{})
	require.NoError(t, err)
	return f
}

// podOf is a pod on a node with containers "c0", "c1", ... of these images.
func podOf(namespace, name string, images ...string) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-" + namespace + "-" + name)},
		Spec:       corev1.PodSpec{NodeName: "node"},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for i, each := range images {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: fmt.Sprintf("c%d", i), Image: each})
	}
	return pod
}

func TestWhatAContainerRuns(t *testing.T) {
	a, b := model.Digest("sha256:"+sumA), model.Digest("sha256:"+sumB)
	for _, row := range []struct {
		what, asked      string
		statusImage, id  string
		reference        string
		digest           model.Digest
		repository       string
		withoutAnyStatus bool
	}{
		{what: "containerd", asked: "r.example/app:1", id: "r.example/app@" + string(a), reference: "r.example/app:1", digest: a},
		{what: "Docker", asked: "r.example/app:1", id: "docker-pullable://r.example/app@" + string(a), reference: "r.example/app:1", digest: a},
		{
			what: "the runtime knows the digest under another name", asked: "r.example/app:1", id: "m.example/copy@" + string(a), reference: "r.example/app:1", digest: a,
			repository: "m.example/copy",
		},
		{what: "a short name", asked: "nginx:1", id: "docker.io/library/nginx@" + string(a), reference: "docker.io/library/nginx:1", digest: a},
		{what: "a short name without a tag", asked: "fedora", id: "quay.example/fedora@" + string(a), reference: "quay.example/fedora", digest: a},
		{what: "a short name with Docker", asked: "nginx:1", id: "docker-pullable://nginx@" + string(a), reference: "nginx:1", digest: a},
		{what: "built on the node", asked: "app:dev", id: "docker://sha256:" + sumA, reference: "app:dev", digest: a},
		{what: "only a configuration", asked: "r.example/app:1", id: "sha256:" + sumA, reference: "r.example/app:1", digest: a},
		{what: "pinned, only a configuration", asked: "r.example/app:1@" + string(b), id: "sha256:" + sumA, reference: "r.example/app:1", digest: b},
		{what: "pinned, not started", asked: "r.example/app@" + string(b), reference: "r.example/app", digest: b},
		{what: "pinned to an index, running a manifest of it", asked: "r.example/app@" + string(b), id: "r.example/app@" + string(a), reference: "r.example/app", digest: a},
		{what: "not started", asked: "r.example/app:1", reference: "r.example/app:1"},
		{what: "no status at all", asked: "r.example/app:1", reference: "r.example/app:1", withoutAnyStatus: true},
		{what: "asked for by a configuration", asked: "sha256:" + sumB, statusImage: "r.example/app:1", id: "r.example/app@" + string(a), reference: "r.example/app:1", digest: a},
		{what: "asked for by a configuration and nothing else known", asked: sumB, id: "sha256:" + sumB, reference: sumB, digest: b},
		{what: "no reference at all", asked: "a b", reference: "a b"},
		{what: "no reference, but the runtime knows one", asked: "a b", id: "r.example/app@" + string(a), reference: "r.example/app", digest: a},
		{what: "bytes that are no text", asked: "a\xff", reference: "a\uFFFD"},
	} {
		t.Run(row.what, func(t *testing.T) {
			pod := podOf("n", "p", row.asked)
			if !row.withoutAnyStatus {
				pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c0", Image: row.statusImage, ImageID: row.id}}
			}
			got := convert(pod, everything(t), false)
			require.Equal(t, []model.Container{{Name: "c0", Kind: model.ContainerMain, Reference: row.reference, Digest: row.digest, Repository: row.repository}}, got.Containers)
		})
	}
}

func TestEveryKindOfContainer(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	id := func(name string) string { return "registry.example/" + name + "@sha256:" + sumA }
	pod := podOf("n", "p", "registry.example/main:1")
	pod.Spec.InitContainers = []corev1.Container{
		{Name: "setup", Image: "registry.example/setup:1"}, {Name: "proxy", Image: "registry.example/proxy:1", RestartPolicy: &always},
	}
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{
		{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "registry.example/debug:1"}},
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c0", ImageID: id("main")}, {Name: "stray", ImageID: id("stray")}}
	pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "setup", ImageID: id("setup")}}
	pod.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{{Name: "debug", ImageID: id("debug")}}
	digest := model.Digest("sha256:" + sumA)
	require.Equal(t, model.Pod{UID: "uid-n-p", Namespace: "n", Name: "p", Containers: []model.Container{
		{Name: "c0", Kind: model.ContainerMain, Reference: "registry.example/main:1", Digest: digest},
		{Name: "setup", Kind: model.ContainerInit, Reference: "registry.example/setup:1", Digest: digest},
		{Name: "proxy", Kind: model.ContainerSidecar, Reference: "registry.example/proxy:1"},
		{Name: "debug", Kind: model.ContainerEphemeral, Reference: "registry.example/debug:1", Digest: digest},
	}}, convert(pod, everything(t), false))
}

func TestPodsWithTenThousandContainers(t *testing.T) {
	const many = 10_000
	images := make([]string, many)
	pod := podOf("n", "p", images...)
	for i := range many {
		pod.Spec.Containers[i].Image = "r.example/app:1"
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: fmt.Sprintf("c%d", many-1-i), ImageID: "r.example/app@sha256:" + sumA,
		})
	}
	got := convert(pod, everything(t), false)
	require.Len(t, got.Containers, many)
	require.Equal(t, model.Digest("sha256:"+sumA), got.Containers[many-1].Digest)
}

func TestCredentialsAreNames(t *testing.T) {
	pod := podOf("team-a", "p", "r.example/app:1")
	require.Empty(t, convert(pod, everything(t), true).Credential)
	pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "one"}, {}, {Name: "two"}}
	require.Equal(t, "kubernetes:team-a/one,two", convert(pod, everything(t), true).Credential)
	require.Empty(t, convert(pod, everything(t), false).Credential)
}

func TestPlatformAPodAsksFor(t *testing.T) {
	pod := podOf("n", "p", "app")
	require.Equal(t, model.Platform{}, wantedPlatform(pod))
	pod.Spec.NodeSelector = map[string]string{corev1.LabelOSStable: "linux", corev1.LabelArchStable: "arm64"}
	require.Equal(t, model.Platform{OS: "linux", Architecture: "arm64"}, wantedPlatform(pod))
	pod.Spec.OS = &corev1.PodOS{Name: corev1.Windows}
	require.Equal(t, "windows/arm64", wantedPlatform(pod).String())
}

func TestPlatformOfAWindowsNodeHasItsVersion(t *testing.T) {
	node := &corev1.Node{Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{OperatingSystem: "windows", Architecture: "amd64", KernelVersion: "10.0.20348.1850"}}}
	require.Equal(t, model.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.1850"}, platformOf(node))
	node.Status.NodeInfo.KernelVersion, node.Labels = "", map[string]string{corev1.LabelWindowsBuild: "10.0.20348"}
	require.Equal(t, "10.0.20348", platformOf(node).OSVersion)
	node.Status.NodeInfo.OperatingSystem, node.Status.NodeInfo.KernelVersion = "linux", "6.1.0"
	require.Empty(t, platformOf(node).OSVersion, "the kernel of Linux decides about no image")
}
