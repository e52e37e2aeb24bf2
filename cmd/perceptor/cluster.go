package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/cmd/internal/console"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

func newCluster(s *shared) *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "Show the watched clusters, adopt, forget or mend one"}
	cmd.AddCommand(newClusterList(s), newClusterAdopt(s), newClusterForget(s), newClusterResetVersion(s))
	return cmd
}

func newClusterList(s *shared) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the clusters with their counts and their last report",
		Example: "  perceptor cluster list\n  perceptor cluster list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.withStarter(func(st *starter.Starter) error {
				clusters, err := readClusters(cmd.Context(), st)
				if err != nil {
					return err
				}
				if output == "json" {
					return console.WriteJSON(cmd.OutOrStdout(), clusters)
				}
				t := console.NewTable(cmd.OutOrStdout(), "cluster", "namespaces", "pods", "unscanned", "in violation", "last snapshot", "last report", "writes verdicts", "trouble")
				for _, c := range clusters {
					sum := sumOf(c)
					t.AppendRow([]any{c.Cluster, len(c.Namespaces), sum.Pods, sum.Unscanned, sum.Violations, since(c.SnapshotAt), since(c.Seen), yesNo(c.WriteBack), troubleOf(c)})
				}
				t.Render()
				return nil
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

// readClusters asks every cluster. A cluster that was forgotten meanwhile is left out.
func readClusters(ctx context.Context, st *starter.Starter) ([]workflows.ClusterView, error) {
	names, err := st.Clusters.List(ctx)
	if err != nil {
		return nil, err
	}
	if err := st.Clusters.CheckAll(ctx, names); err != nil {
		return nil, err
	}
	clusters := []workflows.ClusterView{}
	for _, name := range names {
		view, err := st.Clusters.View(ctx, name)
		if errors.Is(err, starter.ErrUnknownCluster) {
			continue
		}
		if err != nil {
			return nil, err
		}
		clusters = append(clusters, view)
	}
	return clusters, nil
}

// sumOf adds the counts of all namespaces.
func sumOf(c workflows.ClusterView) workflows.NamespaceSeen {
	var sum workflows.NamespaceSeen
	for _, n := range c.Namespaces {
		sum.Pods, sum.Unscanned, sum.Violations = sum.Pods+n.Pods, sum.Unscanned+n.Unscanned, sum.Violations+n.Violations
	}
	return sum
}

func since(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format(time.DateTime)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// troubleOf says what is wrong with a cluster or its perceiver; empty where nothing is known to be.
func troubleOf(c workflows.ClusterView) string {
	var all []string
	if conflict := c.Conflict; conflict != nil {
		all = append(all, fmt.Sprintf("another cluster uses this name: identity %q refused %d times since %s", conflict.Identity, conflict.Count, since(conflict.Since)))
	}
	for _, t := range c.Health.Troubles {
		what := "cannot " + string(t.Kind)
		if t.Kind == model.TroubleWrite {
			what = "writes refused"
		}
		all = append(all, fmt.Sprintf("%s since %s (%d times): %s", what, since(t.Since), t.Count, t.Reason))
	}
	return strings.Join(all, "; ")
}

func newClusterAdopt(s *shared) *cobra.Command {
	var identity string
	cmd := &cobra.Command{
		Use:   "adopt CLUSTER",
		Short: "Give the name of a cluster to another one, such as one that was built again",
		Long: `Give the name of a cluster to another one, such as one that was built again.

A cluster is identified by the UID of its namespace kube-system. The perceiver of another cluster under the same name is
refused and ends. After this command it may report, and the perceiver of the earlier cluster is refused. The pods of the
earlier cluster leave all lists with the first snapshot.`,
		Example: "  perceptor cluster adopt east",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withAudit(cmd, args, func(st *starter.Starter) error {
				view, err := st.Clusters.Adopt(cmd.Context(), args[0], identity)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Cluster %s is now the one with identity %s\n", args[0], view.Identity)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&identity, "identity", "", "identity of the other cluster (default: the one that was refused last)")
	return cmd
}

func newClusterResetVersion(s *shared) *cobra.Command {
	return &cobra.Command{
		Use:   "reset-version CLUSTER",
		Short: "Let the next report of a cluster count, whatever its version",
		Long: `Let the next report of a cluster count, whatever its version.

Each report has a version, and an older report than the last one changes nothing. After a report whose version was too new, such
as one from a clock that was ahead, all others are refused as old (status 409). Correct that clock, then run this command. What is
known of the pods stays until the next snapshot. Versions of a time that is still to come are forgotten without this command.`,
		Example: "  perceptor cluster reset-version east",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withAudit(cmd, args, func(st *starter.Starter) error {
				if err := st.Clusters.ResetVersion(cmd.Context(), args[0]); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "The next report of cluster %s counts, whatever its version.\n", args[0])
				return err
			})
		},
	}
}

func newClusterForget(s *shared) *cobra.Command {
	return &cobra.Command{
		Use:   "forget CLUSTER",
		Short: "Forget a deleted cluster and everything in it",
		Long: `Forget a deleted cluster and everything in it.

Its pods leave all lists. Perceptor also forgets the images that nothing else runs. A perceiver that still watches the
cluster brings it back with its next snapshot.`,
		Example: "  perceptor cluster forget old-cluster",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withAudit(cmd, args, func(st *starter.Starter) error {
				view, err := st.Clusters.View(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if err := st.Clusters.Forget(cmd.Context(), args[0]); err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Cluster %s is being forgotten: %d namespaces, %d pods\n", args[0], len(view.Namespaces), sumOf(view).Pods)
				return err
			})
		},
	}
}
