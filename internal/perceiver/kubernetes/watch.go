package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/perceptor/perceptor/internal/perceiver/ownership"
	"github.com/perceptor/perceptor/internal/perceiver/trouble"
	"github.com/perceptor/perceptor/model"
)

// byNode and byUID are the indexes of pods besides that of their namespaces.
const (
	byNode = "node"
	byUID  = "uid"
)

// watch keeps the caches of one cluster and says which pods may have to be reported again.
type watch struct {
	filter      *Filter
	pullSecrets bool
	// labels are the keys of labels that are reported.
	labels  []string
	marker  marker
	manager ownership.Manager
	dirty   *dirty
	// marked receives what stands on a pod now, each time that has changed; it may be nil. before is nil for a new pod.
	marked   func(before, now *podEntry)
	troubles *trouble.Book
	logger   *slog.Logger

	pods, nodes, namespaces *source
}

// source is one informer, and whether the cluster refuses to be read by it.
type source struct {
	what     string
	informer cache.SharedIndexInformer
	// refused is set while the API server answers that this identity may not read; informers try again for ever.
	refused atomic.Bool
}

// open makes the informers; they begin to read with run.
func (w *watch) open(client Client) error {
	indexers := cache.Indexers{
		cache.NamespaceIndex: cache.MetaNamespaceIndexFunc,
		byNode:               indexer(func(p *podEntry) string { return p.node }),
		byUID:                indexer(func(p *podEntry) string { return string(p.UID) }),
	}
	var err error
	w.pods, err = w.source(pods, &corev1.Pod{}, client.ListWatch(pods, metav1.NamespaceAll), w.keepPod, w.podEvents(), indexers)
	if err != nil {
		return err
	}
	if w.nodes, err = w.source(nodes, &corev1.Node{}, client.ListWatch(nodes, metav1.NamespaceAll), keepNode, w.nodeEvents(), nil); err != nil {
		return err
	}
	w.namespaces, err = w.source(namespaces, &corev1.Namespace{}, client.ListWatch(namespaces, metav1.NamespaceAll), w.keepNamespace, w.namespaceEvents(), nil)
	return err
}

func indexer(value func(*podEntry) string) cache.IndexFunc {
	return func(object any) ([]string, error) {
		if p, ok := object.(*podEntry); ok && value(p) != "" {
			return []string{value(p)}, nil
		}
		return nil, nil
	}
}

func (w *watch) source(what string, of runtime.Object, from cache.ListerWatcher, keep cache.TransformFunc, on cache.ResourceEventHandler, by cache.Indexers,
) (*source, error) {
	if by == nil {
		by = cache.Indexers{}
	}
	s := &source{what: what}
	s.informer = cache.NewSharedIndexInformer(w.noted(s, from), of, 0, by)
	if err := s.informer.SetTransform(keep); err != nil {
		return nil, fmt.Errorf("watch %s: %w", what, err)
	}
	if err := s.informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { w.failed(s, err) }); err != nil {
		return nil, fmt.Errorf("watch %s: %w", what, err)
	}
	if _, err := s.informer.AddEventHandler(on); err != nil {
		return nil, fmt.Errorf("watch %s: %w", what, err)
	}
	return s, nil
}

// noted notes each list and each watch that the API server grants.
func (w *watch) noted(s *source, from cache.ListerWatcher) cache.ListerWatcher {
	inner := cache.ToListerWatcherWithContext(from)
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := inner.ListWithContext(ctx, o)
			if err == nil {
				w.granted(s)
			}
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			watching, err := inner.WatchWithContext(ctx, o)
			if err == nil {
				w.granted(s)
			}
			return watching, err
		},
	}, from)
}

// granted notes that a kind of objects can be read.
func (w *watch) granted(s *source) {
	s.refused.Store(false)
	w.troubles.Work(s.trouble(), time.Now())
}

func (s *source) trouble() model.TroubleKind {
	switch s.what {
	case pods:
		return model.TroubleReadPods
	case nodes:
		return model.TroubleReadNodes
	default:
		return model.TroubleReadNamespaces
	}
}

// failed notes why a list or a watch ended. Watches end now and then, and versions expire; everything else is trouble.
func (w *watch) failed(s *source, err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || errors.Is(err, context.Canceled) {
		w.logger.Debug("watch ended", "of", s.what, "error", err)
		return
	}
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		s.refused.Store(true)
	}
	w.troubles.Fail(s.trouble(), clip(err.Error(), reasonLength), time.Now())
}

// run keeps the caches until ctx ends.
func (w *watch) run(ctx context.Context) {
	done := make(chan struct{})
	sources := []*source{w.pods, w.nodes, w.namespaces}
	for _, s := range sources {
		go func() {
			s.informer.RunWithContext(ctx)
			done <- struct{}{}
		}()
	}
	for range sources {
		<-done
	}
}

// syncPoll is how often a start looks whether the caches are filled.
const syncPoll = 20 * time.Millisecond

