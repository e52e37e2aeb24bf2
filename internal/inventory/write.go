package inventory

import "github.com/perceptor/perceptor/model"

// Settings are what a report says beside its pods.
type Settings struct {
	Version   model.Version `json:"version"`
	WriteBack bool          `json:"writeBack,omitempty"`
	Domain    string        `json:"domain,omitempty"`
}

// WriteQueue is which pods of the namespace are to be written to.
type WriteQueue struct {
	// Settings are those of the newest report, whose version they have.
	Settings Settings `json:"settings,omitzero"`
	// Dirty are the pods to be written to, by UID; Unwritten are those that could not be, which become dirty again.
	Dirty     map[string]bool `json:"dirty,omitempty"`
	Unwritten map[string]bool `json:"unwritten,omitempty"`
}

// Set records what a report says beside its pods; an older one changes nothing. When a perceiver begins to write back, every
// pod is to be written to.
func (b *Book) Set(s Settings) {
	if s.Version.Before(b.Settings.Version) {
		return
	}
	began := s.WriteBack && !b.Settings.WriteBack
	b.Settings = s
	switch {
	case began:
		b.CompareAll()
	case !s.WriteBack:
		clear(b.Dirty)
		clear(b.Unwritten)
	}
}

// markDirty marks a pod whose row may have changed.
func (q *WriteQueue) markDirty(uid string) {
	if q.Settings.WriteBack {
		q.Dirty[uid] = true
	}
}

// markDirtyAll marks the pods of a use.
func (q *WriteQueue) markDirtyAll(use *Use) {
	for _, uid := range sorted(use.pods) {
		q.markDirty(uid)
	}
}

// HasUnwritten reports whether something waits to be written.
func (q *WriteQueue) HasUnwritten() bool { return len(q.Dirty)+len(q.Unwritten) > 0 }

// CompareAll marks every pod, so that the perceiver compares its marks with what its images say. It sends nothing where they
// stand.
func (b *Book) CompareAll() {
	for _, uid := range sorted(b.Pods) {
		b.markDirty(uid)
	}
}

// Remark marks pods whose marks someone else has changed.
func (b *Book) Remark(keys []model.PodKey) {
	for _, key := range keys {
		if pod := b.Pods[key.UID]; pod != nil {
			pod.Written = true
			b.markDirty(key.UID)
		}
	}
}

// Writes are at most that many pods to be written to. Only verdicts are written, and a known violation also where another image
// has no verdict yet. A pod that has neither and never had one is passed over until it is marked again. They are not dirty any longer; Written or Unwrote records the result.
func (b *Book) Writes(atMost int) []string {
	var uids []string
	for _, uid := range sorted(b.Dirty) {
		if len(uids) == atMost {
			break
		}
		delete(b.Dirty, uid)
		pod := b.Pods[uid]
		if pod == nil || pod.Bare {
			continue
		}
		if row, _ := b.Row("", "", uid); row.Status == model.StatusComplete || row.OverallStatus == model.InViolation || pod.Written {
			uids = append(uids, uid)
		}
	}
	return uids
}

// Written records the result of a write. A pod that changed meanwhile is dirty again and stays so; one that the cluster does not
// have is removed, unless something newer was heard of it than before the write.
func (b *Book) Written(uids []string, before map[string]model.Version, result model.WriteResult) {
	for _, uid := range uids {
		if pod := b.Pods[uid]; pod != nil {
			pod.Written = true
		}
	}
	for _, failed := range result.Failed {
		if b.Pods[failed.Pod.UID] != nil {
			b.Unwritten[failed.Pod.UID] = true
		}
	}
	for _, key := range result.Gone {
		if pod := b.Pods[key.UID]; pod != nil && pod.Version == before[key.UID] {
			b.buryPod(pod.Version, key)
		}
	}
	b.prune()
}

// Unwrote puts back what could not be written at all.
func (b *Book) Unwrote(uids []string) {
	for _, uid := range uids {
		if b.Pods[uid] != nil && b.Settings.WriteBack {
			b.Unwritten[uid] = true
		}
	}
}

// Rewrite makes what could not be written dirty again.
func (q *WriteQueue) Rewrite() {
	for _, uid := range sorted(q.Unwritten) {
		q.markDirty(uid)
	}
	clear(q.Unwritten)
}

// Versions are those of some pods.
func (b *Book) Versions(uids []string) map[string]model.Version {
	versions := map[string]model.Version{}
	for _, uid := range uids {
		if pod := b.Pods[uid]; pod != nil {
			versions[uid] = pod.Version
		}
	}
	return versions
}
