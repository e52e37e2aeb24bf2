package inventory

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/backoff"
	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/internal/record"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Bounds of the questions to registries: an answer stays small, and one namespace leaves room for the others.
const (
	resolveBatch   = 50
	resolveBatches = 4
	// slowBatches is how many of them may be of questions that were not answered soon: there is always room for the others.
	slowBatches = 2
)

// resolver asks registries for the digests of the references that the book does not know yet.
type resolver struct {
	book *inventory.Book
	// from is "cluster/namespace" of the pods, which limits the credentials that they may name.
	from string
	// bare says that the namespace has images without a pod.
	bare bool
	// batches are the questions under way.
	batches []*resolving
}

// resolving is a batch of questions to registries.
type resolving struct {
	future    workflow.Future
	questions []inventory.Question
	domain    string
	slow      bool
}

// start asks registries for the next manifests, some batches at a time. A batch ends after about a second: what a registry has
// not answered by then is asked again apart from the others. Images without a pod run on no machine that is known: they are
// those of the scanner's platform.
func (r *resolver) start(ctx workflow.Context) {
	for len(r.batches) < resolveBatches {
		batch := r.next(workflow.Now(ctx))
		if batch == nil {
			return
		}
		in := activities.ResolveImagesInput{When: activities.WhenSoon}
		if batch.slow {
			in.When = activities.WhenSome
		}
		for _, q := range batch.questions {
			request := activities.ResolveRequest{
				Reference: q.Reference, Reported: q.Reported, Repository: q.Repository, Platform: q.Platform, Credential: q.Credential,
				ScannerPlatform: r.bare, PlatformProblem: q.PlatformProblem,
			}
			if q.Credential != "" {
				request.From = r.from
			}
			in.Requests = append(in.Requests, request)
		}
		batch.domain = domainOf(r.book)
		step := workflows.RegistryStep(ctx, batch.domain, fmt.Sprintf("resolve %d images", len(batch.questions)))
		batch.future = workflow.ExecuteActivity(step, registrySteps.ResolveImages, in)
		r.batches = append(r.batches, batch)
	}
}

// next is the next batch of questions; nil where none is due.
func (r *resolver) next(now time.Time) *resolving {
	if questions := r.book.Questions(now, resolveBatch, false); len(questions) > 0 {
		return &resolving{questions: questions}
	}
	slow := 0
	for _, b := range r.batches {
		if b.slow {
			slow++
		}
	}
	if slow >= slowBatches {
		return nil
	}
	if questions := r.book.Questions(now, resolveBatch, true); len(questions) > 0 {
		return &resolving{questions: questions, slow: true}
	}
	return nil
}

// takeAnswers takes the answers of a batch.
func (r *resolver) takeAnswers(ctx workflow.Context, b *resolving) {
	r.batches = slices.DeleteFunc(r.batches, func(other *resolving) bool { return other == b })
	now := workflow.Now(ctx)
	var result activities.ResolveImagesResult
	err := b.future.Get(ctx, &result)
	if err == nil && len(result.Resolutions) != len(b.questions) {
		err = fmt.Errorf("%d answers to %d questions", len(result.Resolutions), len(b.questions))
	}
	if err != nil {
		class, reason := failureOf(err, "no scanner of domain \""+b.domain+"\" answers")
		for _, q := range b.questions {
			r.noteFailure(now, q, class, reason, 0)
		}
		return
	}
	for at, q := range b.questions {
		switch answer := result.Resolutions[at]; {
		case answer.Image != nil:
			r.book.Answered(now, q.Use, answer.Image.Digest, answer.Image.Name)
		case answer.Pending:
			r.book.NotAnsweredSoon(q.Use)
		case answer.Failure != nil:
			r.noteFailure(now, q, answer.Failure.Class, answer.Failure.Reason, answer.Failure.RetryAfter)
		default:
			r.noteFailure(now, q, model.Transient, "the scanner gave no answer", 0)
		}
	}
}

// resolveSoon is the delay before a registry is asked again after a failure that passes by itself. After others it is that of a
// failed scan.
var resolveSoon = backoff.Delay{First: 10 * time.Second, Most: 10 * time.Minute}

// noteFailure notes why a question got no answer, and when it is asked again.
func (r *resolver) noteFailure(now time.Time, q inventory.Question, class model.FailureClass, reason string, after time.Duration) {
	r.book.Unanswered(now, q.Use, class, reason, func(failures int) time.Duration {
		if class.Temporary() {
			return max(after, resolveSoon.After(failures))
		}
		return max(after, record.Retry.After(failures))
	})
}
