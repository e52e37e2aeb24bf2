package fault

import (
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/jobs"
	"github.com/perceptor/perceptor/internal/hub/builtin/rest"
)

// switchSet is the switches while they are live.
type switchSet struct {
	clock jobs.Clock

	lock sync.Mutex
	// set is what was set at since; changed is closed at the next change.
	set     Faults
	since   time.Time
	changed chan struct{}
	random  *rand.Rand
	// used counts hits since the switches were set, hits since the start of the hub.
	used map[Name]int
	hits map[Name]uint64
}

func newSet(initial Faults, clock jobs.Clock) *switchSet {
	s := &switchSet{clock: clock, changed: make(chan struct{}), hits: map[Name]uint64{}}
	s.replace(initial)
	return s
}

// replace puts other switches in the place of all there are; times, counts and draws begin again.
func (s *switchSet) replace(f Faults) {
	s.lock.Lock()
	defer s.lock.Unlock()
	f.Seed, f.Switches = max(f.Seed, 1), maps.Clone(f.Switches)
	s.set, s.since, s.used = f, s.clock.Now(), map[Name]int{}
	s.random = rand.New(rand.NewPCG(f.Seed, 0)) //nolint:gosec // to be repeated, not to be secret
	close(s.changed)
	s.changed = make(chan struct{})
}

// current answers the switches that are still on, with what is left of their times and counts.
func (s *switchSet) current() Faults {
	s.lock.Lock()
	defer s.lock.Unlock()
	left := Faults{Seed: s.set.Seed, Switches: map[Name]Switch{}}
	for name := range s.set.Switches {
		if f, on := s.find(name); on {
			if f.For > 0 {
				f.For -= Duration(s.clock.Now().Sub(s.since))
			}
			if f.Count > 0 {
				f.Count -= s.used[name]
			}
			left.Switches[name] = f
		}
	}
	return left
}

// find reads a switch and reports whether it is on. The lock is held.
func (s *switchSet) find(name Name) (Switch, bool) {
	f, there := s.set.Switches[name]
	passed := f.For > 0 && s.clock.Now().Sub(s.since) >= time.Duration(f.For)
	return f, there && !passed && (f.Count == 0 || s.used[name] < f.Count)
}

// hit reports whether a switch is on and its draw hits, and counts the hit. The class is that of the request.
func (s *switchSet) hit(name Name, class rest.PathClass) (Switch, bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	f, on := s.find(name)
	if !on || len(f.On) > 0 && !slices.Contains(f.On, class) || f.Share != nil && s.random.Float64() >= *f.Share {
		return f, false
	}
	s.count(name)
	return f, true
}

// count notes a hit. The lock is held.
func (s *switchSet) count(name Name) {
	s.used[name]++
	s.hits[name]++
}

// look reads a switch without hitting anything.
func (s *switchSet) look(name Name) (Switch, bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.find(name)
}

// draw is a time between a switch's bounds.
func (s *switchSet) draw(f Switch) time.Duration {
	s.lock.Lock()
	defer s.lock.Unlock()
	return f.between(s.random)
}

// drawFor is a time between a switch's bounds that only the seed and the name decide.
func (s *switchSet) drawFor(name string, f Switch) time.Duration {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(name)) // never fails
	s.lock.Lock()
	defer s.lock.Unlock()
	return f.between(rand.New(rand.NewPCG(s.set.Seed, sum.Sum64()))) //nolint:gosec // to be repeated, not to be secret
}

func (f Switch) between(random *rand.Rand) time.Duration {
	return time.Duration(f.Min) + time.Duration(random.Int64N(int64(f.Max-f.Min)+1))
}

// stuckFor is how long stuck scans stay so: 0 when they do not, less than 0 when no end is in sight. changed closes when
// the switches are set again.
func (s *switchSet) stuckFor() (left time.Duration, changed <-chan struct{}) {
	s.lock.Lock()
	defer s.lock.Unlock()
	f, there := s.set.Switches[Stuck]
	switch {
	case !there:
		return 0, s.changed
	case f.For == 0:
		return -1, s.changed
	default:
		return max(0, time.Duration(f.For)-s.clock.Now().Sub(s.since)), s.changed
	}
}

// counts is how often each switch hit since the start of the hub.
func (s *switchSet) counts() map[Name]uint64 {
	s.lock.Lock()
	defer s.lock.Unlock()
	return maps.Clone(s.hits)
}
