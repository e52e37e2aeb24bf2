package inventory

import (
	"slices"
	"time"

	"github.com/perceptor/perceptor/model"
)

const (
	// tombstonesAtMost bounds the tombstones of either kind; the oldest are laid to rest first.
	tombstonesAtMost = 4000
	// arrivingAtMost is how many incomplete snapshots are kept track of, newest first.
	arrivingAtMost = 3
	// refusedAtMost is how many pods without room are told apart.
	refusedAtMost = 1000
)

// Change takes pods that are new or changed, and the keys of those that have ended.
func (b *Book) Change(now time.Time, v model.Version, pods []model.Pod, gone []model.PodKey) {
	if v.Before(b.Snapshot) {
		return
	}
	for _, key := range gone {
		b.bury(v, key)
	}
	for _, p := range pods {
		b.take(now, v, p)
	}
	b.prune()
}

// Part takes one of the parts of a snapshot, counted from 1; a snapshot of no parts is an empty one. It reports whether the
// snapshot is complete by it.
func (b *Book) Part(now time.Time, v model.Version, part, parts int, pods []model.Pod) bool {
	if !b.Snapshot.Before(v) {
		return false
	}
	for _, p := range pods {
		b.take(now, v, p)
	}
	if parts > 0 && !b.arrived(v, part, parts) {
		return false
	}
	b.complete(v)
	return true
}

// arrived notes a part and reports whether all of them are there.
func (b *Book) arrived(v model.Version, part, parts int) bool {
	at := slices.IndexFunc(b.Arriving, func(a Arriving) bool { return a.Version == v })
	if at < 0 {
		b.Arriving = append(b.Arriving, Arriving{Version: v, Parts: parts})
		slices.SortFunc(b.Arriving, func(a, c Arriving) int { return compare(c.Version, a.Version) })
		b.Arriving = b.Arriving[:min(len(b.Arriving), arrivingAtMost)]
		if at = slices.IndexFunc(b.Arriving, func(a Arriving) bool { return a.Version == v }); at < 0 {
			return false
		}
	}
	a := &b.Arriving[at]
	if part >= 1 && part <= a.Parts && !slices.Contains(a.Have, part) {
		a.Have = append(a.Have, part)
	}
	return len(a.Have) == a.Parts
}

// complete makes a snapshot the word on everything older than itself.
func (b *Book) complete(v model.Version) {
	b.Snapshot = v
	for _, uid := range sorted(b.Pods) {
		if b.Pods[uid].Version.Before(v) {
			b.remove(uid)
		}
	}
	older := func(m map[string]model.Version) {
		for _, key := range sorted(m) {
			if !v.Before(m[key]) {
				delete(m, key)
			}
		}
	}
	b.weight -= tombstoneWeight * (len(b.Gone) + len(b.GoneNames))
	older(b.Gone)
	older(b.GoneNames)
	b.weight += tombstoneWeight * (len(b.Gone) + len(b.GoneNames))
	for _, uid := range sorted(b.Refused) {
		if b.Refused[uid].Before(v) {
			b.admit(uid)
		}
	}
	b.Arriving = slices.DeleteFunc(b.Arriving, func(a Arriving) bool { return !v.Before(a.Version) })
}

// take takes one pod, unless something as new is known of it.
func (b *Book) take(now time.Time, v model.Version, p model.Pod) {
	if tomb, ok := b.Gone[p.UID]; ok && !tomb.Before(v) {
		return
	}
	if tomb, ok := b.GoneNames[p.Name]; ok && v.Before(tomb) {
		return
	}
	known := b.Pods[p.UID]
	if known != nil && !known.Version.Before(v) {
		return
	}
	if known != nil && b.same(known, p) {
		known.Version = v
		return
	}
	if p.Check() != nil || !b.room(p, known) {
		b.refuse(v, p.UID)
		return
	}
	b.admit(p.UID)
	delete(b.Unwritten, p.UID)
	b.put(now, v, p, known)
}

// put replaces what is known of a pod.
func (b *Book) put(now time.Time, v model.Version, p model.Pod, known *Pod) {
	next := &Pod{Version: v, Name: p.Name, Bare: p.Bare, Written: known != nil && known.Written}
	for _, c := range p.Containers {
		next.Containers = append(next.Containers, Container{Name: c.Name, Kind: c.Kind, Use: b.use(now, p, c, known)})
	}
	for _, c := range next.Containers {
		b.Uses[c.Use].pods[p.UID]++
	}
	if known != nil {
		b.release(p.UID, known)
		b.weight -= known.weight(p.UID)
	}
	b.Pods[p.UID], b.counts = next, nil
	b.weight += next.weight(p.UID)
	b.touch(p.UID)
}

// same reports whether a pod runs what is known of it already.
func (b *Book) same(known *Pod, p model.Pod) bool {
	if known.Name != p.Name || known.Bare != p.Bare || len(known.Containers) != len(p.Containers) {
		return false
	}
	for i, c := range p.Containers {
		had := known.Containers[i]
		if had.Name != c.Name || had.Kind != c.Kind || b.Uses[had.Use].key() != keyOf(p, c) {
			return false
		}
	}
	return true
}

// bury removes a pod and leaves a tombstone. A key without a UID means every older pod of that name: one in the same report
// is its successor.
func (b *Book) bury(v model.Version, key model.PodKey) {
	tombs, name := b.Gone, key.UID
	if key.UID == "" {
		tombs, name = b.GoneNames, key.Name
	}
	if old, ok := tombs[name]; !ok || old.Before(v) {
		if !ok {
			b.weight += tombstoneWeight
		}
		tombs[name] = v
	}
	if key.UID != "" {
		if known := b.Pods[key.UID]; known != nil && !v.Before(known.Version) {
			b.remove(key.UID)
		}
		if refused, ok := b.Refused[key.UID]; ok && !v.Before(refused) {
			b.admit(key.UID)
		}
		return
	}
	for _, uid := range sorted(b.Pods) {
		if known := b.Pods[uid]; known.Name == key.Name && known.Version.Before(v) {
			b.remove(uid)
		}
	}
}

// remove takes a pod out of the book.
func (b *Book) remove(uid string) {
	known := b.Pods[uid]
	if known == nil {
		return
	}
	b.release(uid, known)
	b.weight -= known.weight(uid)
	b.counts = nil
	delete(b.Pods, uid)
	delete(b.Dirty, uid)
	delete(b.Unwritten, uid)
}

// prune lays the oldest tombstones to rest when there are too many.
func (b *Book) prune() {
	for _, tombs := range []map[string]model.Version{b.Gone, b.GoneNames} {
		if len(tombs) <= tombstonesAtMost {
			continue
		}
		keys := sorted(tombs)
		slices.SortStableFunc(keys, func(a, c string) int { return compare(tombs[a], tombs[c]) })
		for _, key := range keys[:len(keys)-tombstonesAtMost*3/4] {
			delete(tombs, key)
			b.weight -= tombstoneWeight
		}
	}
}

// Forget removes everything.
func (b *Book) Forget() {
	for _, uid := range sorted(b.Pods) {
		b.remove(uid)
	}
	clear(b.Refused)
	b.counts = nil
	b.Arriving = nil
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
