package inventory

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

func (n *inventoryRun) answerQueries(ctx workflow.Context) error {
	err := workflow.SetQueryHandlerWithOptions(ctx, workflows.QueryStatus, func() (workflows.InventoryView, error) { return n.view(), nil },
		workflow.QueryHandlerOptions{Description: "How many pods there are, how many of them are unscanned or in violation, what waits to be written."})
	if err != nil {
		return fmt.Errorf("query %s: %w", workflows.QueryStatus, err)
	}
	err = workflow.SetQueryHandlerWithOptions(ctx, workflows.QueryJoin, n.answerJoin,
		workflow.QueryHandlerOptions{Description: "The rows of the join: pods, their containers, and what is known of their images. Takes a filter."})
	if err != nil {
		return fmt.Errorf("query %s: %w", workflows.QueryJoin, err)
	}
	return nil
}

func (n *inventoryRun) answerJoin(q workflows.JoinQuery) (workflows.JoinPage, error) {
	if err := q.Check(); err != nil {
		return workflows.JoinPage{}, err
	}
	return n.readJoin(q), nil
}

func (n *inventoryRun) readJoin(q workflows.JoinQuery) workflows.JoinPage {
	rows, next := n.book.Page(n.cluster, n.namespace, inventory.Filter{
		Status: q.Status, OverallStatus: q.OverallStatus, Image: q.Image, Workload: q.Workload, Labels: q.Labels,
		UIDs: q.UIDs, Now: q.Now, After: q.After, Limit: q.Limit,
	})
	return workflows.JoinPage{Rows: rows, Next: next, Refused: len(n.book.Refused)}
}

func (n *inventoryRun) view() workflows.InventoryView {
	return workflows.InventoryView{
		NamespaceSeen: n.seen(n.book.Counts()), Images: len(n.book.Images), Domain: domainOf(n.book),
		WriteBack: n.book.Settings.WriteBack, Unwritten: len(n.book.Dirty) + len(n.book.Unwritten) + n.writer.underWay(),
		WriteFailure: n.state.WriteFailure, Rejected: n.state.Rejected,
	}
}

func (n *inventoryRun) seen(c inventory.Counts) workflows.NamespaceSeen {
	return workflows.NamespaceSeen{
		Cluster: n.cluster, Namespace: n.namespace, Pods: c.Pods, Unscanned: c.Unscanned, Violations: c.Violations, Unknown: c.Unknown, Refused: c.Refused,
		Version: model.Version{Epoch: n.book.Epoch, Counter: n.book.Counter}, Snapshot: n.book.Snapshot,
	}
}

// domainOf is the set of scanners that reach the registries of the namespace.
func domainOf(b *inventory.Book) string {
	if b.Settings.Domain == "" {
		return workflows.DefaultDomain
	}
	return b.Settings.Domain
}

// updateDetails writes the counts to the workflow's page in Web UI.
func (n *inventoryRun) updateDetails(ctx workflow.Context) {
	c := n.book.Counts()
	details := fmt.Sprintf("%d pods, %d of them unscanned, %d in violation; %d images", c.Pods, c.Unscanned, c.Violations, len(n.book.Images))
	if c.Refused > 0 {
		details += fmt.Sprintf("\n\n**%d pods do not fit into the inventory**: no row shows them. Split the namespace.", c.Refused)
	}
	if f := n.state.WriteFailure; f != nil {
		details += fmt.Sprintf("\n\n**Verdicts are not written onto the pods**: %s: %s; next try %s", f.Class, f.Reason, f.NextTry.Format(time.RFC3339))
	}
	if text := n.state.Rejected.Text(); text != "" {
		details += "\n\n" + text
	}
	workflow.SetCurrentDetails(ctx, details)
}
