package kubernetes

import (
	"context"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// What is watched, in the words of the API server's paths.
const (
	pods       = "pods"
	nodes      = "nodes"
	namespaces = "namespaces"
)

// Client is all that is asked of an API server: what a role must allow can be read off it.
type Client interface {
	// ListWatch reads and follows a kind of objects; in all namespaces where none is named.
	ListWatch(resource, namespace string) cache.ListerWatcher
	Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error)
	// ApplyPod applies metadata of a pod as a field manager; by force also keys that other managers have.
	ApplyPod(ctx context.Context, namespace, name, manager string, force bool, configuration []byte) error
	// PatchPod changes metadata of a pod by a merge patch: a value of null takes a key away.
	PatchPod(ctx context.Context, namespace, name, manager string, patch []byte) error
	// ListPods reads a page of all pods, and how to read the next one.
	ListPods(ctx context.Context, next string) (*corev1.PodList, error)
	// ClusterUID is the UID of the namespace kube-system: it tells clusters apart.
	ClusterUID(ctx context.Context) (string, error)
	CreateEvent(ctx context.Context, event *corev1.Event) error
	// Secret is read for scanners alone, and only by its name.
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	// Leases are the locks by which several perceivers agree which of them works.
	Leases() coordinationv1.LeasesGetter
	// Namespace is the one this program lives in, or that of the kubeconfig's context.
	Namespace() string
}

// client speaks to the two groups that are needed.
type client struct {
	core rest.Interface
	// events has a rate of its own, so that Events do not use up that of labels.
	events    rest.Interface
	leases    coordinationv1.LeasesGetter
	namespace string
}

func newClient(config *rest.Config, namespace string) (*client, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	forCore := rest.CopyConfig(config)
	forCore.APIPath, forCore.GroupVersion = "/api", &corev1.SchemeGroupVersion
	forCore.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	core, err := rest.RESTClientFor(forCore)
	if err != nil {
		return nil, err
	}
	forCore.QPS, forCore.Burst = eventRate, eventBurst
	events, err := rest.RESTClientFor(forCore)
	if err != nil {
		return nil, err
	}
	coordination, err := coordinationv1.NewForConfig(config)
	return &client{core: core, events: events, leases: coordination, namespace: namespace}, err
}

func (c *client) Leases() coordinationv1.LeasesGetter { return c.leases }

func (c *client) Namespace() string { return c.namespace }

func (c *client) ListWatch(resource, namespace string) cache.ListerWatcher {
	return cache.NewListWatchFromClient(c.core, resource, namespace, fields.Everything())
}

func (c *client) Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	pod := &corev1.Pod{}
	return pod, c.core.Get().Namespace(namespace).Resource(pods).Name(name).Do(ctx).Into(pod)
}

func (c *client) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	return secret, c.core.Get().Namespace(namespace).Resource("secrets").Name(name).Do(ctx).Into(secret)
}

func (c *client) ApplyPod(ctx context.Context, namespace, name, manager string, force bool, configuration []byte) error {
	return c.core.Patch(types.ApplyPatchType).Namespace(namespace).Resource(pods).Name(name).
		VersionedParams(&metav1.PatchOptions{FieldManager: manager, Force: &force}, metav1.ParameterCodec).
		Body(configuration).Do(ctx).Error()
}

func (c *client) PatchPod(ctx context.Context, namespace, name, manager string, patch []byte) error {
	return c.core.Patch(types.MergePatchType).Namespace(namespace).Resource(pods).Name(name).
		VersionedParams(&metav1.PatchOptions{FieldManager: manager}, metav1.ParameterCodec).
		Body(patch).Do(ctx).Error()
}

// listPage is how many pods one answer of the API server has.
const listPage = 500

func (c *client) ListPods(ctx context.Context, next string) (*corev1.PodList, error) {
	list := &corev1.PodList{}
	return list, c.core.Get().Resource(pods).VersionedParams(&metav1.ListOptions{Limit: listPage, Continue: next}, metav1.ParameterCodec).Do(ctx).Into(list)
}

func (c *client) ClusterUID(ctx context.Context) (string, error) {
	system := &corev1.Namespace{}
	err := c.core.Get().Resource(namespaces).Name(metav1.NamespaceSystem).Do(ctx).Into(system)
	return string(system.UID), err
}

func (c *client) CreateEvent(ctx context.Context, event *corev1.Event) error {
	return c.events.Post().Namespace(event.Namespace).Resource("events").Body(event).Do(ctx).Error()
}

// The requests per second for Events, and how many at once.
const (
	eventRate  = 5
	eventBurst = 20
)

// guardKey is the key of a check in a context: it is made when a request has waited for its turn, just before it is sent.
type guardKey struct{}

// guarded checks requests that carry a check.
type guarded struct{ next http.RoundTripper }

// RoundTrip sends a request unless its check fails.
func (g guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if check, ok := r.Context().Value(guardKey{}).(func() error); ok {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return g.next.RoundTrip(r)
}

// DefaultRate is how many requests per second are made to the API server at most, unless configured otherwise. Writing
// verdicts is most of them.
const DefaultRate = 50

// Connection says how to reach a cluster.
type Connection struct {
	// Kubeconfig is a file; empty means KUBECONFIG or the user's own file, and the pod's service account where there is none.
	Kubeconfig string
	// Context is one in the file; empty means the current one.
	Context string
	// Rate bounds the requests per second; 0 means DefaultRate.
	Rate float64
	// UserAgent is what the API server's log calls this program.
	UserAgent string
}

// Connect makes a client; nothing is asked of the cluster yet.
func Connect(c Connection) (Client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: c.Context}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes: %w; name a file with --kubeconfig, or run in a pod with a service account", err)
	}
	rate := c.Rate
	if rate <= 0 {
		rate = DefaultRate
	}
	config.QPS, config.Burst = float32(rate), max(1, int(2*rate))
	config.UserAgent = c.UserAgent
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return guarded{next} })
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes: %w", err)
	}
	client, err := newClient(config, namespace)
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes: %w", err)
	}
	return client, nil
}