// synced waits for the caches. Without nodes platforms stay unknown, and without namespaces no namespace can opt out, so
// a refusal of these does not hold up the rest; but a selector of namespaces needs them.
func (w *watch) synced(ctx context.Context) error {
	ticker := time.NewTicker(syncPoll)
	defer ticker.Stop()
	for {
		filled := w.pods.informer.HasSynced() &&
			(w.nodes.informer.HasSynced() || w.nodes.refused.Load()) &&
			(w.namespaces.informer.HasSynced() || w.namespaces.refused.Load() && w.filter.selector == nil)
		if filled {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// podEvents marks pods that have come, gone, or changed in what is reported. A pod whose end was missed may have a successor
// of the same name: then both are marked.
func (w *watch) podEvents() cache.ResourceEventHandler {
	return handler(func(before, after *podEntry) bool {
		if w.marked != nil {
			w.marked(before, after)
		}
		return before.sum != after.sum || before.hidden != after.hidden || before.node != after.node || before.UID != after.UID
	}, func(changed ...*podEntry) {
		for _, p := range changed {
			w.dirty.mark(string(p.UID))
		}
	})
}

// nodeEvents marks the pods of nodes that have come, or turned out to be of another platform. The pods of a node that has
// gone go on being of its platform.
func (w *watch) nodeEvents() cache.ResourceEventHandler {
	events := handler(func(before, after *nodeEntry) bool { return before.platform != after.platform },
		func(n ...*nodeEntry) { w.markIndexed(byNode, n[0].Name) })
	events.DeleteFunc = nil
	return events
}

// namespaceEvents marks the pods of namespaces that have opted in or out.
func (w *watch) namespaceEvents() cache.ResourceEventHandler {
	return handler(func(before, after *namespaceEntry) bool { return before.wanted != after.wanted },
		func(n ...*namespaceEntry) { w.markIndexed(cache.NamespaceIndex, n[0].Name) })
}

func (w *watch) markIndexed(index, value string) {
	found, err := w.pods.informer.GetIndexer().ByIndex(index, value)
	if err != nil {
		w.logger.Error("pods could not be looked up", "index", index, "error", err)
		return
	}
	w.dirty.mark(uidsOf(found)...)
}

func uidsOf(entries []any) []string {
	uids := make([]string, 0, len(entries))
	for _, each := range entries {
		if p, ok := each.(*podEntry); ok {
			uids = append(uids, string(p.UID))
		}
	}
	return uids
}

// handler calls mark with what has come, gone or changed.
func handler[T any](changed func(before, after T) bool, mark func(...T)) cache.ResourceEventHandlerFuncs {
	of := func(object any) {
		if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = gone.Obj // as it was last seen
		}
		if entry, ok := object.(T); ok {
			mark(entry)
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: of, DeleteFunc: of,
		UpdateFunc: func(before, after any) {
			b, isB := before.(T)
			a, isA := after.(T)
			if isA && isB && changed(b, a) {
				mark(a, b)
			}
		},
	}
}

// entry is what is kept of the pod with this UID; false where there is none.
func (w *watch) entry(uid string) (*podEntry, bool) {
	found, err := w.pods.informer.GetIndexer().ByIndex(byUID, uid)
	if err != nil || len(found) == 0 {
		return nil, false
	}
	entry, ok := found[0].(*podEntry)
	return entry, ok
}

// pod is what is to be reported of the pod with this UID now; false where there is none, or none of interest.
func (w *watch) pod(uid string) (model.Pod, bool) {
	entry, ok := w.entry(uid)
	if !ok || !w.wants(entry) {
		return model.Pod{}, false
	}
	pod := entry.pod
	platform, problem := w.platformOf(entry.node)
	if platform.Architecture != "" {
		pod.Platform = platform
	}
	if pod.Platform.OS == "" || pod.Platform.Architecture == "" {
		pod.PlatformProblem = shared(problem)
	}
	return pod, true
}

// platformOf is the platform of a node, or why it is not known.
func (w *watch) platformOf(name string) (model.Platform, string) {
	node, exists, err := w.nodes.informer.GetStore().GetByKey(name)
	n, ok := node.(*nodeEntry)
	switch {
	case err == nil && exists && ok && n.platform.Architecture != "":
		return n.platform, ""
	case name == "":
		return model.Platform{}, "the pod names no node"
	case w.nodes.refused.Load():
		return model.Platform{}, "the perceiver is not permitted to read nodes"
	case !exists || !ok:
		return model.Platform{}, clip("the cluster has no node "+name, model.ProblemLength)
	default:
		return model.Platform{}, clip("node "+name+" does not say its platform", model.ProblemLength)
	}
}

// mustBeUnmarked reports whether a pod surely must have no marks: it or its namespace is left out. A namespace that cannot be
// read is not known to be left out.
func (w *watch) mustBeUnmarked(p *podEntry) bool {
	if p.leftOut {
		return true
	}
	found, exists, err := w.namespaces.informer.GetStore().GetByKey(p.Namespace)
	if err != nil || !exists {
		return false
	}
	n, ok := found.(*namespaceEntry)
	return ok && !n.wanted
}

// wants reports whether a pod is of interest.
func (w *watch) wants(p *podEntry) bool { return !p.hidden && w.wantsNamespace(p.Namespace) }

// wantsNamespace is true for a namespace that is not known yet, unless it must be selected: pods may arrive before theirs.
func (w *watch) wantsNamespace(name string) bool {
	found, exists, err := w.namespaces.informer.GetStore().GetByKey(name)
	if err != nil || !exists {
		return w.filter.selector == nil
	}
	n, ok := found.(*namespaceEntry)
	return ok && n.wanted
}

// uids are those of all pods, of interest or not.
func (w *watch) uids() []string { return uidsOf(w.pods.informer.GetStore().List()) }
