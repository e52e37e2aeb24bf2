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
)

// resolver asks registries for the digests of the references that the book does not know yet.
type resolver struct {
	book *inventory.Book
	// from is "cluster/namespace" of the pods, which limits the credentials that they may name.
	from string
	// batches are the questions under way.
	batches []*resolving
}

// resolving is a batch of questions to registries.
type resolving struct {
	future    workflow.Future
	questions []inventory.Question
	domain    string
}

// start asks registries for the next manifests, some batches at a time.
func (r *resolver) start(ctx workflow.Context) {
	for len(r.batches) < resolveBatches {
		questions := r.book.Questions(workflow.Now(ctx), resolveBatch)
		if len(questions) == 0 {
			return
		}
		var in activities.ResolveImagesInput
		for _, q := range questions {
			request := activities.ResolveRequest{Reference: q.Reference, Platform: q.Platform, Credential: q.Credential}
			if q.Credential != "" {
				request.From = r.from
			}
			in.Requests = append(in.Requests, request)
		}
		domain := domainOf(r.book)
		step := workflows.RegistryStep(ctx, domain, fmt.Sprintf("resolve %d images", len(questions)))
		r.batches = append(r.batches, &resolving{
			future: workflow.ExecuteActivity(step, registrySteps.ResolveImages, in), questions: questions, domain: domain,
		})
	}
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
