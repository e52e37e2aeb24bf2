package activities

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/perceptor/perceptor/model"
)

// Resolver finds the manifest of one platform behind a reference. A question must end by itself within a minute or so.
type Resolver interface {
	// Permits says why pods from a namespace may not name a credential for an image; From of ResolveRequest says what from is.
	Permits(reference, credential, from string) error
	Resolve(ctx context.Context, r ResolveRequest) (ResolvedImage, error)
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
	// looking bounds the questions about verdicts, asking those to each registry, by its host.
	looking chan struct{}
	asking  *hostSlots
}

// NewRegistrySteps asks r, except for images that have a verdict under the very digest that was reported: whatever their
// registry does, they are what they are.
func NewRegistrySteps(r Resolver, judged JudgedImages) *RegistrySteps {
	return &RegistrySteps{
		resolver: r, judged: judged, resolved: newResolvedImages(),
		looking: make(chan struct{}, lookAtOnce), asking: &hostSlots{byHost: map[string]*hostSlot{}},
	}
}

// ResolveRequest is one reference, what is reported of it, and the platform it is to run on.
type ResolveRequest struct {
	// Reference is any form a person or a runtime writes: tag, index digest or manifest digest.
	Reference string `json:"reference"`
	// Reported is the digest that a runtime reports: that of a manifest, of an index, or of a configuration. It says what runs,
	// whatever the reference leads to today.
	Reported model.Digest `json:"reported,omitempty"`
	// Repository is where the runtime says that the image is from, if that is not the reference's.
	Repository string `json:"repository,omitempty"`
	// Platform picks the manifest out of an index. What is not known of it is not guessed.
	Platform model.Platform `json:"platform"`
	// ScannerPlatform says that no machine is meant: an empty platform is then the worker's own.
	ScannerPlatform bool `json:"scannerPlatform,omitempty"`
	// PlatformProblem is why the platform is not known, as the perceiver says.
	PlatformProblem string `json:"platformProblem,omitempty"`
	// Credential is a credential's name.
	Credential string `json:"credential,omitempty"`
	// From is who names the credential: "cluster/namespace" of pods, a cluster alone for its operator, empty for an operator of
	// all clusters. It is empty without a credential, so that all namespaces share an answer.
	From string `json:"from,omitempty"`
}

// AnswerWhen says when a batch of questions ends. What is not answered by then is pending: it goes on, and the same question
// asked again waits for its answer.
type AnswerWhen string

// The ends of a batch: when all are answered, after a second at most, or as soon as there is an answer.
const (
	WhenAll  AnswerWhen = ""
	WhenSoon AnswerWhen = "soon"
	WhenSome AnswerWhen = "some"
)

// ResolveImagesInput is a batch of requests.
type ResolveImagesInput struct {
	Requests []ResolveRequest `json:"requests"`
	When     AnswerWhen       `json:"when,omitempty"`
}

// Resolution is the answer to one request: an image or a failure.
type Resolution struct {
	Image   *ResolvedImage `json:"image,omitempty"`
	Failure *HubTrouble    `json:"failure,omitempty"`
	// Pending says that there is no answer yet.
	Pending bool `json:"pending,omitempty"`
}

// ResolveImagesResult has one answer for each request, in their order.
type ResolveImagesResult struct {
	Resolutions []Resolution `json:"resolutions"`
}

const (
	// soon is how long a batch waits for registries that answer as usual. A known image is joined after this time at the latest.
	soon = time.Second
	// gather is how long a batch that waited for its first answer waits for others.
	gather = 200 * time.Millisecond
	// questionLimit bounds one question, with the wait for a slot of its registry. It ends also where the step has ended.
	questionLimit = 3 * time.Minute
	// lookAtOnce bounds the questions about verdicts, askAtOnce those to one registry, of all batches of this process.
	lookAtOnce = 16
	askAtOnce  = 16
)

