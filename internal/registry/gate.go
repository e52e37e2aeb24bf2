package registry

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// longestRetryAfter bounds what is believed of a registry's Retry-After; Docker Hub's longest window has six hours.
const longestRetryAfter = 24 * time.Hour

// gate makes the pulls of the process wait as long as a host asked for. A short wait holds for every request to the host.
// A wait longer than the gate's patience holds only for the repository and the login that it was sent for: registries count
// their limits for each of them, and one exhausted login must not stop everyone else for hours.
type gate struct {
	pace pace

	mu     sync.Mutex
	closed map[string]*closing
}

type closing struct {
	until time.Time
	// strikes counts refusals in a row, for hosts that do not say how long to wait.
	strikes int
}

func newGate(p pace) *gate { return &gate{pace: p, closed: map[string]*closing{}} }

// loginKey carries, in a request's context, the repository and login that the request is for.
type loginKey struct{}

func withLogin(ctx context.Context, l login) context.Context {
	return context.WithValue(ctx, loginKey{}, l)
}

func loginFor(ctx context.Context) login {
	l, _ := ctx.Value(loginKey{}).(login)
	return l
}

func accessOf(ctx context.Context) string { return loginFor(ctx).access }

// narrow names a closing for one repository and login at a host. No host's name holds a space.
func narrow(host, access string) string { return host + " " + access }

// wait returns when the host may be asked again. It fails at once when that is further away than the gate's patience.
func (g *gate) wait(ctx context.Context, host string) error {
	for {
		left := g.left(host, accessOf(ctx))
		if left <= 0 {
			return nil
		}
		if deadline, limited := ctx.Deadline(); limited && left > time.Until(deadline) {
			return &fault{kind: throttled, reason: throttledReason(left), retry: left, err: context.DeadlineExceeded}
		}
		if left > g.pace.patience {
			return &fault{kind: throttled, reason: throttledReason(left), retry: left}
		}
		// Spread, so that the waiting pulls do not come back as one.
		if err := sleep(ctx, left+rand.N(left/4+time.Millisecond)); err != nil { //nolint:gosec // Jitter needs no secrecy.
			return err
		}
	}
}

// left is how long a repository and login must still wait before the host may be asked.
func (g *gate) left(host, access string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	var left time.Duration
	for _, key := range []string{host, narrow(host, access)} {
		if c, ok := g.closed[key]; ok {
			left = max(left, time.Until(c.until))
		}
	}
	return left
}

// note learns from an answer: a refusal starts a wait, any other answer ends one that is over.
func (g *gate) note(host, access string, resp *http.Response) {
	asked := retryAfter(resp.Header.Get("Retry-After"), time.Now())
	refused := resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable && asked > 0
	g.mu.Lock()
	defer g.mu.Unlock()
	if !refused {
		g.reopen(host, narrow(host, access))
		return
	}
	key := host
	if asked > g.pace.patience {
		key = narrow(host, access)
	}
	c, ok := g.closed[key]
	if !ok {
		c = &closing{}
		g.closed[key] = c
	}
	c.strikes++
	if asked <= 0 {
		asked = g.pace.delay(c.strikes)
	}
	if until := time.Now().Add(asked); until.After(c.until) {
		c.until = until
	}
}

// reopen forgets waits that are over. An answer to a request sent before the refusal says nothing about now.
func (g *gate) reopen(keys ...string) {
	for _, key := range keys {
		if c, ok := g.closed[key]; ok && !time.Now().Before(c.until) {
			delete(g.closed, key)
		}
	}
}

// retryAfter reads the header's two forms, seconds and a date; 0 means that nothing usable was said.
func retryAfter(header string, now time.Time) time.Duration {
	if header == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil {
		if seconds > int64(longestRetryAfter/time.Second) {
			return longestRetryAfter
		}
		return max(0, time.Duration(seconds)*time.Second)
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), longestRetryAfter)
}

// delay before a try, the first being try 1: doubling, bounded, and jittered by half.
func (p pace) delay(try int) time.Duration {
	d := p.first
	for i := 1; i < try && d < p.longest; i++ {
		d *= 2
	}
	d = min(d, p.longest)
	return d/2 + rand.N(d/2+1) //nolint:gosec // Jitter needs no secrecy.
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
