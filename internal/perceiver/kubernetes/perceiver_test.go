package kubernetes

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/perceptor/perceptor/model"
)

const soon = 30 * time.Second

func nodeOf(name, architecture string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Status:     corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{OperatingSystem: "linux", Architecture: architecture}},
	}
}

func namespaceOf(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}

// watched is a perceiver of a fake cluster, and what it reports.
type watched struct {
	*board
	client *fake.Clientset
	test   *testing.T
}

func watchCluster(t *testing.T, client *fake.Clientset, s Selection) *watched {
	t.Helper()
	w := &watched{board: newBoard(), client: client, test: t}
	perceiver, err := New(Options{Cluster: "c", Client: fakeClient{client}, Reporter: w, Selection: s, SnapshotInterval: time.Hour})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- perceiver.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return w
}

// eventually waits until the other side knows just these pods, each by its namespace and name.
func (w *watched) eventually(want ...string) {
	w.test.Helper()
	require.EventuallyWithT(w.test, func(c *assert.CollectT) {
		w.lock.Lock()
		defer w.lock.Unlock()
		var have []string
		for _, pod := range w.known {
			have = append(have, pod.Namespace+"/"+pod.Name)
		}
		require.NotEmpty(c, w.reports)
		require.ElementsMatch(c, want, have)
	}, soon, 10*time.Millisecond)
}

func (w *watched) get(uid string) model.Pod {
	w.lock.Lock()
	defer w.lock.Unlock()
	return w.known[uid]
}

func (w *watched) updatePod(pod *corev1.Pod) {
	w.test.Helper()
	_, err := w.client.CoreV1().Pods(pod.Namespace).Update(w.test.Context(), pod, metav1.UpdateOptions{})
	require.NoError(w.test, err)
}

func (w *watched) createPod(pod *corev1.Pod) {
	w.test.Helper()
	_, err := w.client.CoreV1().Pods(pod.Namespace).Create(w.test.Context(), pod, metav1.CreateOptions{})
	require.NoError(w.test, err)
}

// TestOneOfTwoPerceiversReports: the other one takes over when it stops, under a later epoch.
func TestOneOfTwoPerceiversReports(t *testing.T) {
	cluster := fake.NewClientset(nodeOf("node", "arm64"), podOf("a", "one", "registry.example/app:1"))
	candidate := func() (*board, context.CancelFunc, chan error) {
		b := newBoard()
		perceiver, err := New(Options{Cluster: "c", Client: fakeClient{cluster}, Reporter: b, SnapshotInterval: time.Hour, LeaderElect: true})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- perceiver.Run(ctx) }()
		return b, cancel, ended
	}
	reports := func(b *board) func() bool { return func() bool { return len(b.knows()) == 1 } }
	first, stopFirst, firstEnded := candidate()
	require.Eventually(t, reports(first), soon, 10*time.Millisecond)
	second, stopSecond, secondEnded := candidate()
	time.Sleep(2 * renewEvery)
	require.Empty(t, second.received(), "one reports, the other stands by")
	stopFirst()
	require.NoError(t, <-firstEnded)
	require.Eventually(t, reports(second), leaseFor, 10*time.Millisecond, "a leader that stops in good order frees the Lease at once")
	require.Greater(t, second.received()[0].Version.Epoch, first.received()[0].Version.Epoch)
	stopSecond()
	require.NoError(t, <-secondEnded)
}

