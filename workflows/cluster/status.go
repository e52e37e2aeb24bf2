package cluster

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/workflows"
)

// clusterPage is how many namespaces one answer has.
const clusterPage = 2000

func (c *clusterRun) answerQueries(ctx workflow.Context) error {
	err := workflow.SetQueryHandlerWithOptions(ctx, workflows.QueryStatus, c.answer,
		workflow.QueryHandlerOptions{Description: "The namespaces of the cluster with their counts, and its last snapshot."})
	if err != nil {
		return fmt.Errorf("query %s: %w", workflows.QueryStatus, err)
	}
	return nil
}

func (c *clusterRun) answer(q workflows.ClusterQuery) (workflows.ClusterView, error) {
	if err := q.Check(); err != nil {
		return workflows.ClusterView{}, err
	}
	return c.view(q), nil
}

func (c *clusterRun) view(q workflows.ClusterQuery) workflows.ClusterView {
	s := c.state
	view := workflows.ClusterView{
		Cluster: c.cluster, Snapshot: s.Pods, SnapshotAt: s.SnapshotAt, Seen: s.Seen, WriteBack: s.Settings.WriteBack, Domain: s.Settings.Domain,
		Rejected: s.Rejected,
		Identity: s.Identity, Conflict: s.Conflict, Health: s.Health, HealthAt: s.HealthAt,
	}
	if s.Pods.Before(s.Images) {
		view.Snapshot = s.Images
	}
	for _, name := range workflow.DeterministicKeys(s.Namespaces) {
		switch {
		case name <= q.After:
		case len(view.Namespaces) == clusterPage:
			view.Next = view.Namespaces[clusterPage-1].Namespace
			return view
		default:
			view.Namespaces = append(view.Namespaces, s.Namespaces[name].Seen)
		}
	}
	return view
}

// updateDetails writes the counts to the workflow's page in Web UI.
func (c *clusterRun) updateDetails(ctx workflow.Context) {
	var pods, unscanned, violations, refused int
	for _, name := range workflow.DeterministicKeys(c.state.Namespaces) {
		seen := c.state.Namespaces[name].Seen
		pods, unscanned, violations, refused = pods+seen.Pods, unscanned+seen.Unscanned, violations+seen.Violations, refused+seen.Refused
	}
	var details []string
	details = append(details, fmt.Sprintf("%d namespaces with %d pods, %d of them unscanned, %d in violation", len(c.state.Namespaces), pods, unscanned, violations))
	if refused > 0 {
		details = append(details, fmt.Sprintf("**%d pods do not fit into their inventories**: no row shows them.", refused))
	}
	if text := c.state.Rejected.Text(); text != "" {
		details = append(details, text)
	}
	if conflict := c.state.Conflict; conflict != nil {
		details = append(details, fmt.Sprintf("**Another cluster uses this name**: identity %q was refused %d times.", conflict.Identity, conflict.Count))
	}
	for _, t := range c.state.Health.Troubles {
		details = append(details, fmt.Sprintf("**The perceiver cannot %s** since %s: %s", t.Kind, t.Since.Format(time.RFC3339), t.Reason))
	}
	workflow.SetCurrentDetails(ctx, strings.Join(details, "\n\n"))
}
