package lease

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// live plays one history to its end and answers the rule it broke, described by a second playing.
func live(seed uint64, off guard) error {
	if play(seed, off, false) == nil {
		return nil
	}
	return play(seed, off, true)
}

func play(seed uint64, off guard, keep bool) (err error) {
	w := newWorld(seed, off)
	w.keep = keep
	defer func() {
		if r := recover(); r != nil {
			v, ok := r.(violation)
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("seed %d: %w", seed, v)
		}
	}()
	steps, arrivals := 30+w.rand.IntN(60), 4
	if w.chance(40) {
		// A storm: one patient scan among a stream of urgent scans.
		w.storm()
		steps, arrivals = 400, 2
	}
	for range steps {
		if w.chance(arrivals) {
			w.arrive()
		}
		w.step()
	}
	w.quiesce()
	return nil
}

// arrive starts a scan, unless one of its image is open. In a storm only urgent ones come.
func (w *world) arrive() {
	urgency := w.rand.IntN(4)
	if w.stormy {
		urgency = 0
	}
	if n := w.rand.IntN(w.images); !w.open(fmt.Sprintf("scan/%d", n)) {
		w.newChain(n, urgency)
	}
}

// storm is one patient scan among a stream of urgent and quick ones on one narrow hub.
func (w *world) storm() {
	w.stormy, w.images = true, 20
	w.hubs = []Config{{Name: "hub-a", Limit: 1}}
	w.fresh(New(w.now))
	w.newChain(0, 3)
	w.newChain(1, 0)
	w.newChain(2, 0)
}

// restart carries the book through JSON, as continuing as new does.
func (w *world) restart() {
	data, err := json.Marshal(w.book)
	if err != nil {
		w.violated("the book does not travel: %v", err)
	}
	var b Book
	if err := json.Unmarshal(data, &b); err != nil {
		w.violated("the book does not arrive: %v", err)
	}
	again, err := json.Marshal(&b)
	if err != nil || string(again) != string(data) {
		w.violated("the book changes on its way: %s, %s, %v", data, again, err)
	}
	b.off = w.off
	w.book = &b
	b.AskAgain(w.now)
}

// quiesce lets everything come to its end: nothing may be left, and every scan that wanted a lease has had one.
func (w *world) quiesce() {
	w.note("everything comes to its end")
	blocked := w.chance(4)
	for _, h := range w.hubs {
		w.book.MakeAvailable(h.Name)
		w.book.Resume(h.Name)
		if blocked {
			w.book.Pause(h.Name)
		}
	}
	if err := w.book.Configure(w.hubs); err != nil {
		panic(err)
	}
	for range 3000 {
		if w.settled() {
			break
		}
		w.now = w.now.Add(2 * time.Second)
		w.deliver()
		for _, c := range w.chains {
			c.act(w)
			if blocked && c.waiting && w.chance(20) {
				c.closed = true
			}
		}
		w.serve()
	}
	if len(w.book.Leases) > 0 {
		w.violated("leaked: %+v %+v", w.book.Leases[0], w.book.Leases[0].Drain)
	}
	if len(w.book.Waiters) > 0 {
		w.violated("waits for ever: %+v", w.book.Waiters[0])
	}
	for _, c := range w.chains {
		if !c.closed {
			w.violated("%s never came to its end", c.id)
		}
	}
}

func (w *world) settled() bool {
	for _, c := range w.chains {
		if !c.closed {
			return false
		}
	}
	return len(w.book.Leases) == 0 && len(w.book.Waiters) == 0
}

// TestInvariantsHoldInRandomHistories is the judgement of the book as it is.
func TestInvariantsHoldInRandomHistories(t *testing.T) {
	t.Parallel()
	require.NoError(t, firstViolation(histories, 0))
}

// firstViolation plays histories on every core until one breaks a rule.
func firstViolation(n uint64, off guard) error {
	workers := uint64(runtime.GOMAXPROCS(0))
	found := make([]error, workers)
	var group sync.WaitGroup
	for each := range workers {
		group.Go(func() {
			for seed := each; seed < n && found[each] == nil; seed += workers {
				found[each] = live(seed, off)
			}
		})
	}
	group.Wait()
	return errors.Join(found...)
}