func TestWhatRunsIsReported(t *testing.T) {
	waiting := podOf("a", "waiting", "registry.example/app:1")
	waiting.Spec.NodeName = ""
	done := podOf("a", "done", "registry.example/app:1")
	done.Status.Phase = corev1.PodSucceeded
	w := watchCluster(t, fake.NewClientset(nodeOf("node", "arm64"), namespaceOf("a", nil),
		podOf("a", "one", "registry.example/app:1"), podOf("b", "two", "registry.example/app:2"), waiting, done,
		podOf("b", "nothing", "registry.example/pause:3")), Selection{IgnoredImages: DefaultIgnored})
	w.eventually("a/one", "b/two")
	require.Equal(t, model.Platform{OS: "linux", Architecture: "arm64"}, w.get("uid-a-one").Platform)
	require.Equal(t, "c", w.received()[0].Cluster)
	require.False(t, w.received()[0].WriteBack, "no one writes here")
	require.InDelta(t, time.Now().UnixNano(), w.received()[0].Version.Epoch, float64(time.Hour))

	waiting = waiting.DeepCopy()
	waiting.Spec.NodeName = "node"
	w.updatePod(waiting)
	w.eventually("a/one", "b/two", "a/waiting")

	one := podOf("a", "one", "registry.example/app:1")
	one.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c0", ImageID: "registry.example/app@sha256:" + sumA}}
	w.updatePod(one)
	require.Eventually(t, func() bool { return w.get("uid-a-one").Containers[0].Digest == model.Digest("sha256:"+sumA) }, soon, time.Millisecond)

	one = one.DeepCopy()
	one.Status.Phase = corev1.PodFailed
	w.updatePod(one)
	w.eventually("b/two", "a/waiting")
	require.NoError(t, w.client.CoreV1().Pods("b").Delete(t.Context(), "two", metav1.DeleteOptions{}))
	w.eventually("a/waiting")
}

func TestASuccessorOfTheSameName(t *testing.T) {
	w := watchCluster(t, fake.NewClientset(podOf("a", "db-0", "registry.example/db:1")), Selection{})
	w.eventually("a/db-0")
	require.NoError(t, w.client.CoreV1().Pods("a").Delete(t.Context(), "db-0", metav1.DeleteOptions{}))
	next := podOf("a", "db-0", "registry.example/db:1")
	next.UID = "next"
	w.createPod(next)
	require.Eventually(t, func() bool { return w.get("next").Name != "" && w.get("uid-a-db-0").Name == "" }, soon, time.Millisecond)
	w.eventually("a/db-0")
}

func TestWhatDoesNotMatterIsNoReport(t *testing.T) {
	w := watchCluster(t, fake.NewClientset(podOf("a", "one", "registry.example/app:1"), nodeOf("node", "amd64")), Selection{})
	w.eventually("a/one")
	for i := range 50 {
		pod := podOf("a", "one", "registry.example/app:1")
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Message: fmt.Sprint(i)}}
		pod.Labels = map[string]string{"i": fmt.Sprint(i)}
		w.updatePod(pod)
	}
	w.createPod(podOf("a", "two", "registry.example/app:1"))
	w.eventually("a/one", "a/two")
	for _, r := range w.received()[1:] {
		for _, pod := range r.Pods {
			require.NotEqual(t, "one", pod.Name)
		}
	}
}

func TestOptingOutAndIn(t *testing.T) {
	w := watchCluster(t, fake.NewClientset(namespaceOf("a", nil), podOf("a", "one", "app"), podOf("a", "two", "app"), podOf("b", "three", "app")), Selection{})
	w.eventually("a/one", "a/two", "b/three")
	quiet := podOf("b", "three", "app")
	quiet.Annotations = map[string]string{OptOut: "true"}
	w.updatePod(quiet)
	w.eventually("a/one", "a/two")
	namespace := namespaceOf("a", nil)
	namespace.Annotations = map[string]string{OptOut: "true"}
	_, err := w.client.CoreV1().Namespaces().Update(t.Context(), namespace, metav1.UpdateOptions{})
	require.NoError(t, err)
	w.eventually()
	_, err = w.client.CoreV1().Namespaces().Update(t.Context(), namespaceOf("a", nil), metav1.UpdateOptions{})
	require.NoError(t, err)
	w.eventually("a/one", "a/two")
}