// answered is the answer to one of a batch of questions.
type answered struct {
	at         int
	resolution Resolution
}

// ResolveImages finds the manifest digests behind references. Each question is answered by itself: one that a registry does not
// answer holds up no other.
func (s *RegistrySteps) ResolveImages(ctx context.Context, in ResolveImagesInput) (ResolveImagesResult, error) {
	beat := startHeartbeat(ctx, Progress{Phase: "resolve", Total: int64(len(in.Requests))})
	defer beat.end()
	answers := make(chan answered, len(in.Requests))
	for at, request := range in.Requests {
		go func() { answers <- answered{at, s.resolve(ctx, request)} }()
	}
	result := ResolveImagesResult{Resolutions: make([]Resolution, len(in.Requests))}
	for at := range result.Resolutions {
		result.Resolutions[at].Pending = true
	}
	count := collect(ctx, in.When, answers, result.Resolutions)
	activity.GetLogger(ctx).Debug("images resolved", "count", count, "pending", len(in.Requests)-count)
	return result, ctx.Err()
}

// collect takes answers until the batch ends, and counts them.
func collect(ctx context.Context, when AnswerWhen, answers <-chan answered, into []Resolution) int {
	count, late := 0, false
	timer := time.NewTimer(soon)
	defer timer.Stop()
	for count < len(into) {
		select {
		case a := <-answers:
			into[a.at] = a.resolution
			if count++; late {
				late = false
				timer.Reset(gather)
			}
		case <-timer.C:
			if when == WhenSoon || when == WhenSome && count > 0 {
				return count
			}
			late = when == WhenSome
		case <-ctx.Done():
			return count
		}
	}
	return count
}

// resolve answers one question. It goes on after the batch has ended: the next one that asks the same gets its answer.
func (s *RegistrySteps) resolve(ctx context.Context, r ResolveRequest) Resolution {
	if r.Credential == "" {
		r.From = ""
	} else if err := s.permits(r); err != nil {
		return Resolution{Failure: troubleOf(err)} // before anything that is remembered is answered
	}
	found, err := s.resolved.resolve(ctx, r, func() (ResolvedImage, error) {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), questionLimit)
		defer cancel()
		return s.find(limited, r)
	})
	if err != nil {
		return Resolution{Failure: troubleOf(err)}
	}
	return Resolution{Image: &found}
}

// permits asks about the reference, and about the repository that the runtime names where the reference is not permitted.
func (s *RegistrySteps) permits(r ResolveRequest) error {
	err := s.resolver.Permits(r.Reference, r.Credential, r.From)
	if err != nil && r.Repository != "" && s.resolver.Permits(r.Repository, r.Credential, r.From) == nil {
		return nil
	}
	return err
}

// find asks whether the image is known, and then its registry.
func (s *RegistrySteps) find(ctx context.Context, r ResolveRequest) (ResolvedImage, error) {
	if known, is := s.known(ctx, r); is {
		return known, nil
	}
	host, _, _ := strings.Cut(r.Reference, "/")
	release, err := s.asking.acquire(ctx, host)
	if err != nil {
		return ResolvedImage{}, fmt.Errorf("resolve %s: the registry did not answer in time, and other questions to it are waiting: %w", r.Reference, err)
	}
	defer release()
	return s.resolver.Resolve(ctx, r)
}

// hostSlots share out the questions to each registry, so that one that does not answer has no slot of another.
type hostSlots struct {
	lock   sync.Mutex
	byHost map[string]*hostSlot
}

// hostSlot are the slots of one registry; users counts who has or wants one.
type hostSlot struct {
	slots chan struct{}
	users int
}

