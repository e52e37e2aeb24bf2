package inventory

import (
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/backoff"
	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/internal/record"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Nil pointers by which the workflow names its steps.
var (
	registrySteps  *activities.RegistrySteps
	inventorySteps *activities.InventorySteps
	perceiverSteps *activities.PerceiverSteps
)

// Bounds of the steps: a batch's answer stays small, and one namespace leaves room for the others.
const (
	resolveBatch   = 50
	resolveBatches = 4
	ensureBatch    = 100
)

// resolving is a batch of questions to registries.
type resolving struct {
	future    workflow.Future
	questions []inventory.Question
	domain    string
}

// ensuring is a batch of images that are being notified.
type ensuring struct {
	future  workflow.Future
	ensures []inventory.Ensure
	forgets []model.Digest
}

// beginSteps starts the steps that are due.
func (n *inventoryRun) beginSteps(ctx workflow.Context) error {
	n.resolve(ctx)
	if n.ensuring == nil && !workflow.Now(ctx).Before(n.state.EnsureAfter) {
		n.ensure(ctx)
	}
	if n.writing == nil && !workflow.Now(ctx).Before(n.state.WriteAfter) {
		n.write(ctx)
	}
	if n.notifying == nil && n.notifyClusterDue(ctx) {
		return n.notifyCluster(ctx)
	}
	return nil
}

// resolve asks registries for the next manifests, some batches at a time.
func (n *inventoryRun) resolve(ctx workflow.Context) {
	for len(n.resolving) < resolveBatches {
		questions := n.book.Questions(workflow.Now(ctx), resolveBatch)
		if len(questions) == 0 {
			return
		}
		var in activities.ResolveImagesInput
		for _, q := range questions {
			in.Requests = append(in.Requests, activities.ResolveRequest{Reference: q.Reference, Platform: q.Platform, Credential: q.Credential})
		}
		domain := n.domain()
		step := workflows.RegistryStep(ctx, domain, fmt.Sprintf("manifests of %d images", len(questions)))
		n.resolving = append(n.resolving, &resolving{
			future: workflow.ExecuteActivity(step, registrySteps.ResolveImages, in), questions: questions, domain: domain,
		})
	}
}

// resolved takes the answers of a batch.
func (n *inventoryRun) resolved(ctx workflow.Context, r *resolving) {
	for at, other := range n.resolving {
		if other == r {
			n.resolving = append(n.resolving[:at], n.resolving[at+1:]...)
			break
		}
	}
	now := workflow.Now(ctx)
	var result activities.ResolveImagesResult
	err := r.future.Get(ctx, &result)
	if err == nil && len(result.Resolutions) != len(r.questions) {
		err = fmt.Errorf("%d answers to %d questions", len(result.Resolutions), len(r.questions))
	}
	if err != nil {
		class, reason := failureOf(err, "no scanner of domain \""+r.domain+"\" answers")
		for _, q := range r.questions {
			n.unresolved(now, q, class, reason, 0)
		}
		return
	}
	for at, q := range r.questions {
		switch answer := result.Resolutions[at]; {
		case answer.Image != nil:
			n.book.Answered(now, q.Use, answer.Image.Digest, answer.Image.Name)
		case answer.Failure != nil:
			n.unresolved(now, q, answer.Failure.Class, answer.Failure.Reason, answer.Failure.RetryAfter)
		default:
			n.unresolved(now, q, model.Transient, "the scanner gave no answer", 0)
		}
	}
}

// failureOf reads class and reason of a step's error; away is the reason where no worker took the step.
func failureOf(err error, away string) (model.FailureClass, string) {
	if timeout, ok := errors.AsType[*temporal.TimeoutError](err); ok && timeout.TimeoutType() == enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START {
		return model.Transient, away
	}
	return activities.FailureOf(err)
}

// resolveSoon is the delay before a registry is asked again after a failure that passes by itself. After others it is that of a
// failed scan.
var resolveSoon = backoff.Delay{First: 10 * time.Second, Most: 10 * time.Minute}

func (n *inventoryRun) unresolved(now time.Time, q inventory.Question, class model.FailureClass, reason string, after time.Duration) {
	n.book.Unanswered(now, q.Use, class, reason, func(failures int) time.Duration {
		if class.Temporary() {
			return max(after, resolveSoon.After(failures))
		}
		return max(after, record.Retry.After(failures))
	})
}

// ensure notifies the next batch of images that the namespace runs them, and others that it does not run them any longer. Every
// half hour all are checked.
func (n *inventoryRun) ensure(ctx workflow.Context) {
	now := workflow.Now(ctx)
	if n.book.HasImages() && now.Sub(n.state.Checked) >= checkImages {
		n.state.Checked, n.state.Glanced = now, now
		n.book.Check(false)
	}
	e := &ensuring{forgets: n.book.Forgets(ensureBatch)}
	e.ensures = n.book.Ensures(now.Add(-renewReference), ensureBatch-len(e.forgets))
	if len(e.ensures)+len(e.forgets) == 0 {
		return
	}
	in := activities.EnsureImagesInput{
		Cluster: n.cluster, Namespace: n.namespace, Version: n.book.NextVersion(), Until: now.Add(referenceLasts),
		Priority: string(priorityOf(n.namespace)), Domain: n.domain(), Forget: e.forgets,
	}
	for _, each := range e.ensures {
		in.Images = append(in.Images, activities.EnsureImage{
			Names: each.Names, Platform: each.Platform, HubNames: each.HubNames, Known: each.Known, Check: each.Check, Chain: each.Chain,
		})
	}
	step := workflows.EnsureStep(ctx, fmt.Sprintf("%d images run here, %d have gone", len(e.ensures), len(e.forgets)))
	e.future = workflow.ExecuteActivity(step, inventorySteps.EnsureImages, in)
	n.ensuring = e
}

// checkUnscanned looks after the images without a verdict when a snapshot is complete. Images that wait for their scans are not
// checked each time.
func (n *inventoryRun) checkUnscanned(ctx workflow.Context) {
	if now := workflow.Now(ctx); now.Sub(n.state.Glanced) >= checkUnscannedEvery {
		n.state.Glanced = now
		n.book.Check(true)
	}
}

// priorityOf is the priority of the scans of a namespace's images.
func priorityOf(namespace string) workflows.Priority {
	if namespace == workflows.BareImages {
		return workflows.PriorityImage
	}
	return workflows.PriorityPod
}

// ensureAgain is the pause after a batch in which some images could not be notified.
const ensureAgain = 10 * time.Second

// ensured takes what became of a batch.
func (n *inventoryRun) ensured(ctx workflow.Context) {
	e := n.ensuring
	n.ensuring = nil
	var result activities.EnsureImagesResult
	err := e.future.Get(ctx, &result)
	notified := func(d model.Digest) bool { return err == nil && result.Failed[d] == "" }
	for _, each := range e.ensures {
		if d := each.Digest; notified(d) {
			n.book.ImageNotified(workflow.Now(ctx), d, result.Chains[d])
		} else {
			n.book.ImageNotNotified(d)
		}
	}
	for _, d := range e.forgets {
		if notified(d) {
			n.book.Forgotten(d)
		}
	}
	if err != nil || len(result.Failed) > 0 {
		n.logger.Warn("images could not be notified", "failed", len(result.Failed), "error", err)
		n.state.EnsureAfter = workflow.Now(ctx).Add(ensureAgain)
	}
}

// countsDiffer reports whether the cluster knows other counts.
func countsDiffer(was workflows.NamespaceSeen, c inventory.Counts) bool {
	return was.Pods != c.Pods || was.Unscanned != c.Unscanned || was.Violations != c.Violations || was.Refused != c.Refused
}

// notifyClusterDue reports whether the cluster is to be notified. At the start, at the end, and when an empty namespace gets its
// first pod, that is at once; of other changes it is now and then, and of no change now and then too.
func (n *inventoryRun) notifyClusterDue(ctx workflow.Context) bool {
	if n.state.Forgotten {
		return false
	}
	since := workflow.Now(ctx).Sub(n.state.LastReportedAt)
	switch {
	case n.isUnneeded(ctx):
		return !n.state.LastReported.Ended
	case n.state.LastReported.Pods == 0 && len(n.book.Pods) > 0, since >= checkImages:
		return true
	default:
		return since >= notifyClusterEvery && countsDiffer(n.state.LastReported, n.book.Counts())
	}
}

// notifyCluster sends the cluster the counts, which go to the search attributes too.
func (n *inventoryRun) notifyCluster(ctx workflow.Context) error {
	seen := n.seen(n.book.Counts())
	seen.Version, seen.Ended = n.book.NextVersion(), n.isUnneeded(ctx)
	n.state.LastReported, n.state.LastReportedAt = seen, workflow.Now(ctx)
	n.notifying = workflow.ExecuteActivity(workflows.LightStep(ctx, "counts for the cluster"), inventorySteps.NotifyCluster, seen)
	return n.counts.Upsert(ctx, int64(seen.Pods), int64(seen.Unscanned))
}

// clusterNotified takes what became of it.
func (n *inventoryRun) clusterNotified(ctx workflow.Context) {
	if err := n.notifying.Get(ctx, nil); err != nil {
		n.logger.Warn("cluster could not be notified", "error", err)
		n.state.LastReported = workflows.NamespaceSeen{}
	}
	n.notifying = nil
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
	step := workflows.WriteStep(ctx, n.cluster, fmt.Sprintf("verdicts onto %d pods", len(uids)))
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
		s.RewriteAt = now.Add(writeDelay.After(s.WriteFailures))
	}
	s.WriteFailure = &model.Failure{
		Class: class, Reason: inventory.Clip(reason), Step: "write", At: now, Attempt: s.WriteFailures, NextTry: s.RewriteAt,
	}
}
