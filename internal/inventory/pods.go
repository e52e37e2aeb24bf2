package inventory

import (
	"maps"
	"time"

	"github.com/perceptor/perceptor/model"
)

// Change records pods that are new or changed, and the keys of those that have ended.
func (b *Book) Change(now time.Time, v model.Version, pods []model.Pod, gone []model.PodKey) {
	if v.Before(b.Snapshot) {
		return
	}
	for _, key := range gone {
		if len(key.UID) <= model.UIDLength && len(key.Name) <= model.PodNameLength && key.UID+key.Name != "" {
			b.buryPod(v, key)
		}
	}
	for _, p := range pods {
		b.receivePod(now, v, p)
	}
	b.prune()
}

// Part records one of the parts of a snapshot, counted from 1; a snapshot of no parts is an empty one. It reports whether
// the snapshot is complete by it.
func (b *Book) Part(now time.Time, v model.Version, part, parts int, pods []model.Pod) bool {
	if !b.Snapshot.Before(v) {
		return false
	}
	for _, p := range pods {
		b.receivePod(now, v, p)
	}
	if parts > 0 && !b.partArrived(v, part, parts) {
		return false
	}
	b.completeSnapshot(v)
	return true
}

// completeSnapshot removes everything older than the snapshot.
func (b *Book) completeSnapshot(v model.Version) {
	for _, uid := range sorted(b.Pods) {
		if b.Pods[uid].Version.Before(v) {
			b.removePod(uid)
		}
	}
	b.deleteOlder(v)
	for _, uid := range sorted(b.Refused) {
		if b.Refused[uid].Before(v) {
			delete(b.Refused, uid)
		}
	}
	b.completed(v)
}

// receivePod records one pod, unless something as new is known of it.
func (b *Book) receivePod(now time.Time, v model.Version, p model.Pod) {
	if p.UID == "" {
		return // no report of ours has such a pod, and it could never be taken away again
	}
	known := b.Pods[p.UID]
	if b.covers(v, p) || known != nil && !known.Version.Before(v) {
		return
	}
	if known != nil && known.sameOwner(p) && b.sameUses(known, p) {
		known.Version = v
		known.Written = known.Written || p.Marked
		return
	}
	if p.Check() != nil || !b.hasRoom(p, known) {
		b.Refused.add(v, p.UID)
		return
	}
	delete(b.Refused, p.UID)
	delete(b.Unwritten, p.UID)
	b.putPod(now, v, p, known)
}

// sameOwner reports whether workload and labels are as they were.
func (p *Pod) sameOwner(now model.Pod) bool {
	//workflowcheck:ignore whether two maps are equal does not depend on the order
	return p.Workload == now.Workload && maps.Equal(p.Labels, now.Labels)
}

// putPod replaces what is known of a pod.
func (b *Book) putPod(now time.Time, v model.Version, p model.Pod, known *Pod) {
	next := &Pod{
		Version: v, Name: p.Name, Bare: p.Bare, Workload: p.Workload, Labels: p.Labels, Written: p.Marked || known != nil && known.Written,
	}
	for _, c := range p.Containers {
		next.Containers = append(next.Containers, Container{Name: c.Name, Kind: c.Kind, Use: b.useOf(now, p, c, known)})
	}
	for _, c := range next.Containers {
		b.Uses[c.Use].pods[p.UID]++
	}
	if known != nil {
		b.releaseUses(p.UID, known)
		b.podWeight -= known.weight(p.UID)
	}
	b.Pods[p.UID], b.counts = next, nil
	b.podWeight += next.weight(p.UID)
	b.markDirty(p.UID)
	answerEngines(b, now, next)
}

// answerEngines leads containers whose images an engine alone has to these images. It is known without a question: what the engine
// reports is the image.
func answerEngines(b *Book, now time.Time, p *Pod) {
	for _, c := range p.Containers {
		if use := b.Uses[c.Use]; use.Engine != "" && use.Digest == "" {
			repository, tag := model.SplitReference(use.Reference)
			b.Answered(now, c.Use, use.Reported, model.Name{Repository: repository, Tag: tag, Engine: use.Engine})
		}
	}
}

// buryPod removes a pod and adds a tombstone. A key without a UID means every older pod of that name: one in the same report
// is its successor.
func (b *Book) buryPod(v model.Version, key model.PodKey) {
	b.addTombstone(v, key)
	if key.UID != "" {
		if known := b.Pods[key.UID]; known != nil && !v.Before(known.Version) {
			b.removePod(key.UID)
		}
		if refused, ok := b.Refused[key.UID]; ok && !v.Before(refused) {
			delete(b.Refused, key.UID)
		}
		return
	}
	for _, uid := range sorted(b.Pods) {
		if known := b.Pods[uid]; known.Name == key.Name && known.Version.Before(v) {
			b.removePod(uid)
		}
	}
}

// removePod deletes a pod from the book.
func (b *Book) removePod(uid string) {
	known := b.Pods[uid]
	if known == nil {
		return
	}
	b.releaseUses(uid, known)
	b.podWeight -= known.weight(uid)
	b.counts = nil
	delete(b.Pods, uid)
	delete(b.Dirty, uid)
	delete(b.Unwritten, uid)
}

// releaseUses takes the uses of a pod away from it, and drops those that no pod has any longer.
func (b *Book) releaseUses(uid string, p *Pod) {
	for _, c := range p.Containers {
		use := b.Uses[c.Use]
		if use == nil {
			continue
		}
		if use.pods[uid]--; use.pods[uid] > 0 {
			continue
		}
		delete(use.pods, uid)
		if len(use.pods) == 0 {
			b.removeUse(use.Digest, c.Use)
			b.dropUse(c.Use)
		}
	}
}

// Forget removes everything.
func (b *Book) Forget() {
	for _, uid := range sorted(b.Pods) {
		b.removePod(uid)
	}
	clear(b.Refused)
	b.Arriving = nil
}
