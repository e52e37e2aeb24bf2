package activities

import (
	"container/list"
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/perceptor/perceptor/model"
)

// Resolver turns a reference into the manifest of one platform.
type Resolver interface {
	// Permits says why pods from a namespace may not name a credential for an image; From of ResolveRequest says what from is.
	Permits(reference, credential, from string) error
	Resolve(ctx context.Context, reference string, platform model.Platform, credential string) (ResolvedImage, error)
}

// ResolvedImage is the manifest a reference leads to.
type ResolvedImage struct {
	Digest   model.Digest   `json:"digest"`
	Name     model.Name     `json:"name"`
	Platform model.Platform `json:"platform"`
	// Size is the sum of the compressed layers in bytes.
	Size int64 `json:"size,omitempty"`
}

// JudgedImages knows the images that have a verdict.
type JudgedImages interface {
	HasVerdict(ctx context.Context, d model.Digest) (bool, error)
}

// RegistrySteps are the short questions to registries.
type RegistrySteps struct {
	resolver Resolver
	judged   JudgedImages
	resolved *resolvedImages
}

// NewRegistrySteps asks r, except for images that have a verdict under the very digest that was reported: whatever their
// registry does, they are what they are.
func NewRegistrySteps(r Resolver, judged JudgedImages) *RegistrySteps {
	return &RegistrySteps{resolver: r, judged: judged, resolved: newResolvedImages()}
}

// ResolveRequest is one reference and the platform it is to run on.
type ResolveRequest struct {
	// Reference is any form a person or a runtime writes: tag, index digest or manifest digest.
	Reference string `json:"reference"`
	// Platform picks the manifest out of an index; empty means the worker's own.
	Platform model.Platform `json:"platform"`
	// Credential is a credential's name.
	Credential string `json:"credential,omitempty"`
	// From is who names the credential: "cluster/namespace" of pods, a cluster alone for its operator, empty for an operator of
	// all clusters. It is empty without a credential, so that all namespaces share an answer.
	From string `json:"from,omitempty"`
}

// ResolveImagesInput is a batch of requests.
type ResolveImagesInput struct {
	Requests []ResolveRequest `json:"requests"`
}

// Resolution is the answer to one request: an image or a failure.
type Resolution struct {
	Image   *ResolvedImage `json:"image,omitempty"`
	Failure *HubTrouble    `json:"failure,omitempty"`
}

// ResolveImagesResult has one answer for each request, in their order.
type ResolveImagesResult struct {
	Resolutions []Resolution `json:"resolutions"`
}

// resolveAtOnce bounds how many registries one batch asks at the same time.
const resolveAtOnce = 8

// ResolveImages finds the manifest digests behind references. One that cannot be resolved does not hold up the others.
func (s *RegistrySteps) ResolveImages(ctx context.Context, in ResolveImagesInput) (ResolveImagesResult, error) {
	beat := startHeartbeat(ctx, Progress{Phase: "resolve", Total: int64(len(in.Requests))})
	defer beat.end()
	result := ResolveImagesResult{Resolutions: make([]Resolution, len(in.Requests))}
	var wait sync.WaitGroup
	slots := make(chan struct{}, resolveAtOnce)
	for i, request := range in.Requests {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			result.Resolutions[i] = s.resolve(ctx, request)
		})
	}
	wait.Wait()
	activity.GetLogger(ctx).Debug("images resolved", "count", len(in.Requests))
	return result, ctx.Err()
}

func (s *RegistrySteps) resolve(ctx context.Context, r ResolveRequest) Resolution {
	platform := r.Platform
	if platform.Architecture == "" {
		platform = model.Platform{OS: "linux", Architecture: runtime.GOARCH}
	}
	r.Platform = platform
	if r.Credential == "" {
		r.From = ""
	} else if err := s.resolver.Permits(r.Reference, r.Credential, r.From); err != nil {
		return Resolution{Failure: troubleOf(err)} // before anything that is remembered is answered
	}
	found, err := s.resolved.resolve(ctx, r, func() (ResolvedImage, error) {
		if known, is := s.known(ctx, r); is {
			return known, nil
		}
		return s.resolver.Resolve(ctx, r.Reference, r.Platform, r.Credential)
	})
	if err != nil {
		return Resolution{Failure: troubleOf(err)}
	}
	return Resolution{Image: &found}
}

// knownWait bounds the question about a verdict: a registry may answer sooner than an image that is slow.
const knownWait = 3 * time.Second

// known is the image of a reference by digest, where that very digest has a verdict. An index has none, so its digest is still
// resolved; and a question that fails leaves the answer to the registry.
func (s *RegistrySteps) known(ctx context.Context, r ResolveRequest) (ResolvedImage, bool) {
	if s.judged == nil || !isPinned(r.Reference) {
		return ResolvedImage{}, false
	}
	name, sum, _ := strings.Cut(r.Reference, "@")
	digest, err := model.ParseDigest(sum)
	if err != nil {
		return ResolvedImage{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, knownWait)
	defer cancel()
	if is, err := s.judged.HasVerdict(ctx, digest); err != nil || !is {
		return ResolvedImage{}, false
	}
	repository, tag := model.SplitReference(name)
	return ResolvedImage{Digest: digest, Name: model.Name{Repository: repository, Tag: tag, Credential: r.Credential}, Platform: r.Platform}, true
}

// resolvedAtMost is how many resolutions a process remembers; each has a few hundred bytes.
const resolvedAtMost = 10_000

// resolvedImages remembers what pinned references lead to: that never changes, and every namespace asks for itself. Of
// several that ask the same at one time, one asks the registry and the others wait for that answer. The credential's name is
// a part of the question, so that an answer reaches only those who may know it.
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
func isPinned(reference string) bool {
	_, digest, found := strings.Cut(reference, "@")
	if !found {
		return false
	}
	_, err := model.ParseDigest(digest)
	return err == nil
}

// resolve answers a question from memory, by the answer to the same question that is under way, or by ask.
func (r *resolvedImages) resolve(ctx context.Context, q ResolveRequest, ask func() (ResolvedImage, error)) (ResolvedImage, error) {
	if !isPinned(q.Reference) {
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
			return r.resolve(ctx, q, ask) // the one that asked gave up: that is no answer for others
		}
		return f.image, f.err
	}
	f := &flight{done: make(chan struct{})}
	r.asked[q] = f
	r.lock.Unlock()
	f.image, f.err = ask()
	r.finish(q, f)
	return f.image, f.err
}

// finish ends a flight and remembers its answer, if there was one.
func (r *resolvedImages) finish(q ResolveRequest, f *flight) {
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
