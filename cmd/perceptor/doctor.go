package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/cmd/internal/console"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workers"
)

func newDoctor(s *shared) *cobra.Command {
	var output string
	var repair bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find workflows that cannot go on by themselves, and repair them",
		Long: `Find workflows whose task fails again and again, and workflows that should run and do not.

With --repair each of them is terminated. What it knew is rebuilt from the other workflows, the hubs and the perceivers: the
column "remedy" says how. Without --repair the exit status is 2 when something is found.`,
		Example: "  perceptor doctor\n  perceptor doctor --repair",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			with := s.withStarter
			if repair {
				with = func(do func(*starter.Starter) error) error { return s.withAudit(cmd, append(args, "--repair"), do) }
			}
			return with(func(st *starter.Starter) error {
				stuck, err := st.Watch.Look(cmd.Context())
				if err != nil {
					return err
				}
				if err := writeStuck(cmd, output, stuck); err != nil || len(stuck) == 0 {
					return err
				}
				if !repair {
					return fmt.Errorf("%d workflows cannot go on by themselves; --repair terminates them and starts again what can be rebuilt", len(stuck))
				}
				configured, err := s.load(cmd.Flags())
				if err != nil {
					return err
				}
				return st.Watch.Repair(cmd.Context(), stuck, workers.HubList(configured, s.source()))
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	cmd.Flags().BoolVar(&repair, "repair", false, "terminate what is found, and start again what can be rebuilt")
	return cmd
}

func writeStuck(cmd *cobra.Command, output string, stuck []starter.Stuck) error {
	if output == "json" {
		if stuck == nil {
			stuck = []starter.Stuck{}
		}
		return console.WriteJSON(cmd.OutOrStdout(), stuck)
	}
	if len(stuck) == 0 {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "every workflow goes on by itself")
		return err
	}
	t := console.NewTable(cmd.OutOrStdout(), "workflow", "failures", "problem", "remedy")
	for _, each := range stuck {
		t.AppendRow([]any{each.WorkflowID, each.Failures, each.Problem, each.Remedy})
	}
	t.Render()
	return nil
}

// stuckView is what the last look of the watchdog found, for other commands.
type stuckView struct {
	// Stuck are the workflows that cannot go on by themselves, at most 100 of StuckCount.
	Stuck      []starter.Stuck `json:"stuck,omitempty"`
	StuckCount int             `json:"stuckCount"`
	// NotWatched says why nothing is known of them.
	NotWatched string `json:"notWatched,omitempty"`
}

func readStuckView(ctx context.Context, st *starter.Starter) stuckView {
	found, err := st.Watch.Last(ctx)
	if err != nil {
		return stuckView{NotWatched: err.Error()}
	}
	return stuckView{Stuck: found.Stuck, StuckCount: found.StuckCount}
}

// write says nothing while all workflows go on.
func (v stuckView) write(out io.Writer) error {
	p := &printer{out: out}
	if v.NotWatched != "" {
		p.line("Whether a workflow is stuck is not known: %s", v.NotWatched)
	}
	for _, each := range v.Stuck {
		p.line("stuck   %s: %s; perceptor doctor shows what to do", each.WorkflowID, each.Problem)
	}
	if more := v.StuckCount - len(v.Stuck); more > 0 {
		p.line("        and %d more", more)
	}
	return p.err
}
