package kubernetes

import (
	"context"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// What is watched, in the words of the API server's paths.
const (
	pods       = "pods"
	nodes      = "nodes"
	namespaces = "namespaces"
)

// Client is all that is asked of an API server. It is far less than client-go's clientset, which has every kind that
// Kubernetes knows and would double the size of the program.
type Client interface {
	// ListWatch reads and follows a kind of objects; in all namespaces where none is named.
	ListWatch(resource, namespace string) cache.ListerWatcher
	Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error)
	// ApplyPod applies metadata of a pod as fieldManager, keys of others included.
	ApplyPod(ctx context.Context, namespace, name string, configuration []byte) error
	CreateEvent(ctx context.Context, event *corev1.Event) error
	Lease(ctx context.Context, namespace, name string) (*coordinationv1.Lease, error)
	CreateLease(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error)
	UpdateLease(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error)
}

// client speaks to the two groups that are needed.
type client struct {
	core, coordination rest.Interface
}

func newClient(config *rest.Config) (*client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, coordinationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	codecs := serializer.NewCodecFactory(scheme).WithoutConversion()
	group := func(path string, version schema.GroupVersion) (rest.Interface, error) {
		c := rest.CopyConfig(config)
		c.APIPath, c.GroupVersion, c.NegotiatedSerializer = path, &version, codecs
		return rest.RESTClientFor(c)
	}
	core, err := group("/api", corev1.SchemeGroupVersion)
	if err != nil {
		return nil, err
	}
	coordination, err := group("/apis", coordinationv1.SchemeGroupVersion)
	return &client{core: core, coordination: coordination}, err
}

func (c *client) ListWatch(resource, namespace string) cache.ListerWatcher {
	return cache.NewListWatchFromClient(c.core, resource, namespace, fields.Everything())
}

func (c *client) Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	pod := &corev1.Pod{}
	return pod, c.core.Get().Namespace(namespace).Resource(pods).Name(name).Do(ctx).Into(pod)
}

func (c *client) ApplyPod(ctx context.Context, namespace, name string, configuration []byte) error {
	force := true
	return c.core.Patch(types.ApplyPatchType).Namespace(namespace).Resource(pods).Name(name).
		VersionedParams(&metav1.PatchOptions{FieldManager: fieldManager, Force: &force}, metav1.ParameterCodec).
		Body(configuration).Do(ctx).Error()
}

func (c *client) CreateEvent(ctx context.Context, event *corev1.Event) error {
	return c.core.Post().Namespace(event.Namespace).Resource("events").Body(event).Do(ctx).Error()
}

const leases = "leases"

func (c *client) Lease(ctx context.Context, namespace, name string) (*coordinationv1.Lease, error) {
	lease := &coordinationv1.Lease{}
	return lease, c.coordination.Get().Namespace(namespace).Resource(leases).Name(name).Do(ctx).Into(lease)
}

func (c *client) CreateLease(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	made := &coordinationv1.Lease{}
	return made, c.coordination.Post().Namespace(lease.Namespace).Resource(leases).Body(lease).Do(ctx).Into(made)
}

func (c *client) UpdateLease(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	made := &coordinationv1.Lease{}
	return made, c.coordination.Put().Namespace(lease.Namespace).Resource(leases).Name(lease.Name).Body(lease).Do(ctx).Into(made)
}