func TestNamespacesAreSelected(t *testing.T) {
	yes := map[string]string{"scan": "yes"}
	w := watchCluster(t, fake.NewClientset(namespaceOf("team-a", yes), namespaceOf("team-b", nil), namespaceOf("other", yes),
		podOf("team-a", "one", "app"), podOf("team-b", "two", "app"), podOf("other", "three", "app"), podOf("team-c", "four", "app")),
		Selection{Namespaces: []string{"team-*"}, NamespaceSelector: "scan=yes"})
	w.eventually("team-a/one")
	_, err := w.client.CoreV1().Namespaces().Update(t.Context(), namespaceOf("team-b", yes), metav1.UpdateOptions{})
	require.NoError(t, err)
	_, err = w.client.CoreV1().Namespaces().Create(t.Context(), namespaceOf("team-c", yes), metav1.CreateOptions{})
	require.NoError(t, err)
	w.eventually("team-a/one", "team-b/two", "team-c/four")
}

func TestANodeThatComesAfterItsPods(t *testing.T) {
	client := fake.NewClientset(podOf("a", "one", "app"))
	w := watchCluster(t, client, Selection{})
	w.eventually("a/one")
	require.Empty(t, w.get("uid-a-one").Platform)
	_, err := client.CoreV1().Nodes().Create(t.Context(), nodeOf("node", "s390x"), metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return w.get("uid-a-one").Platform.Architecture == "s390x" }, soon, time.Millisecond)
	require.NoError(t, client.CoreV1().Nodes().Delete(t.Context(), "node", metav1.DeleteOptions{}))
	changed := podOf("a", "one", "app:2")
	w.updatePod(changed)
	require.Eventually(t, func() bool { return w.get("uid-a-one").Containers[0].Reference == "app:2" }, soon, time.Millisecond)
	require.Equal(t, "s390x", w.get("uid-a-one").Platform.Architecture, "known once, known for good")
}

// forbid has the cluster refuse to list something.
func forbid(client *fake.Clientset, resource string) {
	refuse := func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", fmt.Errorf("no role"))
	}
	client.PrependReactor("list", resource, refuse)
	client.PrependWatchReactor(resource, func(a clienttesting.Action) (bool, apiwatch.Interface, error) {
		_, _, err := refuse(a)
		return true, nil, err
	})
}

func TestNodesAndNamespacesNeedNotBeReadable(t *testing.T) {
	client := fake.NewClientset(podOf("a", "one", "app"), nodeOf("node", "arm64"))
	forbid(client, "nodes")
	forbid(client, "namespaces")
	w := watchCluster(t, client, Selection{})
	w.eventually("a/one")
	require.Empty(t, w.get("uid-a-one").Platform)
	require.Equal(t, "the perceiver is not permitted to read nodes", w.get("uid-a-one").PlatformProblem)
}

func TestUnknownPlatformHasAReasonUntilItIsKnown(t *testing.T) {
	client := fake.NewClientset(podOf("a", "one", "app"))
	w := watchCluster(t, client, Selection{})
	w.eventually("a/one")
	require.Equal(t, "the cluster has no node node", w.get("uid-a-one").PlatformProblem)
	_, err := client.CoreV1().Nodes().Create(t.Context(), nodeOf("node", "arm64"), metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return w.get("uid-a-one").Platform.Architecture == "arm64" }, soon, time.Millisecond)
	require.Empty(t, w.get("uid-a-one").PlatformProblem)
}

func TestOptionsThatCannotWork(t *testing.T) {
	_, err := New(Options{SnapshotInterval: -1, Selection: Selection{Namespaces: []string{""}}})
	for _, mistake := range []string{"has no name", "snapshot interval", "namespaces: pattern"} {
		require.ErrorContains(t, err, mistake)
	}
}

func TestItStopsWhileTheCachesFill(t *testing.T) {
	client := fake.NewClientset()
	forbid(client, "pods")
	perceiver, err := New(Options{Cluster: "c", Client: fakeClient{client}, Reporter: newBoard()})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.NoError(t, perceiver.Run(ctx))
}
