package kubernetes

import (
	"fmt"
	"hash/maphash"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/perceptor/perceptor/model"
)

// podEntry is what is kept of a pod: a hundredth of it, since there may be 100,000.
type podEntry struct {
	metav1.ObjectMeta // Namespace, Name, UID and ResourceVersion; nothing else is filled in
	node              string
	// hidden is set for what is never reported: it has ended, has not begun, has opted out, or its namespace is left out.
	hidden bool
	// leftOut is set for what must have no marks: it has opted out, its namespace is left out, or all its images are ignored.
	leftOut bool
	pod     model.Pod
	// sum tells whether anything in pod differs from an earlier state.
	sum uint64
	// marks is the sum of the marks that stand on the pod now, and overall the status they say.
	marks   uint64
	overall model.OverallStatus
	// others are the keys of others on the pod; known says that the pod was written to; leftover says that something of an
	// earlier form stands there, or something that another field manager has taken.
	others          []string
	known, leftover bool
}

// nodeEntry is what is kept of a node.
type nodeEntry struct {
	metav1.ObjectMeta
	platform model.Platform
}

// namespaceEntry is what is kept of a namespace.
type namespaceEntry struct {
	metav1.ObjectMeta
	wanted bool
}

func keyOnly(m *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: shared(m.Namespace), Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion}
}

// keepPod cuts a pod down as it comes in.
func (w *watch) keepPod(object any) (any, error) {
	pod, isPod := object.(*corev1.Pod)
	if !isPod {
		return kept[*podEntry](object)
	}
	entry := &podEntry{ObjectMeta: keyOnly(&pod.ObjectMeta), node: shared(pod.Spec.NodeName)}
	standing := w.manager.Read(&pod.ObjectMeta)
	entry.marks, entry.overall = sumOfMarks(standing.Marks), w.marker.statusIn(standing.Marks)
	entry.others, entry.known, entry.leftover = standing.Others, standing.Known, len(standing.Leftover) > 0
	entry.leftOut = !w.filter.Allows(pod.Namespace) || optedOut(pod.Annotations)
	if entry.leftOut || ended(pod) || !begun(pod) {
		entry.hidden = true
		return entry, nil
	}
	entry.pod = convert(pod, w.filter, w.pullSecrets)
	entry.pod.Workload, entry.pod.Labels = workloadOf(pod), w.labelsOf(pod)
	entry.pod.Platform = wantedPlatform(pod)
	entry.hidden = len(entry.pod.Containers) == 0
	entry.leftOut = entry.hidden
	entry.pod.Marked = entry.known
	entry.sum = sumOf(entry.pod)
	return entry, nil
}

func keepNode(object any) (any, error) {
	node, isNode := object.(*corev1.Node)
	if !isNode {
		return kept[*nodeEntry](object)
	}
	return &nodeEntry{ObjectMeta: keyOnly(&node.ObjectMeta), platform: platformOf(node)}, nil
}

func (w *watch) keepNamespace(object any) (any, error) {
	namespace, isNamespace := object.(*corev1.Namespace)
	if !isNamespace {
		return kept[*namespaceEntry](object)
	}
	wanted := w.filter.selects(namespace.Labels) && !optedOut(namespace.Annotations)
	return &namespaceEntry{ObjectMeta: keyOnly(&namespace.ObjectMeta), wanted: wanted}, nil
}

// kept lets pass what was cut down before.
func kept[T any](object any) (any, error) {
	switch object.(type) {
	case T, cache.DeletedFinalStateUnknown:
		return object, nil
	default:
		return nil, fmt.Errorf("unexpected object of type %T in a cache", object)
	}
}

var seed = maphash.MakeSeed()

// sumOf is equal for pods that are reported alike.
func sumOf(p model.Pod) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	add := func(parts ...string) {
		for _, part := range parts {
			_, _ = h.WriteString(part)
			_ = h.WriteByte(0)
		}
	}
	add(p.UID, p.Namespace, p.Name, p.Platform.OS, p.Platform.Architecture, p.Platform.Variant, p.Platform.OSVersion, p.PlatformProblem,
		p.Credential, p.Workload.Kind, p.Workload.Name)
	for _, key := range slices.Sorted(maps.Keys(p.Labels)) {
		add(key, p.Labels[key])
	}
	for _, c := range p.Containers {
		add(c.Name, string(c.Kind), c.Reference, string(c.Digest), c.Repository)
	}
	return h.Sum64()
}
