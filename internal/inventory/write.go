package inventory

import "github.com/perceptor/perceptor/model"

// Set takes what a report says beside its pods; an older one changes nothing. A perceiver that begins to write back is told
// of every pod.
func (b *Book) Set(s Settings) {
	if s.Version.Before(b.Settings.Version) {
		return
	}
	began := s.WriteBack && !b.Settings.WriteBack
	b.Settings = s
	switch {
	case began:
		for _, uid := range sorted(b.Pods) {
			b.touch(uid)
		}
	case !s.WriteBack:
		clear(b.Dirty)
		clear(b.Unwritten)
	}
}

// touch marks a pod whose row may have changed.
func (b *Book) touch(uid string) {
	if b.Settings.WriteBack {
		b.Dirty[uid] = true
	}
}

// HasUnwritten reports whether something waits to be written.
func (b *Book) HasUnwritten() bool { return len(b.Dirty)+len(b.Unwritten) > 0 }

// Writes are at most that many pods to be written to. Only verdicts are written: a pod that has none and never had one is
// passed over until it is touched again. They are dirty no more; Written or Unwrote says what became of them.
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
		if row, _ := b.Row("", "", uid); row.Status == model.StatusComplete || pod.Written {
			uids = append(uids, uid)
		}
	}
	return uids
}

// Written takes what became of a write. A pod that changed meanwhile is dirty again and stays so; one that the cluster does not
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
			b.bury(pod.Version, key)
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
func (b *Book) Rewrite() {
	for _, uid := range sorted(b.Unwritten) {
		b.touch(uid)
	}
	clear(b.Unwritten)
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