// acquire waits for a slot. The function gives it back.
func (h *hostSlots) acquire(ctx context.Context, host string) (func(), error) {
	h.lock.Lock()
	slot := h.byHost[host]
	if slot == nil {
		slot = &hostSlot{slots: make(chan struct{}, askAtOnce)}
		h.byHost[host] = slot
	}
	slot.users++
	h.lock.Unlock()
	leave := func() {
		h.lock.Lock()
		defer h.lock.Unlock()
		if slot.users--; slot.users == 0 {
			delete(h.byHost, host)
		}
	}
	select {
	case slot.slots <- struct{}{}:
		return func() { <-slot.slots; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

// knownWait bounds the question about a verdict: a registry may answer sooner than an image that is slow.
const knownWait = 3 * time.Second

// known is the image of a digest that was reported or is in the reference, where that very digest has a verdict. An index has
// none, so its digest is still resolved; and a question that fails leaves the answer to the registry.
func (s *RegistrySteps) known(ctx context.Context, r ResolveRequest) (ResolvedImage, bool) {
	digest := r.digest()
	if s.judged == nil || digest == "" {
		return ResolvedImage{}, false
	}
	s.looking <- struct{}{}
	defer func() { <-s.looking }()
	ctx, cancel := context.WithTimeout(ctx, knownWait)
	defer cancel()
	if is, err := s.judged.HasVerdict(ctx, digest); err != nil || !is {
		return ResolvedImage{}, false
	}
	name, _, _ := strings.Cut(r.Reference, "@")
	repository, tag := model.SplitReference(name)
	return ResolvedImage{Digest: digest, Name: model.Name{Repository: repository, Tag: tag, Credential: r.Credential}, Platform: r.Platform}, true
}

// digest is what is asked for by its content, so that it always means the same; empty for a tag alone.
func (r ResolveRequest) digest() model.Digest {
	sum := string(r.Reported)
	if sum == "" {
		_, sum, _ = strings.Cut(r.Reference, "@")
	}
	digest, err := model.ParseDigest(sum)
	if err != nil {
		return ""
	}
	return digest
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

// resolve answers a question from memory, by the answer to the same question that is under way, or by ask, which goes on when
// the caller gives up.
func (r *resolvedImages) resolve(ctx context.Context, q ResolveRequest, ask func() (ResolvedImage, error)) (ResolvedImage, error) {
	r.lock.Lock()
	if element, ok := r.known[q]; ok {
		r.order.MoveToFront(element)
		r.lock.Unlock()
		return element.Value.(*remembered).image, nil //nolint:errcheck,forcetypeassert // nothing else is put in
	}
	f, others := r.asked[q]
	if !others {
		f = &flight{done: make(chan struct{})}
		r.asked[q] = f
	}
	r.lock.Unlock()
	if !others {
		go r.fly(q, f, ask)
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return ResolvedImage{}, ctx.Err()
	}
	if others && (errors.Is(f.err, context.Canceled) || errors.Is(f.err, context.DeadlineExceeded)) {
		return r.resolve(ctx, q, ask) // the one that asked gave up: that is no answer for others
	}
	return f.image, f.err
}

// fly asks. A fault in the asking is a failure of this question alone.
func (r *resolvedImages) fly(q ResolveRequest, f *flight, ask func() (ResolvedImage, error)) {
	defer r.finish(q, f)
	defer func() {
		if fault := recover(); fault != nil {
			f.err = fmt.Errorf("resolve %s: the answer could not be read: %v", q.Reference, fault)
		}
	}()
	f.image, f.err = ask()
}

// finish ends a flight and remembers its answer, if there was one.
func (r *resolvedImages) finish(q ResolveRequest, f *flight) {
	r.lock.Lock()
	defer r.lock.Unlock()
	delete(r.asked, q)
	if f.err == nil && q.digest() != "" {
		r.known[q] = r.order.PushFront(&remembered{question: q, image: f.image})
	}
	for r.order.Len() > resolvedAtMost {
		oldest := r.order.Remove(r.order.Back())
		delete(r.known, oldest.(*remembered).question) //nolint:errcheck,forcetypeassert // nothing else is put in
	}
	close(f.done)
}
