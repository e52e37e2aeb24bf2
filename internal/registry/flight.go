package registry

import (
	"context"
	"os"
	"sync"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/perceptor/perceptor/internal/diskcache"
)

// flights sees to it that one layer is fetched once, however many pulls of the process want it at the same time.
type flights struct {
	mu       sync.Mutex
	byDigest map[string]*flight
}

// flight is one layer on its way. It goes on as long as one pull waits for it.
type flight struct {
	// access is whose login it uses: only a pull with the same login takes its failure for its own.
	access string
	cancel context.CancelFunc
	// done is closed when the layer is whole or has failed, after err is set.
	done chan struct{}
	err  error
	// file holds the whole layer until everybody who waited has opened it.
	file *os.File
	// waiting is guarded by flights.mu.
	waiting int

	// got is how much of the layer has arrived at most; received is all that came over the wire for it.
	got, received atomic.Int64
}

// join returns the flight of a layer and whether the caller is the one who has to start it.
func (f *flights) join(d v1.Descriptor, access string) (*flight, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if running, ok := f.byDigest[d.Digest.Hex]; ok {
		running.waiting++
		return running, false
	}
	started := &flight{access: access, done: make(chan struct{}), waiting: 1}
	f.byDigest[d.Digest.Hex] = started
	return started, true
}

// start runs fetch apart from the caller's context, which may end before another one's who waits as well.
func (f *flights) start(ctx context.Context, d v1.Descriptor, flying *flight, fetch func(context.Context) (*os.File, error)) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f.mu.Lock()
	flying.cancel = cancel
	f.mu.Unlock()
	go func() {
		defer cancel()
		file, err := fetch(ctx)
		f.mu.Lock()
		flying.file, flying.err = file, err
		f.forget(d, flying)
		abandoned := flying.waiting == 0
		f.mu.Unlock()
		if abandoned && file != nil {
			_ = file.Close()
		}
		close(flying.done)
	}()
}

// forget makes the next who wants the layer look again; the caller holds the mutex.
func (f *flights) forget(d v1.Descriptor, flying *flight) {
	if f.byDigest[d.Digest.Hex] == flying {
		delete(f.byDigest, d.Digest.Hex)
	}
}

// leave is called by each who joined; the last one stops the flight or lets go of its file.
func (f *flights) leave(d v1.Descriptor, flying *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	flying.waiting--
	if flying.waiting > 0 {
		return
	}
	// No caller may join a flight that is being stopped.
	f.forget(d, flying)
	flying.cancel()
	if flying.file != nil {
		_ = flying.file.Close()
		flying.file = nil
	}
}

// layer returns a layer held open: from the cache, from another pull that fetches it, or fetched here.
func (c *Client) layer(ctx context.Context, src *source, d v1.Descriptor, t *tally) (*os.File, error) {
	for again := false; ; again = true {
		if again {
			// Another caller is about to remove what was there: it is soon gone, or free again.
			if err := sleep(ctx, diskcache.Poll); err != nil {
				return nil, err
			}
		}
		file, err := c.cache.open(ctx, d)
		if err != nil {
			return nil, err
		}
		if file != nil {
			t.arrived(d)
			return file, nil
		}
		flying, mine := c.flights.join(d, src.login.access)
		if mine {
			c.flights.start(ctx, d, flying, func(ctx context.Context) (*os.File, error) {
				return c.fetch(ctx, src, d, flying)
			})
		}
		file, err = c.await(ctx, src, d, flying, t)
		if mine {
			t.received.Add(flying.received.Load())
		}
		if file != nil || err != nil {
			return file, err
		}
	}
}

// await waits for a flight. It returns neither file nor error when the caller should look again: the layer came from
// another process, or the flight failed with a login that is not the caller's.
func (c *Client) await(ctx context.Context, src *source, d v1.Descriptor, flying *flight, t *tally) (*os.File, error) {
	defer c.flights.leave(d, flying)
	t.follow(d, &flying.got)
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-flying.done:
	}
	if flying.err != nil {
		if flying.access == src.login.access {
			return nil, flying.err
		}
		return nil, nil
	}
	return c.cache.open(ctx, d)
}
