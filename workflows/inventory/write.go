package inventory

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/backoff"
	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// podWriter has the perceiver of the cluster write verdicts onto pods, one batch at a time.
type podWriter struct {
	cluster, namespace string
	// state holds when to try again, and the last failure.
	state *workflows.InventoryState
	book  *inventory.Book
	// batch is the one under way.
	batch *writing
}

// writeBatch is how many pods one step writes to.
const writeBatch = 100

// writeDelay is the growing pause after a failure.
var writeDelay = backoff.Delay{First: 30 * time.Second, Most: 10 * time.Minute}

// writing is a batch of pods that are being written to.
type writing struct {
	future   workflow.Future
	uids     []string
	versions map[string]model.Version
}

// start has the perceiver write to the next batch of pods, if that is due. The step reads their verdicts itself, when it starts.
func (w *podWriter) start(ctx workflow.Context) {
	if w.batch != nil || workflow.Now(ctx).Before(w.state.WriteAfter) {
		return
	}
	if !workflow.Now(ctx).Before(w.state.RewriteAt) {
		w.book.Rewrite()
	}
	w.expire(ctx)
	uids := w.book.Writes(writeBatch)
	if len(uids) == 0 {
		return
	}
	in := activities.WriteVerdictsInput{Cluster: w.cluster, Namespace: w.namespace, UIDs: uids}
	step := workflows.WriteStep(ctx, w.cluster, fmt.Sprintf("write verdicts onto %d pods", len(uids)))
	w.batch = &writing{
		future: workflow.ExecuteActivity(step, perceiverSteps.WriteVerdicts, in), uids: uids, versions: w.book.Versions(uids),
	}
}

// Green verdicts that end at one time are written as UNKNOWN over some time: that many pods of a namespace in each pause.
const (
	expireAtOnce = 500
	expireEvery  = time.Minute
)

// expire marks pods whose green verdicts have ended.
func (w *podWriter) expire(ctx workflow.Context) {
	now := workflow.Now(ctx)
	if !now.Before(w.state.ExpireAfter) && w.book.Expire(now, expireAtOnce) {
		w.state.ExpireAfter = now.Add(expireEvery)
	}
}

// underWay is how many pods the step under way writes to.
func (w *podWriter) underWay() int {
	if w.batch == nil {
		return 0
	}
	return len(w.batch.uids)
}

// takeResult takes what became of a batch. Pods that could not be written wait for their next try, and hold up no others; a step
// that failed as a whole holds up all.
func (w *podWriter) takeResult(ctx workflow.Context) {
	batch := w.batch
	w.batch = nil
	var result model.WriteResult
	err := batch.future.Get(ctx, &result)
	if err != nil {
		class, reason := failureOf(err, "no perceiver of cluster \""+w.cluster+"\" takes verdicts")
		w.book.Unwrote(batch.uids)
		w.noteFailure(ctx, class, reason)
		w.state.WriteAfter = w.state.RewriteAt
		return
	}
	w.state.WriteAfter = time.Time{}
	w.book.Written(batch.uids, batch.versions, result)
	switch {
	case len(result.Failed) > 0:
		first := result.Failed[0]
		w.noteFailure(ctx, first.Class, fmt.Sprintf("%d pods, the first %s: %s", len(result.Failed), first.Pod.Name, first.Reason))
	case len(w.book.Unwritten) == 0:
		w.state.WriteFailures, w.state.WriteFailure, w.state.RewriteAt = 0, nil, time.Time{}
	}
}

// noteFailure notes why, and when it is tried again.
func (w *podWriter) noteFailure(ctx workflow.Context, class model.FailureClass, reason string) {
	s, now := w.state, workflow.Now(ctx)
	if !s.RewriteAt.After(now) {
		s.WriteFailures++
		s.RewriteAt = now.Add(writeDelay.After(s.WriteFailures))
	}
	s.WriteFailure = &model.Failure{
		Class: class, Reason: inventory.Clip(reason), Step: "write", At: now, Attempt: s.WriteFailures, NextTry: s.RewriteAt,
	}
}

// retryNow lets failed writes be tried again at once: the perceiver has just shown that it is there.
func (w *podWriter) retryNow() {
	w.state.WriteAfter, w.state.RewriteAt = time.Time{}, time.Time{}
}
