package registry

import "sync"

// eventsKept is how many events are remembered: hours of a busy registry. An event that comes back later is read again, which changes
// nothing.
const eventsKept = 10_000

// replays remembers events that were accepted, so that one that is sent again costs no request to the registry. It is safe for
// concurrent use.
type replays struct {
	lock  sync.Mutex
	known map[string]bool
	// ring are the known ones, the oldest at the next place.
	ring []string
	next int
}

func newReplays() *replays {
	return &replays{known: map[string]bool{}, ring: make([]string, eventsKept)}
}

// has reports whether an event was accepted.
func (r *replays) has(id string) bool {
	r.lock.Lock()
	defer r.lock.Unlock()
	return id != "" && r.known[id]
}

// add remembers events.
func (r *replays) add(ids ...string) {
	r.lock.Lock()
	defer r.lock.Unlock()
	for _, id := range ids {
		if id == "" || r.known[id] {
			continue
		}
		delete(r.known, r.ring[r.next])
		r.ring[r.next], r.known[id] = id, true
		r.next = (r.next + 1) % len(r.ring)
	}
}
