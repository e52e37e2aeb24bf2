package workflows

import (
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/inventory"
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
}

// inventoryRun is one run of Inventory.
type inventoryRun struct {
	cluster, namespace string
	state              *InventoryState
	book               *inventory.Book
	logger             log.Logger
	began              time.Time
	alarm              alarm
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
		n.drain(ctx)
		n.rest(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case n.finished(ctx):
			if !n.drain(ctx) {
				return nil
			}
		case n.worn(ctx):
			if !n.drain(ctx) {
				return workflow.NewContinueAsNewError(ctx, Inventory, InventoryInput{Cluster: n.cluster, Namespace: n.namespace, State: n.state})
			}
		default:
			n.show(ctx)
			if err := n.wait(ctx); err != nil {
				return err
			}
		}
	}
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

// finished reports whether the inventory can end.
func (n *inventoryRun) finished(ctx workflow.Context) bool {
	if !n.book.Empty() {
		return false
	}
	return n.state.Forgotten || workflow.Now(ctx).Sub(n.state.Idle) >= inventoryGrace
}

// worn reports whether it is time for a new run.
func (n *inventoryRun) worn(ctx workflow.Context) bool {
	return workflow.GetInfo(ctx).GetContinueAsNewSuggested() || workflow.Now(ctx).Sub(n.began) >= quietRun
}

// wait sleeps until a signal, the end of a step, or the next deadline.
func (n *inventoryRun) wait(ctx workflow.Context) error {
	deadline := earliest(workflow.Now(ctx), n.began.Add(quietRun))
	if !n.state.Idle.IsZero() {
		deadline.add(n.state.Idle.Add(inventoryGrace))
	}
	n.alarm.set(ctx, deadline.at, "next look")
	selector := workflow.NewSelector(ctx)
	n.listen(ctx, selector)
	n.alarm.listen(selector)
	selector.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {})
	selector.Select(ctx)
	return ctx.Err()
}
