package inventory

import (
	"slices"

	"github.com/perceptor/perceptor/model"
)

// tombstonesAtMost bounds the tombstones of either kind; the oldest are deleted first.
const tombstonesAtMost = 4000

// Tombstones are the pods that have ended, each with the version of the newest report that says so.
type Tombstones struct {
	// Gone and GoneNames are by UID and by name.
	Gone      map[string]model.Version `json:"gone,omitempty"`
	GoneNames map[string]model.Version `json:"goneNames,omitempty"`
}

// covers reports whether a report of this version is too old to bring the pod back. One of a name alone does not cover a pod
// of the same version: that is its successor.
func (t *Tombstones) covers(v model.Version, p model.Pod) bool {
	if tomb, ok := t.Gone[p.UID]; ok && !tomb.Before(v) {
		return true
	}
	tomb, ok := t.GoneNames[p.Name]
	return ok && v.Before(tomb)
}

// addTombstone notes that a pod, or all pods of a name, have ended.
func (t *Tombstones) addTombstone(v model.Version, key model.PodKey) {
	tombs, name := t.Gone, key.UID
	if key.UID == "" {
		tombs, name = t.GoneNames, key.Name
	}
	if old, ok := tombs[name]; !ok || old.Before(v) {
		tombs[name] = v
	}
}

// deleteOlder deletes the tombstones that a complete snapshot makes needless.
func (t *Tombstones) deleteOlder(v model.Version) {
	for _, tombs := range []map[string]model.Version{t.Gone, t.GoneNames} {
		for _, key := range sorted(tombs) {
			if !v.Before(tombs[key]) {
				delete(tombs, key)
			}
		}
	}
}

// prune deletes the oldest tombstones when there are too many.
func (t *Tombstones) prune() {
	for _, tombs := range []map[string]model.Version{t.Gone, t.GoneNames} {
		if len(tombs) <= tombstonesAtMost {
			continue
		}
		keys := sorted(tombs)
		slices.SortStableFunc(keys, func(a, c string) int { return compare(tombs[a], tombs[c]) })
		for _, key := range keys[:len(keys)-tombstonesAtMost*3/4] {
			delete(tombs, key)
		}
	}
}

func compare(a, c model.Version) int {
	switch {
	case a.Before(c):
		return -1
	case c.Before(a):
		return 1
	default:
		return 0
	}
}
