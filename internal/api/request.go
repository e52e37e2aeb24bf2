package api

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/model"
)

// How long a request may take, the reading of its body included.
const (
	// RequestTime is for a request with a short body.
	RequestTime = time.Minute
	// BatchTime is for a request with any number of items.
	BatchTime = 5 * time.Minute
	// BodyTime is for the reading of a short body.
	BodyTime = 30 * time.Second
)

// batchesAtOnce bounds how many batches the backend stores or reads at a time; batchesOfOne how many one token may send or ask for.
const (
	batchesAtOnce = 4
	batchesOfOne  = 2
)

// Request is one request to an endpoint that reads its own body.
type Request struct {
	*http.Request
	Writer http.ResponseWriter
	// Grant is what the sender may do.
	Grant access.Grant
	// Arrived is later than that of every earlier request. It is set before the body is read, because the client knew the
	// content when it began to send.
	Arrived model.Version
	// problems answers errors as application/problem+json instead of plain text.
	problems bool
	// batches are the places for batches; nil for other requests. placed says that this request has one.
	batches gate
	placed  bool
}

// Enter takes one of the places that all batches share. Call it when the body is read: a client that sends slowly must not keep
// others out.
func (r *Request) Enter() error {
	if r.batches == nil || r.placed {
		return nil
	}
	if err := r.batches.enter(r.Context()); err != nil {
		return Refuse(http.StatusServiceUnavailable, "too many long requests at once; send it again")
	}
	r.placed = true
	return nil
}

func (r *Request) leave() {
	if r.placed {
		r.batches.leave()
	}
}

// Endpoint is how one method of a path is answered.
type Endpoint struct {
	// Scopes are the scopes that are admitted; the sender needs one of them.
	Scopes []access.Scope
	// Do carries out the request. Success without an answer of its own is 200 with an empty body.
	Do func(*Request) error
	// Batch is set for bodies or answers with any number of items.
	Batch bool
	// Problems answers errors as application/problem+json instead of plain text.
	Problems bool
}

// Answer admits the sender of a request, carries the request out, and answers errors.
func (s *Server) Answer(w http.ResponseWriter, r *http.Request, e Endpoint) {
	request := &Request{Request: r, Writer: w, Arrived: s.clock.next(), problems: e.Problems}
	grant, refused := s.Admit(r.Context(), r.Header.Get("Authorization"), e.Scopes)
	if refused != nil {
		request.refuse(refused)
		return
	}
	request.Grant = grant
	within := RequestTime
	if e.Batch {
		within = BatchTime
	}
	ctx, cancel := context.WithTimeout(r.Context(), within)
	defer cancel()
	request.Request = r.WithContext(ctx)
	if e.Batch {
		if !s.senders.enter(grant) {
			request.refuse(Refuse(http.StatusTooManyRequests, "this token has %d long requests in progress; send it again when one is done", batchesOfOne))
			return
		}
		defer s.senders.leave(grant)
		request.batches = s.batches
		defer request.leave()
	}
	if err := e.Do(request); err != nil {
		s.fail(request, err)
	}
}

// fail answers an error, and logs what the client may not read.
func (s *Server) fail(r *Request, err error) {
	refused := AsRefusal(err)
	if refused == nil {
		status, text := Explain(err)
		s.LogFailure(r.Method, r.Pattern, status, err)
		refused = Refuse(status, "%s", text)
	}
	r.refuse(refused)
}

// LogFailure logs a request that the backend did not carry out.
func (s *Server) LogFailure(method, pattern string, status int, err error) {
	s.options.Log.Warn("request failed", "method", method, "pattern", pattern, "status", status, "error", err)
}

func (r *Request) refuse(refused *Refusal) {
	if r.problems {
		refused.WriteProblem(r.Writer)
		return
	}
	refused.WritePlain(r.Writer)
}

// clock numbers requests in the order of their arrival. The order over several processes is that of their clocks.
type clock struct{ last atomic.Int64 }

// next returns a version that is later than every earlier one.
func (c *clock) next() model.Version {
	for {
		last := c.last.Load()
		now := max(time.Now().UnixNano(), last+1)
		if c.last.CompareAndSwap(last, now) {
			return model.Version{Epoch: now}
		}
	}
}

// gate bounds how many requests are in progress at a time.
type gate chan struct{}

// enter waits until fewer requests are in progress; leave must follow it.
func (g gate) enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) leave() { <-g }

// senders counts the batches of each token.
type senders struct {
	lock  sync.Mutex
	count map[access.Grant]int
}

func (s *senders) enter(g access.Grant) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.count[g] >= batchesOfOne {
		return false
	}
	if s.count == nil {
		s.count = map[access.Grant]int{}
	}
	s.count[g]++
	return true
}

func (s *senders) leave(g access.Grant) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.count[g]--; s.count[g] == 0 {
		delete(s.count, g)
	}
}
