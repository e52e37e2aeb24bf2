package inventory

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// openInbox says what is done with each signal.
func (n *inventoryRun) openInbox() {
	workflows.Receive(&n.inbox, workflows.SignalResetVersion, func(workflow.Context, workflows.ResetVersion) error {
		inventory.ForgetVersions(n.book, 0)
		return nil
	})
	workflows.Receive(&n.inbox, workflows.SignalPods, n.receivePods)
	workflows.Receive(&n.inbox, workflows.SignalSnapshot, n.receiveSnapshotPart)
	workflows.Receive(&n.inbox, workflows.SignalSummary, func(_ workflow.Context, s model.Summary) error {
		n.book.Learn(s)
		return nil
	})
}

// check says whether a report is about this namespace.
func (n *inventoryRun) check(p workflows.PodsChanged) error {
	if p.Cluster != n.cluster || p.Namespace != n.namespace {
		return fmt.Errorf("it is about namespace %s of cluster %s", p.Namespace, p.Cluster)
	}
	return nil
}

// heal forgets versions of a time that is still to come: the clock of the server was ahead when it took them. Otherwise no report would
// count until then.
func (n *inventoryRun) heal(ctx workflow.Context) {
	latest := workflow.Now(ctx).Add(model.ClockAhead).UnixNano()
	if inventory.IsAhead(n.book, latest) && inventory.ForgetVersions(n.book, latest) {
		n.logger.Warn("versions of a time that is still to come are forgotten", "namespace", n.namespace, "cluster", n.cluster)
	}
}

func (n *inventoryRun) applySettings(p workflows.PodsChanged) {
	n.state.Forgotten = false
	n.book.Set(inventory.Settings{Version: p.Version, WriteBack: p.WriteBack, Domain: p.Domain})
	if !n.book.Settings.WriteBack {
		n.state.WriteFailure, n.state.WriteFailures = nil, 0
	}
}

func (n *inventoryRun) receivePods(ctx workflow.Context, p workflows.PodsChanged) error {
	if err := n.check(p); err != nil {
		return err
	}
	n.heal(ctx)
	n.applySettings(p)
	n.book.Change(workflow.Now(ctx), p.Version, p.Pods, p.Gone)
	n.book.Remark(p.Remark)
	return nil
}

func (n *inventoryRun) receiveSnapshotPart(ctx workflow.Context, p workflows.SnapshotPart) error {
	if err := n.check(p.PodsChanged); err != nil {
		return err
	}
	n.heal(ctx)
	if p.Forget {
		n.book.Forget()
		n.state.Forgotten = true
		return nil
	}
	if p.Parts > 0 {
		n.applySettings(p.PodsChanged)
	}
	if p.WriteBack && p.Part == p.Parts {
		n.writer.retryNow()
	}
	if n.book.Part(workflow.Now(ctx), p.Version, p.Part, p.Parts, p.Pods) {
		n.checkUnscanned(ctx)
		n.book.CompareAll()
	}
	return nil
}
