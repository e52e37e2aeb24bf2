package workflows

import (
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
)

// InventoryInput starts an Inventory, or carries it into its next run.
type InventoryInput struct {
	Cluster   string          `json:"cluster"`
	Namespace string          `json:"namespace"`
	State     *InventoryState `json:"state,omitempty"`
}

// InventoryState is all an Inventory knows; it goes with it into its next run.
type InventoryState struct {
	Book inventory.Packed[inventory.Book] `json:"book"`
	// Idle is when the namespace became empty; zero while it is not.
	Idle time.Time `json:"idle,omitzero"`
	// Forgotten is set when an operator has forgotten the cluster.
	Forgotten bool `json:"forgotten,omitempty"`
	// Told is what the cluster was last told, at ToldAt.
	LastReported   NamespaceSeen `json:"lastReported,omitzero"`
	LastReportedAt time.Time     `json:"lastReportedAt,omitzero"`
	// Checked is when the images were last looked after, and Glanced when at least those without a verdict were; EnsureAfter is when telling them is tried again after a failure.
	Checked     time.Time `json:"checked,omitzero"`
	Glanced     time.Time `json:"glanced,omitzero"`
	EnsureAfter time.Time `json:"ensureAfter,omitzero"`
	// WriteAfter is when anything is written again after a step that failed, and RewriteAt when what could not be written is
	// tried again; WriteFailures counts failures in a row, and WriteFailure is the last.
	WriteAfter    time.Time      `json:"writeAfter,omitzero"`
	RewriteAt     time.Time      `json:"rewriteAt,omitzero"`
	WriteFailures int            `json:"writeFailures,omitempty"`
	WriteFailure  *model.Failure `json:"writeFailure,omitempty"`
}

// inventoryRun is one run of Inventory.
type inventoryRun struct {
	cluster, namespace string
	state              *InventoryState
	book               *inventory.Book
	logger             log.Logger
	began              time.Time
	alarm              alarm
	// steps are those under way: what is asked of registries, and at most one of each other kind.
	resolving []*resolving
	ensuring  *ensuring
	writing   *writing
	telling   workflow.Future
	counts    countAttributes
}

// Inventory keeps the join of one namespace: its pods, the images they run, and what is known of those. It ends when the
// namespace has been empty for a day.
func Inventory(ctx workflow.Context, in InventoryInput) error {
	n := &inventoryRun{cluster: in.Cluster, namespace: in.Namespace, state: in.State, began: workflow.Now(ctx), logger: workflow.GetLogger(ctx)}
	if n.state == nil {
		n.state = &InventoryState{Book: inventory.Packed[inventory.Book]{Value: inventory.New(n.began, nil)}}
	}
	n.book = n.state.Book.Value
	n.book.Open(n.measure(ctx))
	n.counts = knownCounts(ctx)
	if err := n.answerQueries(ctx); err != nil {
		return err
	}
	return n.run(ctx)
}

// measure finds the size of the book. It goes into the history, because another release may pack better.
func (n *inventoryRun) measure(ctx workflow.Context) func() int {
	return func() int {
		var size int
		value := workflow.SideEffect(ctx, func(workflow.Context) any { return n.book.Size() })
		if err := value.Get(&size); err != nil {
			n.logger.Error("size of the inventory", "error", err)
			return inventory.Limit
		}
		return size
	}
}

// run takes what has arrived, does what is due, and waits for the next event or deadline.
func (n *inventoryRun) run(ctx workflow.Context) error {
	for {
		n.receivePending(ctx)
		n.rest(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case n.finished(ctx):
			if !n.receivePending(ctx) {
				return nil
			}
		case n.shouldContinueAsNew(ctx) && !n.busy():
			if !n.receivePending(ctx) {
				return workflow.NewContinueAsNewError(ctx, Inventory, InventoryInput{Cluster: n.cluster, Namespace: n.namespace, State: n.state})
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
	if !n.shouldContinueAsNew(ctx) {
		if err := n.begin(ctx); err != nil {
			return err
		}
	}
	n.updateDetails(ctx)
	return n.wait(ctx)
}

// busy reports whether a step is under way: a run does not end before its steps.
func (n *inventoryRun) busy() bool {
	return len(n.resolving) > 0 || n.ensuring != nil || n.writing != nil || n.telling != nil
}

// rest notes since when there is nothing in the namespace.
func (n *inventoryRun) rest(ctx workflow.Context) {
	switch empty := n.book.Empty(); {
	case !empty:
		n.state.Idle = time.Time{}
	case n.state.Idle.IsZero():
		n.state.Idle = workflow.Now(ctx)
	}
}

// finished reports whether the inventory can end: the namespace has been empty for long, and everybody knows. A cluster that
// is being forgotten is told nothing.
func (n *inventoryRun) finished(ctx workflow.Context) bool {
	return n.leaving(ctx) && !n.busy() && (n.state.Forgotten || n.state.LastReported.Ended)
}

// leaving reports whether nothing keeps the inventory.
func (n *inventoryRun) leaving(ctx workflow.Context) bool {
	return n.book.Empty() && (n.state.Forgotten || workflow.Now(ctx).Sub(n.state.Idle) >= inventoryGrace)
}

// worn reports whether it is time for a new run.
func (n *inventoryRun) shouldContinueAsNew(ctx workflow.Context) bool {
	return workflow.GetInfo(ctx).GetContinueAsNewSuggested() || workflow.Now(ctx).Sub(n.began) >= quietRun
}

// wait sleeps until a signal, the end of a step, or the next deadline.
func (n *inventoryRun) wait(ctx workflow.Context) error {
	n.alarm.set(ctx, n.deadline(ctx), "next look")
	selector := workflow.NewSelector(ctx)
	n.listen(ctx, selector)
	n.alarm.listen(selector)
	for _, r := range n.resolving {
		selector.AddFuture(r.future, func(workflow.Future) { n.resolved(ctx, r) })
	}
	if n.ensuring != nil {
		selector.AddFuture(n.ensuring.future, func(workflow.Future) { n.ensured(ctx) })
	}
	if n.writing != nil {
		selector.AddFuture(n.writing.future, func(workflow.Future) { n.written(ctx) })
	}
	if n.telling != nil {
		selector.AddFuture(n.telling, func(workflow.Future) { n.clusterNotified(ctx) })
	}
	selector.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {})
	selector.Select(ctx)
	return ctx.Err()
}

// deadline is when something is due by itself.
func (n *inventoryRun) deadline(ctx workflow.Context) time.Time {
	s := n.state
	d := earliest(workflow.Now(ctx), n.began.Add(quietRun))
	if !s.Idle.IsZero() {
		d.add(s.Idle.Add(inventoryGrace))
	}
	if n.book.HasImages() {
		d.add(s.Checked.Add(checkImages))
	}
	if n.changed() {
		d.add(s.LastReportedAt.Add(notifyClusterEvery))
	}
	if n.book.HasUnwritten() {
		d.add(s.WriteAfter)
		d.add(s.RewriteAt)
	}
	d.add(s.EnsureAfter)
	d.add(n.book.NextQuestion())
	return d.at
}
