package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
)

const (
	// writeBatch is how many pods one step writes to.
	writeBatch = 100
	// writeAgain and writeAgainMost bound the growing pause after a failure.
	writeAgain     = 30 * time.Second
	writeAgainMost = 10 * time.Minute
)

// writing is a batch of pods that are being written to.
type writing struct {
	future   workflow.Future
	uids     []string
	versions map[string]model.Version
}

// write has the perceiver write to the next batch of pods. The step reads their verdicts itself, when it starts.
func (n *inventoryRun) write(ctx workflow.Context) {
	if !workflow.Now(ctx).Before(n.state.RewriteAt) {
		n.book.Rewrite()
	}
	uids := n.book.Writes(writeBatch)
	if len(uids) == 0 {
		return
	}
	in := activities.WriteVerdictsInput{Cluster: n.cluster, Namespace: n.namespace, UIDs: uids}
	step := writeStep(ctx, n.cluster, fmt.Sprintf("verdicts onto %d pods", len(uids)))
	n.writing = &writing{
		future: workflow.ExecuteActivity(step, perceiverSteps.WriteVerdicts, in), uids: uids, versions: n.book.Versions(uids),
	}
}

// written takes what became of a batch. Pods that could not be written wait for their next try, and hold up no others; a step
// that failed as a whole holds up all.
func (n *inventoryRun) written(ctx workflow.Context) {
	w := n.writing
	n.writing = nil
	var result model.WriteResult
	err := w.future.Get(ctx, &result)
	if err != nil {
		class, reason := failureOf(err, "no perceiver of cluster \""+n.cluster+"\" takes verdicts")
		n.book.Unwrote(w.uids)
		n.unwritten(ctx, class, reason)
		n.state.WriteAfter = n.state.RewriteAt
		return
	}
	n.state.WriteAfter = time.Time{}
	n.book.Written(w.uids, w.versions, result)
	switch {
	case len(result.Failed) > 0:
		first := result.Failed[0]
		n.unwritten(ctx, first.Class, fmt.Sprintf("%d pods, the first %s: %s", len(result.Failed), first.Pod.Name, first.Reason))
	case len(n.book.Unwritten) == 0:
		n.state.WriteFailures, n.state.WriteFailure, n.state.RewriteAt = 0, nil, time.Time{}
	}
}

// unwritten notes why, and when it is tried again.
func (n *inventoryRun) unwritten(ctx workflow.Context, class model.FailureClass, reason string) {
	s, now := n.state, workflow.Now(ctx)
	if !s.RewriteAt.After(now) {
		s.WriteFailures++
		s.RewriteAt = now.Add(growing(writeAgain, writeAgainMost, s.WriteFailures))
	}
	s.WriteFailure = &model.Failure{
		Class: class, Reason: inventory.Clip(reason), Step: "write", At: now, Attempt: s.WriteFailures, NextTry: s.RewriteAt,
	}
}

// writable lets what could not be written be tried again at once: the perceiver has just shown that it is there.
func (n *inventoryRun) writable() {
	n.state.WriteAfter, n.state.RewriteAt = time.Time{}, time.Time{}
}
