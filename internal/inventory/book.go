package inventory

import (
	"cmp"
	"slices"
	"time"

	"github.com/perceptor/perceptor/model"
)

// Book is the whole state. Its fields are exported because it travels as JSON; change them only by its methods. Its parts
// are embedded, so that the JSON is flat.
type Book struct {
	// Epoch is when the first run began; with Counter it makes the versions that the book gives out.
	Epoch   int64 `json:"epoch"`
	Counter int64 `json:"counter,omitempty"`
	// Pods are by UID.
	Pods map[string]*Pod `json:"pods,omitempty"`
	UseTable
	ImageTable
	Tombstones
	Arrivals
	// Refused are pods for which there is no room.
	Refused Refusals `json:"refused,omitempty"`
	// Allowed is the weight up to which there surely is room; Measured is the weight at which that was found out.
	Allowed  int `json:"allowed,omitempty"`
	Measured int `json:"measured,omitempty"`
	WriteQueue

	// measure finds the size of the book as it travels.
	measure func() int
	// podWeight is the weight of all pods.
	podWeight int
	// counts are kept until something changes.
	counts *Counts
}

// Pod is one pod; Version is that of the newest report that named it.
type Pod struct {
	Version    model.Version `json:"v"`
	Name       string        `json:"n,omitempty"`
	Bare       bool          `json:"b,omitempty"`
	Containers []Container   `json:"c,omitempty"`
	// Workload and Labels are as reported.
	Workload model.Workload    `json:"o,omitzero"`
	Labels   map[string]string `json:"l,omitempty"`
	// Written says that a verdict was written onto it.
	Written bool `json:"w,omitempty"`
}

// Container is one container and its use.
type Container struct {
	Name string              `json:"n,omitempty"`
	Kind model.ContainerKind `json:"k,omitempty"`
	Use  int                 `json:"u"`
}

// New is an empty book whose versions begin at a time. Measure finds the size of the book as it travels; where it is nil
// the book is packed for it.
func New(now time.Time, measure func() int) *Book {
	b := &Book{Epoch: now.UnixNano()}
	b.Open(measure)
	return b
}

// Open makes a book that has travelled usable.
func (b *Book) Open(measure func() int) {
	b.measure = measure
	if measure == nil {
		b.measure = b.Size
	}
	ensureMap(&b.Pods)
	ensureMap(&b.Uses)
	ensureMap(&b.Images)
	ensureMap(&b.Dropped)
	ensureMap(&b.Gone)
	ensureMap(&b.GoneNames)
	ensureMap((*map[string]model.Version)(&b.Refused))
	ensureMap(&b.Dirty)
	ensureMap(&b.Unwritten)
	b.Allowed = max(b.Allowed, surelyFits)
	b.index()
}

// ensureMap makes a map that did not travel because it was empty.
func ensureMap[K comparable, V any](m *map[K]V) {
	if *m == nil {
		*m = map[K]V{}
	}
}

// index rebuilds what does not travel.
func (b *Book) index() {
	b.byKey, b.useWeight, b.podWeight, b.counts = map[useKey]int{}, 0, 0, nil
	b.unresolved, b.pending = map[int]bool{}, map[model.Digest]bool{}
	for _, d := range sorted(b.Images) {
		if b.Images[d].NotifiedAt.IsZero() {
			b.pending[d] = true
		}
	}
	for _, number := range sorted(b.Uses) {
		use := b.Uses[number]
		use.pods = map[string]int{}
		if use.Digest == "" && use.Problem == "" {
			b.unresolved[number] = true
		}
		b.byKey[use.key()] = number
		b.useWeight += use.weight()
		if known := b.Images[use.Digest]; known != nil {
			known.addUse(number)
		}
	}
	for _, uid := range sorted(b.Pods) {
		pod := b.Pods[uid]
		b.podWeight += pod.weight(uid)
		for _, c := range pod.Containers {
			b.Uses[c.Use].pods[uid]++
		}
	}
}

// Empty reports whether nothing is left in the book, and no image has to be notified.
func (b *Book) Empty() bool { return len(b.Pods) == 0 && len(b.Dropped) == 0 && len(b.Refused) == 0 }

// NextVersion is a version newer than all the book has given out.
func (b *Book) NextVersion() model.Version {
	b.Counter++
	return model.Version{Epoch: b.Epoch, Counter: b.Counter}
}

// sorted are the keys of a map in their order, so that the map's own never shows.
func sorted[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	//workflowcheck:ignore the keys are sorted before they are used
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
