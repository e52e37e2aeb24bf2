package registry

import (
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Progress is how far a pull is, in bytes of compressed layers. What the cache had counts as done.
type Progress struct {
	Done  int64
	Total int64
}

// tally adds up the layers of one pull and tells about them now and then.
type tally struct {
	total int64
	tell  func(Progress)
	// received is what came over the wire for this pull.
	received atomic.Int64

	mu       sync.Mutex
	layers   map[v1.Hash]*atomic.Int64
	reported int64

	quit chan struct{}
	gone chan struct{}
	once sync.Once
}

func newTally(img *contents, tell func(Progress), every time.Duration) *tally {
	t := &tally{
		total: total(img.unique), tell: tell, layers: map[v1.Hash]*atomic.Int64{}, reported: -1,
		quit: make(chan struct{}), gone: make(chan struct{}),
	}
	go t.run(every)
	return t
}

func (t *tally) run(every time.Duration) {
	defer close(t.gone)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		t.report()
		select {
		case <-t.quit:
			return
		case <-ticker.C:
		}
	}
}

// report tells the sum when it has grown.
func (t *tally) report() {
	if t.tell == nil {
		return
	}
	t.mu.Lock()
	var done int64
	for _, got := range t.layers {
		done += got.Load()
	}
	grown := done > t.reported
	t.reported = max(t.reported, done)
	t.mu.Unlock()
	if grown {
		t.tell(Progress{Done: done, Total: t.total})
	}
}

// arrived counts a layer as whole.
func (t *tally) arrived(d v1.Descriptor) {
	whole := &atomic.Int64{}
	whole.Store(d.Size)
	t.follow(d, whole)
}

// follow counts a layer as far as another flight reports it.
func (t *tally) follow(d v1.Descriptor, got *atomic.Int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.layers[d.Digest] = got
}

// stop ends the reports; nothing is reported after it has returned.
func (t *tally) stop() {
	t.once.Do(func() { close(t.quit) })
	<-t.gone
}

// finish stops and tells the end.
func (t *tally) finish() {
	t.stop()
	t.report()
}
