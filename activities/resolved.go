package activities

import (
	"container/list"
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/perceptor/perceptor/model"
)

// resolvedAtMost is how many resolutions a process remembers; each has a few hundred bytes.
const resolvedAtMost = 10_000

// resolvedImages remembers what pinned references lead to: that never changes, and every namespace asks for itself. Whoever
// asks while somebody else asks the same waits for that answer. The credential's name is a part of the question, so that
// nobody is told what only another may know.
type resolvedImages struct {
	lock sync.Mutex
	// known are elements of order by their questions; order has the most recently used first.
	known map[ResolveRequest]*list.Element
	order *list.List
	// asked are the questions under way.
	asked map[ResolveRequest]*flight
}

// remembered is one resolution.
type remembered struct {
	question ResolveRequest
	image    ResolvedImage
}

// flight is a question under way.
type flight struct {
	done  chan struct{}
	image ResolvedImage
	err   error
}

func newResolvedImages() *resolvedImages {
	return &resolvedImages{known: map[ResolveRequest]*list.Element{}, order: list.New(), asked: map[ResolveRequest]*flight{}}
}

// pinned reports whether a reference always means the same.
func pinned(reference string) bool {
	_, digest, found := strings.Cut(reference, "@")
	if !found {
		return false
	}
	_, err := model.ParseDigest(digest)
	return err == nil
}

// resolve answers a question from memory, from somebody who asks the same, or by ask.
func (r *resolvedImages) resolve(ctx context.Context, q ResolveRequest, ask func() (ResolvedImage, error)) (ResolvedImage, error) {
	if !pinned(q.Reference) {
		return ask()
	}
	r.lock.Lock()
	if element, ok := r.known[q]; ok {
		r.order.MoveToFront(element)
		r.lock.Unlock()
		return element.Value.(*remembered).image, nil //nolint:errcheck,forcetypeassert // nothing else is put in
	}
	if f, ok := r.asked[q]; ok {
		r.lock.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return ResolvedImage{}, ctx.Err()
		}
		if errors.Is(f.err, context.Canceled) || errors.Is(f.err, context.DeadlineExceeded) {
			return r.resolve(ctx, q, ask) // whoever asked gave up: that is no answer for others
		}
		return f.image, f.err
	}
	f := &flight{done: make(chan struct{})}
	r.asked[q] = f
	r.lock.Unlock()
	f.image, f.err = ask()
	r.land(q, f)
	return f.image, f.err
}

// land ends a flight and remembers its answer, if there was one.
func (r *resolvedImages) land(q ResolveRequest, f *flight) {
	r.lock.Lock()
	defer r.lock.Unlock()
	delete(r.asked, q)
	if f.err == nil {
		r.known[q] = r.order.PushFront(&remembered{question: q, image: f.image})
	}
	for r.order.Len() > resolvedAtMost {
		oldest := r.order.Remove(r.order.Back())
		delete(r.known, oldest.(*remembered).question) //nolint:errcheck,forcetypeassert // nothing else is put in
	}
	close(f.done)
}
