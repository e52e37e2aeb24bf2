package inventory

import (
	"errors"
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// The rhythm of an inventory.
const (
	// checkImages is how often an inventory checks the images it runs, and renewReference how often it notifies them again
	// that it runs them. referenceLasts is how long they believe that.
	checkImages    = 30 * time.Minute
	renewReference = 12 * time.Hour
	referenceLasts = 24 * time.Hour
	// checkUnscannedEvery is how often at most a snapshot has it check the images without a verdict.
	checkUnscannedEvery = 5 * time.Minute
	// notifyClusterEvery is how often at most it notifies its cluster that its counts have changed.
	notifyClusterEvery = 30 * time.Second
	// inventoryGrace is how long an empty inventory is kept.
	inventoryGrace = 24 * time.Hour
)

// inventoryRun is one run of Inventory.
type inventoryRun struct {
	cluster, namespace string
	state              *workflows.InventoryState
	book               *inventory.Book
	logger             log.Logger
	began              time.Time
	inbox              workflows.Inbox
	alarm              workflows.Alarm
	resolver           resolver
	writer             podWriter
	// ensuring and notifying are the steps under way, at most one of each kind.
	ensuring  *ensuring
	notifying workflow.Future
	counts    workflows.CountAttributes
}

// Inventory keeps the join of one namespace: its pods, the images they run, and what is known of those. It ends when the
// namespace has been empty for a day.
func Inventory(ctx workflow.Context, in workflows.InventoryInput) error {
	state, wrong := workflows.Continued(ctx, in.State)
	cluster, namespace, err := workflows.NamespaceOf(workflow.GetInfo(ctx).WorkflowExecution.ID)
	if err != nil {
		return temporal.NewNonRetryableApplicationError(err.Error(), string(model.Invalid), nil)
	}
	n := &inventoryRun{cluster: cluster, namespace: namespace, state: state, began: workflow.Now(ctx), logger: workflow.GetLogger(ctx)}
	if n.state == nil || n.state.Book.Value == nil {
		n.state = &workflows.InventoryState{Book: inventory.Packed[inventory.Book]{Value: inventory.New(n.began, nil)}}
	}
	n.book = n.state.Book.Value
	n.resolver = resolver{book: n.book, from: in.Cluster + "/" + in.Namespace, bare: n.namespace == workflows.BareImages}
	n.writer = podWriter{cluster: n.cluster, namespace: n.namespace, state: n.state, book: n.book}
	n.book.Open(n.measureBook(ctx))
	n.counts = workflows.KnownCounts(ctx)
	n.inbox.Rejected = &n.state.Rejected
	if in.Cluster != cluster || in.Namespace != namespace {
		wrong = errors.New("it is about another namespace")
	}
	if wrong != nil {
		n.inbox.Reject(ctx, workflows.RejectedInput, wrong)
	}
	n.openInbox()
	if err := n.answerQueries(ctx); err != nil {
		return err
	}
	return n.run(ctx)
}

// measureBook finds the size of the book. It goes into the history, because another release may pack better.
func (n *inventoryRun) measureBook(ctx workflow.Context) func() int {
	return func() int {
		var size int
		value := workflow.SideEffect(ctx, func(workflow.Context) any { return n.book.Size() })
		if err := value.Get(&size); err != nil {
			n.logger.Error("size of the inventory could not be measured", "error", err)
			return inventory.Limit
		}
		return size
	}
}

// run takes what has arrived, does what is due, and waits for the next event or deadline.
func (n *inventoryRun) run(ctx workflow.Context) error {
	for {
		n.inbox.ReceivePending(ctx)
		n.markIdle(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case n.finished(ctx):
			if !n.inbox.ReceivePending(ctx) {
				return nil
			}
		case workflows.ShouldContinueAsNew(ctx, n.began) && !n.busy():
			if !n.inbox.ReceivePending(ctx) {
				return workflow.NewContinueAsNewError(ctx, workflows.TypeInventory, workflows.InventoryInput{Cluster: n.cluster, Namespace: n.namespace, State: n.state})
			}
		default:
			if err := n.step(ctx); err != nil {
				return err
			}
		}
	}
}

// step begins what is due, unless the run is about to end, and waits.
func (n *inventoryRun) step(ctx workflow.Context) error {
	if !workflows.ShouldContinueAsNew(ctx, n.began) {
		if err := n.beginSteps(ctx); err != nil {
			return err
		}
	}
	n.updateDetails(ctx)
	return n.wait(ctx)
}

// busy reports whether a step is under way: a run does not end before its steps.
func (n *inventoryRun) busy() bool {
	return len(n.resolver.batches) > 0 || n.ensuring != nil || n.writer.batch != nil || n.notifying != nil
}

// markIdle notes since when there is nothing in the namespace.
func (n *inventoryRun) markIdle(ctx workflow.Context) {
	switch empty := n.book.Empty(); {
	case !empty:
		n.state.Idle = time.Time{}
	case n.state.Idle.IsZero():
		n.state.Idle = workflow.Now(ctx)
	}
}

// finished reports whether the inventory can end: the namespace has been empty for long, and its cluster knows. A cluster
// that is being forgotten is not notified.
func (n *inventoryRun) finished(ctx workflow.Context) bool {
	return n.isUnneeded(ctx) && !n.busy() && (n.state.Forgotten || n.state.LastReported.Ended)
}

// isUnneeded reports whether nothing keeps the inventory.
func (n *inventoryRun) isUnneeded(ctx workflow.Context) bool {
	return n.book.Empty() && (n.state.Forgotten || workflow.Now(ctx).Sub(n.state.Idle) >= inventoryGrace)
}

// wait sleeps until a signal, the end of a step, or the next deadline.
func (n *inventoryRun) wait(ctx workflow.Context) error {
	n.alarm.Set(ctx, n.deadline(ctx), "next check")
	selector := workflow.NewSelector(ctx)
	n.inbox.Listen(ctx, selector)
	n.alarm.Listen(selector, nil)
	for _, b := range n.resolver.batches {
		selector.AddFuture(b.future, func(workflow.Future) { n.resolver.takeAnswers(ctx, b) })
	}
	if n.ensuring != nil {
		selector.AddFuture(n.ensuring.future, func(workflow.Future) { n.ensured(ctx) })
	}
	if n.writer.batch != nil {
		selector.AddFuture(n.writer.batch.future, func(workflow.Future) { n.writer.takeResult(ctx) })
	}
	if n.notifying != nil {
		selector.AddFuture(n.notifying, func(workflow.Future) { n.clusterNotified(ctx) })
	}
	selector.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {})
	selector.Select(ctx)
	return ctx.Err()
}

// deadline is when something is due by itself.
func (n *inventoryRun) deadline(ctx workflow.Context) time.Time {
	s := n.state
	times := []time.Time{s.EnsureAfter, n.book.NextQuestion()}
	if !s.Idle.IsZero() {
		times = append(times, s.Idle.Add(inventoryGrace))
	}
	if n.book.HasImages() {
		times = append(times, s.Checked.Add(checkImages))
	}
	if countsDiffer(s.LastReported, n.book.Counts()) {
		times = append(times, s.LastReportedAt.Add(notifyClusterEvery))
	}
	if end := n.book.NextExpiry(); !end.IsZero() {
		times = append(times, later(end, s.ExpireAfter))
	}
	if n.book.HasUnwritten() {
		times = append(times, s.WriteAfter, s.RewriteAt)
	}
	return workflows.Earliest(workflow.Now(ctx), n.began.Add(workflows.QuietRun), times...)
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
