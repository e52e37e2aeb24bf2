package workflows

import (
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
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

// ensuring is a batch of images that are being told.
type ensuring struct {
	future  workflow.Future
	ensures []inventory.Ensure
	forgets []model.Digest
}

// begin starts the steps that are due.
func (n *inventoryRun) begin(ctx workflow.Context) error {
	n.resolve(ctx)
	if n.ensuring == nil && !workflow.Now(ctx).Before(n.state.EnsureAfter) {
		n.ensure(ctx)
	}
	if n.writing == nil && !workflow.Now(ctx).Before(n.state.WriteAfter) {
		n.write(ctx)
	}
	if n.telling == nil && n.notifyClusterDue(ctx) {
		return n.tell(ctx)
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
		step := registryStep(ctx, domain, fmt.Sprintf("manifests of %d images", len(questions)))
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

// failureOf reads class and reason of a step's error; away is the reason where nobody took the step.
func failureOf(err error, away string) (model.FailureClass, string) {
	if timeout, ok := errors.AsType[*temporal.TimeoutError](err); ok && timeout.TimeoutType() == enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START {
		return model.Transient, away
	}
	return activities.FailureOf(err)
}

// The delay before a registry is asked again: what passes by itself is tried sooner, at first.
const (
	resolveSoon     = 10 * time.Second
	resolveSoonMost = 10 * time.Minute
)

func (n *inventoryRun) unresolved(now time.Time, q inventory.Question, class model.FailureClass, reason string, after time.Duration) {
	n.book.Unanswered(now, q.Use, class, reason, func(failures int) time.Duration {
		if class.Temporary() {
			return max(after, growing(resolveSoon, resolveSoonMost, failures))
		}
		return max(after, growing(retryFirst, retryMost, failures))
	})
}

// growing is a delay that doubles with every failure in a row.
func growing(first, most time.Duration, failures int) time.Duration {
	if doublings := max(failures, 1) - 1; doublings < 16 {
		return min(first<<doublings, most)
	}
	return most
}

// ensure tells the next batch of images that the namespace runs them, and others that it does no more. Every half hour all
// are looked after.
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
		Priority: string(n.priority()), Domain: n.domain(), Forget: e.forgets,
	}
	for _, each := range e.ensures {
		in.Images = append(in.Images, activities.EnsureImage{
			Names: each.Names, Platform: each.Platform, HubNames: each.HubNames, Known: each.Known, Check: each.Check, Chain: each.Chain,
		})
	}
	step := ensureStep(ctx, fmt.Sprintf("%d images run here, %d no more", len(e.ensures), len(e.forgets)))
	e.future = workflow.ExecuteActivity(step, inventorySteps.EnsureImages, in)
	n.ensuring = e
}

// glance looks after the images without a verdict when a snapshot is complete, which is when somebody wants to be sure. Those that
// wait for their scans are not asked after each time.
func (n *inventoryRun) glance(ctx workflow.Context) {
	if now := workflow.Now(ctx); now.Sub(n.state.Glanced) >= checkUnscannedEvery {
		n.state.Glanced = now
		n.book.Check(true)
	}
}

// class is how urgent the scans of this namespace's images are.
func (n *inventoryRun) priority() Priority {
	if n.namespace == BareImages {
		return PriorityImage
	}
	return PriorityPod
}

// ensureAgain is the pause after a batch in which some images could not be told.
const ensureAgain = 10 * time.Second

// ensured takes what became of a batch.
func (n *inventoryRun) ensured(ctx workflow.Context) {
	e := n.ensuring
	n.ensuring = nil
	var result activities.EnsureImagesResult
	err := e.future.Get(ctx, &result)
	told := func(d model.Digest) bool { return err == nil && result.Failed[d] == "" }
	for _, each := range e.ensures {
		if d := each.Digest; told(d) {
			n.book.ImageNotified(workflow.Now(ctx), d, result.Chains[d])
		} else {
			n.book.ImageNotNotified(d)
		}
	}
	for _, d := range e.forgets {
		if told(d) {
			n.book.Forgotten(d)
		}
	}
	if err != nil || len(result.Failed) > 0 {
		n.logger.Warn("images not told", "failed", len(result.Failed), "error", err)
		n.state.EnsureAfter = workflow.Now(ctx).Add(ensureAgain)
	}
}

// changed reports whether the cluster knows other counts.
func (n *inventoryRun) changed() bool {
	was, c := n.state.LastReported, n.book.Counts()
	return was.Pods != c.Pods || was.Unscanned != c.Unscanned || was.Violations != c.Violations || was.Refused != c.Refused
}

// tellDue reports whether the cluster is to be told: at the start, when a namespace is no longer empty, and when it ends at
// once; of other changes now and then, and of its being there even without one.
func (n *inventoryRun) notifyClusterDue(ctx workflow.Context) bool {
	if n.state.Forgotten {
		return false
	}
	since := workflow.Now(ctx).Sub(n.state.LastReportedAt)
	switch {
	case n.leaving(ctx):
		return !n.state.LastReported.Ended
	case n.state.LastReported.Pods == 0 && len(n.book.Pods) > 0, since >= checkImages:
		return true
	default:
		return since >= notifyClusterEvery && n.changed()
	}
}

// tell tells the cluster the counts, which go to the search attributes too.
func (n *inventoryRun) tell(ctx workflow.Context) error {
	seen := n.seen(n.book.Counts())
	seen.Version, seen.Ended = n.book.NextVersion(), n.leaving(ctx)
	n.state.LastReported, n.state.LastReportedAt = seen, workflow.Now(ctx)
	n.telling = workflow.ExecuteActivity(lightStep(ctx, "counts for the cluster"), inventorySteps.NotifyCluster, seen)
	return n.counts.upsert(ctx, int64(seen.Pods), int64(seen.Unscanned))
}

// told takes what became of it.
func (n *inventoryRun) clusterNotified(ctx workflow.Context) {
	if err := n.telling.Get(ctx, nil); err != nil {
		n.logger.Warn("cluster not told", "error", err)
		n.state.LastReported = NamespaceSeen{}
	}
	n.telling = nil
}
