package kubernetes

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/cache"
)

// fakeClient is client-go's fake cluster as a Client.
type fakeClient struct{ *fake.Clientset }

// lists is what the typed clients have in common.
type lists[L runtime.Object] interface {
	List(ctx context.Context, o metav1.ListOptions) (L, error)
	Watch(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error)
}

func listWatch[L runtime.Object](f fakeClient, of lists[L]) cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc:  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return of.List(ctx, o) },
		WatchFuncWithContext: of.Watch,
	}, f.Clientset)
}

func (f fakeClient) ListWatch(resource, namespace string) cache.ListerWatcher {
	switch core := f.CoreV1(); resource {
	case pods:
		return listWatch(f, core.Pods(namespace))
	case nodes:
		return listWatch(f, core.Nodes())
	default:
		return listWatch(f, core.Namespaces())
	}
}

func (f fakeClient) Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	return f.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
}

func (f fakeClient) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	return f.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
}

func (f fakeClient) ApplyPod(ctx context.Context, namespace, name, manager string, force bool, configuration []byte) error {
	_, err := f.CoreV1().Pods(namespace).Patch(ctx, name, types.ApplyPatchType, configuration, metav1.PatchOptions{FieldManager: manager, Force: &force})
	return err
}

func (f fakeClient) PatchPod(ctx context.Context, namespace, name, manager string, patch []byte) error {
	_, err := f.CoreV1().Pods(namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager})
	return err
}

func (f fakeClient) ListPods(ctx context.Context, next string) (*corev1.PodList, error) {
	return f.CoreV1().Pods("").List(ctx, metav1.ListOptions{Continue: next})
}

func (f fakeClient) ClusterUID(ctx context.Context) (string, error) {
	system, err := f.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	return string(system.UID), err
}

func (f fakeClient) CreateEvent(ctx context.Context, event *corev1.Event) error {
	_, err := f.CoreV1().Events(event.Namespace).Create(ctx, event, metav1.CreateOptions{})
	return err
}

func (f fakeClient) Leases() coordinationv1.LeasesGetter { return f.CoordinationV1() }

func (f fakeClient) Namespace() string { return "perceptor" }
