package inventory

import (
	"cmp"
	"slices"
	"time"

	"github.com/perceptor/perceptor/model"
)

// Book is the whole state. Its fields are exported because it travels as JSON; change them only by its methods.
type Book struct {
	// Epoch is when the first run began; with Counter it makes the versions that the book gives out.
	Epoch   int64 `json:"epoch"`
	Counter int64 `json:"counter,omitempty"`
	// Pods are by UID.
	Pods map[string]*Pod `json:"pods,omitempty"`
	// Uses are by number; NextUse is the next one.
	Uses    map[int]*Use `json:"uses,omitempty"`
	NextUse int          `json:"nextUse,omitempty"`
	// Images are those that uses lead to.
	Images map[model.Digest]*Image `json:"images,omitempty"`
	// Dropped are images that nothing here runs any more and whose workflows have not been told.
	Dropped map[model.Digest]bool `json:"dropped,omitempty"`
	// Gone and GoneNames are the tombstones, by UID and by name.
	Gone      map[string]model.Version `json:"gone,omitempty"`
	GoneNames map[string]model.Version `json:"goneNames,omitempty"`
	// Snapshot is the last complete one; Arriving are those of which some parts are here.
	Snapshot model.Version `json:"snapshot,omitzero"`
	Arriving []Arriving    `json:"arriving,omitempty"`
	// Refused are pods for which there is no room, by UID; at most refusedAtMost.
	Refused map[string]model.Version `json:"refused,omitempty"`
	// Allowed is the weight up to which there surely is room; Measured is the weight at which that was found out.
	Allowed  int `json:"allowed,omitempty"`
	Measured int `json:"measured,omitempty"`
	// Settings are those of the newest report, whose version they have.
	Settings Settings `json:"settings,omitzero"`
	// Dirty are the pods to be written to, by UID; Unwritten are those that could not be, which become dirty again.
	Dirty     map[string]bool `json:"dirty,omitempty"`
	Unwritten map[string]bool `json:"unwritten,omitempty"`

	// measure finds the size of the book as it travels.
	measure func() int
	// weight bounds that size from above, cheaply.
	weight int
	// byKey finds the newest use of a key.
	byKey map[useKey]int
	// unresolved are the uses without a manifest, untold the images whose workflows are to be told or looked after.
	unresolved map[int]bool
	untold     map[model.Digest]bool
	// counts are kept until something changes.
	counts *Counts
}

// Settings are what a report says beside its pods.
type Settings struct {
	Version   model.Version `json:"version"`
	WriteBack bool          `json:"writeBack,omitempty"`
	Domain    string        `json:"domain,omitempty"`
}

// Pod is one pod; Version is that of the newest report that named it.
type Pod struct {
	Version    model.Version `json:"v"`
	Name       string        `json:"n,omitempty"`
	Bare       bool          `json:"b,omitempty"`
	Containers []Container   `json:"c,omitempty"`
	// Written says that a verdict was written onto it.
	Written bool `json:"w,omitempty"`
}

// Container is one container and its use.
type Container struct {
	Name string              `json:"n,omitempty"`
	Kind model.ContainerKind `json:"k,omitempty"`
	Use  int                 `json:"u"`
}

// Arriving is a snapshot of which some parts have arrived.
type Arriving struct {
	Version model.Version `json:"version"`
	Parts   int           `json:"parts"`
	Have    []int         `json:"have"`
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
	for _, m := range []*map[string]model.Version{&b.Gone, &b.GoneNames, &b.Refused} {
		if *m == nil {
			*m = map[string]model.Version{}
		}
	}
	for _, m := range []*map[string]bool{&b.Dirty, &b.Unwritten} {
		if *m == nil {
			*m = map[string]bool{}
		}
	}
	if b.Pods == nil {
		b.Pods = map[string]*Pod{}
	}
	if b.Uses == nil {
		b.Uses = map[int]*Use{}
	}
	if b.Images == nil {
		b.Images = map[model.Digest]*Image{}
	}
	if b.Dropped == nil {
		b.Dropped = map[model.Digest]bool{}
	}
	b.Allowed = max(b.Allowed, surelyFits)
	b.index()
}

// index rebuilds what does not travel.
func (b *Book) index() {
	b.byKey, b.weight, b.counts = map[useKey]int{}, 0, nil
	b.unresolved, b.untold = map[int]bool{}, map[model.Digest]bool{}
	for _, d := range sorted(b.Images) {
		if b.Images[d].NotifiedAt.IsZero() {
			b.untold[d] = true
		}
	}
	for _, number := range sorted(b.Uses) {
		use := b.Uses[number]
		use.pods = map[string]int{}
		if use.Digest == "" {
			b.unresolved[number] = true
		}
		b.byKey[use.key()] = number
		b.weight += use.weight()
		if known := b.Images[use.Digest]; known != nil {
			known.addUse(number)
		}
	}
	for _, uid := range sorted(b.Pods) {
		pod := b.Pods[uid]
		b.weight += pod.weight(uid)
		for _, c := range pod.Containers {
			b.Uses[c.Use].pods[uid]++
		}
	}
	b.weight += imageWeight*len(b.Images) + tombstoneWeight*(len(b.Gone)+len(b.GoneNames))
}

// Empty reports whether there is nothing in the book that anybody has to be told.
func (b *Book) Empty() bool { return len(b.Pods) == 0 && len(b.Dropped) == 0 && len(b.Refused) == 0 }

// NextVersion is a version newer than all the book has given out.
func (b *Book) NextVersion() model.Version {
	b.Counter++
	return model.Version{Epoch: b.Epoch, Counter: b.Counter}
}

// sorted are the keys of a map in their order, so that the map's own never shows.
func sorted[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	//workflowcheck:ignore the keys are sorted before anybody sees them
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
