package kubernetes

import "sync"

// dirty are the pods that may have to be reported again, by their UIDs, in the order in which they were marked: one that
// cannot be reported goes to the end and delays no other.
type dirty struct {
	lock  sync.Mutex
	uids  map[string]struct{}
	order []string
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
		if _, marked := d.uids[uid]; !marked {
			d.uids[uid] = struct{}{}
			d.order = append(d.order, uid)
		}
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
	return len(d.order)
}

// take removes the first uids, up to limit, and gives them.
func (d *dirty) take(limit int) []string {
	d.lock.Lock()
	defer d.lock.Unlock()
	limit = min(limit, len(d.order))
	taken := d.order[:limit:limit]
	d.order = d.order[limit:]
	for _, uid := range taken {
		delete(d.uids, uid)
	}
	if len(d.order) == 0 {
		d.uids, d.order = map[string]struct{}{}, nil // neither gives back the room of a storm
	}
	return taken
}
