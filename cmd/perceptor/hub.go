package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/cmd/internal/console"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

func newHub(s *shared) *cobra.Command {
	cmd := &cobra.Command{Use: "hub", Short: "Look at the hubs, change what they get, run the built-in one"}
	cmd.AddCommand(newHubStatus(s), newHubLimit(s), newHubPause(s), newHubResume(s), newHubReset(s), newHubRefresh(s), newHubServe(), newHubUpdate(s))
	return cmd
}

func newHubStatus(s *shared) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show every hub: limit, leases, who waits for what",
		Example: "  perceptor hub status\n  perceptor hub status -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.withStarter(func(st *starter.Starter) error {
				status, err := st.Pool.Status(cmd.Context())
				if err != nil {
					return err
				}
				if output == "json" {
					return console.WriteJSON(cmd.OutOrStdout(), status)
				}
				return writeHubs(cmd, status)
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

func writeHubs(cmd *cobra.Command, status workflows.HubPoolStatus) error {
	p := &printer{out: cmd.OutOrStdout()}
	if !status.ColdUntil.IsZero() {
		p.line("grants nothing yet: the pool lost its state and waits for %s", status.ColdWaitsFor)
	}
	if status.Problem != "" {
		p.line("the newest list of hubs was refused: %s", status.Problem)
	}
	t := console.NewTable(cmd.OutOrStdout(), "hub", "limit", "in use", "draining", "stuck", "waiting", "state")
	for _, h := range status.Hubs {
		t.AppendRow([]any{h.Name, h.Limit, h.InUse, h.Draining, h.Stuck, h.Waiting, hubState(h)})
	}
	t.Render()
	for _, h := range status.Hubs {
		if !h.TrippedSince.IsZero() {
			p.line("closed  %s since %s: %s", h.Name, h.TrippedSince.Local().Format("15:04:05"), h.Reason)
		}
	}
	for _, l := range status.Leases {
		p.line("lease   %s %s %s since %s", l.Hub, l.State, l.Digest, l.GrantedAt.Local().Format("15:04:05"))
	}
	writeWaiters(p, status.Waiters)
	return p.err
}

// waitersShown is how many of those that wait for the same are listed; -o json has all.
const waitersShown = 5

// writeWaiters lists what waits, in the order in which it is granted, under what it waits for.
func writeWaiters(p *printer, waiters []workflows.WaiterStatus) {
	var reasons []string
	by := map[string][]workflows.WaiterStatus{}
	for _, w := range waiters {
		if by[w.WaitsFor] == nil {
			reasons = append(reasons, w.WaitsFor)
		}
		by[w.WaitsFor] = append(by[w.WaitsFor], w)
	}
	for _, reason := range reasons {
		alike := by[reason]
		p.line("waiting for %s:", reason)
		for _, w := range alike[:min(len(alike), waitersShown)] {
			p.line("        %s, %s, since %s", w.Digest, w.Priority, w.Since.Local().Format("15:04:05"))
		}
		if more := len(alike) - waitersShown; more > 0 {
			p.line("        and %d more", more)
		}
	}
}

func hubState(h workflows.HubStatus) string {
	switch {
	case h.Removed:
		return "removed from the configuration"
	case h.Disabled:
		return "disabled"
	case h.Paused:
		return "paused"
	case !h.TrippedSince.IsZero():
		return fmt.Sprintf("closed: %s; asked again at %s", h.Class, h.NextProbe.Local().Format("15:04:05"))
	default:
		return "open"
	}
}

func newHubLimit(s *shared) *cobra.Command {
	return &cobra.Command{
		Use:   "limit HUB NUMBER",
		Short: "Change how many of Perceptor's scans a hub may have at a time",
		Long: `Change how many of Perceptor's scans a hub may have at a time, at once and without restarting anything.

Scans that are over a lowered limit finish. The number holds until the configuration names another.`,
		Example: "  perceptor hub limit builtin 5",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			limit, err := strconv.Atoi(args[1])
			if err != nil {
				return fmt.Errorf("limit %q: want a number", args[1])
			}
			return s.change(cmd, func(st *starter.Starter) (workflows.HubStatus, error) {
				return st.Pool.SetLimit(cmd.Context(), workflows.HubLimit{Hub: args[0], Limit: limit})
			})
		},
	}
}

func newHubPause(s *shared) *cobra.Command {
	return &cobra.Command{
		Use: "pause HUB", Short: "Give a hub no more scans until it is resumed; those it has finish", Example: "  perceptor hub pause builtin", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.change(cmd, func(st *starter.Starter) (workflows.HubStatus, error) { return st.Pool.Pause(cmd.Context(), args[0]) })
		},
	}
}

func newHubResume(s *shared) *cobra.Command {
	return &cobra.Command{
		Use: "resume HUB", Short: "End a pause", Example: "  perceptor hub resume builtin", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.change(cmd, func(st *starter.Starter) (workflows.HubStatus, error) { return st.Pool.Resume(cmd.Context(), args[0]) })
		},
	}
}

// change makes one change to a hub and shows what came of it.
func (s *shared) change(cmd *cobra.Command, do func(*starter.Starter) (workflows.HubStatus, error)) error {
	return s.withStarter(func(st *starter.Starter) error {
		h, err := do(st)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: limit %d, %d in use, %s\n", h.Name, h.Limit, h.InUse, hubState(h))
		return err
	})
}

func newHubReset(s *shared) *cobra.Command {
	var stuck bool
	cmd := &cobra.Command{
		Use:   "reset [DIGEST]",
		Short: "Free leases of which you know that the hub is done with them",
		Long: `Free the draining or stuck lease of one image, or every stuck one with --stuck.

A stuck lease is one whose hub has answered "in progress" for longer than any scan takes. Look at the hub first: freeing
a lease of a scan that is still running lets the hub have more scans than its limit.`,
		Example: "  perceptor hub reset --stuck\n  perceptor hub reset sha256:...",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			reset := workflows.LeaseReset{Stuck: stuck}
			if len(args) == 1 {
				d, err := model.ParseDigest(args[0])
				if err != nil {
					return err
				}
				reset.Digest = d
			}
			return s.withStarter(func(st *starter.Starter) error {
				answer, err := st.Pool.ResetLeases(cmd.Context(), reset)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d leases freed %v\n", len(answer.Freed), answer.Freed)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&stuck, "stuck", false, "free every stuck lease")
	return cmd
}
