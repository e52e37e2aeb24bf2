package kubernetes

import "sync"

// dirty are the pods that may have to be reported again, by their UIDs.
type dirty struct {
	lock sync.Mutex
	uids map[string]struct{}
	// some says that there are uids; it has room for one word.
	some chan struct{}
}

func newDirty() *dirty { return &dirty{uids: map[string]struct{}{}, some: make(chan struct{}, 1)} }

func (d *dirty) mark(uids ...string) {
	if len(uids) == 0 {
		return
	}
	d.lock.Lock()
	for _, uid := range uids {
		d.uids[uid] = struct{}{}
	}
	d.lock.Unlock()
	select {
	case d.some <- struct{}{}:
	default:
	}
}

func (d *dirty) count() int {
	d.lock.Lock()
	defer d.lock.Unlock()
	return len(d.uids)
}

// take removes up to limit uids and gives them; which ones is left to chance, so that one that always fails does not
// stand before the others for ever.
func (d *dirty) take(limit int) []string {
	d.lock.Lock()
	defer d.lock.Unlock()
	taken := make([]string, 0, min(limit, len(d.uids)))
	for uid := range d.uids {
		if len(taken) == limit {
			break
		}
		taken = append(taken, uid)
		delete(d.uids, uid)
	}
	if len(d.uids) == 0 {
		d.uids = map[string]struct{}{} // a map never gives back the room of a storm
	}
	return taken
}
