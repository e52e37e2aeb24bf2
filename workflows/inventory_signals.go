package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
)

// listen wakes the selector at every signal; drain then takes all of them.
func (n *inventoryRun) listen(ctx workflow.Context, selector workflow.Selector) {
	selector.AddReceive(SignalPods.Channel(ctx), func(c workflow.ReceiveChannel, _ bool) {
		receive(ctx, c, func(p PodsChanged) { n.change(ctx, p) })
	})
	selector.AddReceive(SignalSnapshot.Channel(ctx), func(c workflow.ReceiveChannel, _ bool) {
		receive(ctx, c, func(p SnapshotPart) { n.snapshot(ctx, p) })
	})
	selector.AddReceive(SignalSummary.Channel(ctx), func(c workflow.ReceiveChannel, _ bool) {
		receive(ctx, c, func(s model.Summary) { n.book.Learn(s) })
	})
}

// drain takes every signal that has arrived and reports whether there was one.
func (n *inventoryRun) receivePending(ctx workflow.Context) bool {
	some := false
	SignalPods.ReceivePending(ctx, func(p PodsChanged) { some = true; n.change(ctx, p) })
	SignalSnapshot.ReceivePending(ctx, func(p SnapshotPart) { some = true; n.snapshot(ctx, p) })
	SignalSummary.ReceivePending(ctx, func(s model.Summary) { some = true; n.book.Learn(s) })
	return some
}

func (n *inventoryRun) settings(p PodsChanged) {
	n.state.Forgotten = false
	n.book.Set(inventory.Settings{Version: p.Version, WriteBack: p.WriteBack, Domain: p.Domain})
	if !n.book.Settings.WriteBack {
		n.state.WriteFailure, n.state.WriteFailures = nil, 0
	}
}

func (n *inventoryRun) change(ctx workflow.Context, p PodsChanged) {
	n.settings(p)
	n.book.Change(workflow.Now(ctx), p.Version, p.Pods, p.Gone)
}

func (n *inventoryRun) snapshot(ctx workflow.Context, p SnapshotPart) {
	if p.Forget {
		n.book.Forget()
		n.state.Forgotten = true
		return
	}
	if p.Parts > 0 {
		n.settings(p.PodsChanged)
	}
	if p.WriteBack && p.Part == p.Parts {
		n.writable()
	}
	if n.book.Part(workflow.Now(ctx), p.Version, p.Part, p.Parts, p.Pods) {
		n.glance(ctx)
	}
}
