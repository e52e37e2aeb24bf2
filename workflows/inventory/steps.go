package inventory

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
	"github.com/perceptor/perceptor/workflows"
)

// Nil pointers by which the workflow names its steps.
var (
	registrySteps  *activities.RegistrySteps
	inventorySteps *activities.InventorySteps
	perceiverSteps *activities.PerceiverSteps
)

// ensureBatch is how many images one step notifies: its answer stays small, and one namespace leaves room for the others.
const ensureBatch = 100

// ensuring is a batch of images that are being notified.
type ensuring struct {
	future  workflow.Future
	ensures []inventory.Ensure
	forgets []model.Digest
}

// beginSteps starts the steps that are due.
func (n *inventoryRun) beginSteps(ctx workflow.Context) error {
	n.resolver.start(ctx)
	if n.ensuring == nil && !workflow.Now(ctx).Before(n.state.EnsureAfter) {
		n.ensure(ctx)
	}
	n.writer.start(ctx)
	if n.notifying == nil && n.notifyClusterDue(ctx) {
		return n.notifyCluster(ctx)
	}
	return nil
}

// failureOf reads class and reason of a step's error; away is the reason where no worker took the step.
func failureOf(err error, away string) (model.FailureClass, string) {
	if timeout, ok := errors.AsType[*temporal.TimeoutError](err); ok && timeout.TimeoutType() == enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START {
		return model.Transient, away
	}
	return activities.FailureOf(err)
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
		Priority: string(priorityOf(n.namespace)), Domain: domainOf(n.book), Forget: e.forgets,
	}
	for _, each := range e.ensures {
		in.Images = append(in.Images, activities.EnsureImage{
			Names: each.Names, Platform: each.Platform, HubNames: each.HubNames, Known: each.Known, Check: each.Check, Chain: each.Chain,
		})
	}
	step := workflows.EnsureStep(ctx, fmt.Sprintf("notify images: %d run here, %d do not run here any longer", len(e.ensures), len(e.forgets)))
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
	return was.Pods != c.Pods || was.Unscanned != c.Unscanned || was.Violations != c.Violations || was.Unknown != c.Unknown || was.Refused != c.Refused
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
	n.notifying = workflow.ExecuteActivity(workflows.LightStep(ctx, "send the counts to the cluster"), inventorySteps.NotifyCluster, seen)
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
