package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/cmd/internal/console"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

func newHub(s *shared) *cobra.Command {
	cmd := &cobra.Command{Use: "hub", Short: "Show the hubs, change their limits, run the built-in hub"}
	cmd.AddCommand(newHubStatus(s), newHubLimit(s), newHubPause(s), newHubResume(s), newHubReset(s), newHubRefresh(s))
	cmd.AddCommand(newHubServe(), newHubUpdate(s), newHubExceptions(s))
	return cmd
}

func newHubStatus(s *shared) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show every hub: limit, leases, state, waiting scans, and a built-in hub's data",
		Example: "  perceptor hub status\n  perceptor hub status -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.withStarter(func(st *starter.Starter) error {
				status, err := st.Pool.Status(cmd.Context())
				if err != nil {
					return errors.Join(err, readStuckView(cmd.Context(), st).write(cmd.OutOrStdout()))
				}
				data, stuck := s.hubData(cmd), readStuckView(cmd.Context(), st)
				if output == "json" {
					return console.WriteJSON(cmd.OutOrStdout(), struct {
						workflows.HubPoolStatus
						stuckView
						Data []hubData `json:"data,omitempty"`
					}{status, stuck, data})
				}
				return errors.Join(stuck.write(cmd.OutOrStdout()), writeHubs(cmd, status), writeHubData(cmd, data))
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

func writeHubs(cmd *cobra.Command, status workflows.HubPoolStatus) error {
	p := &printer{out: cmd.OutOrStdout()}
	if !status.ColdUntil.IsZero() {
		p.line("No lease is granted yet: the pool of hubs lost its state and is waiting for %s.", status.ColdWaitsFor)
	}
	if status.Problem != "" {
		p.line("The newest list of hubs was refused: %s", status.Problem)
	}
	if c := status.Conflict; c != nil {
		p.line("Another list of hubs is not used: %s has %s (generation %d, said %d times, last at %s). In use is the one of %s (generation %d).",
			c.From, strings.Join(c.Hubs, ", "), c.Generation, c.Count, c.Last.Local().Format(time.TimeOnly), status.List.From, status.List.Generation)
	}
	if text := status.Rejected.Text(); text != "" {
		p.line("%s", text)
	}
	t := console.NewTable(cmd.OutOrStdout(), "hub", "limit", "in use", "draining", "stuck", "waiting", "state")
	for _, h := range status.Hubs {
		t.AppendRow([]any{h.Name, h.Limit, h.InUse, h.Draining, h.Stuck, h.Waiting, hubState(h)})
	}
	t.Render()
	for _, h := range status.Hubs {
		if !h.TrippedSince.IsZero() {
			p.line("tripped %s since %s: %s", h.Name, h.TrippedSince.Local().Format("15:04:05"), h.Reason)
		}
	}
	for _, l := range status.Leases {
		p.line("lease   %s %s %s since %s", l.Hub, l.State, l.Digest, l.GrantedAt.Local().Format("15:04:05"))
	}
	writeWaiters(p, status.Waiters)
	return p.err
}

// waitersShown is how many waiting scans are listed for each reason. -o json lists all.
const waitersShown = 5

// writeWaiters lists the waiting scans by reason, in the order in which they get leases.
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
		return fmt.Sprintf("tripped: %s; next probe at %s", h.Class, h.NextProbe.Local().Format("15:04:05"))
	default:
		return "available"
	}
}

func newHubLimit(s *shared) *cobra.Command {
	return &cobra.Command{
		Use:   "limit HUB NUMBER",
		Short: "Change the number of scans that a hub may have at one time",
		Long: `Change the number of Perceptor's scans that a hub may have at one time. The change takes effect at once.

Running scans above a lower limit finish. The new limit holds until the limit in the configuration changes.`,
		Example: "  perceptor hub limit builtin 5",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			limit, err := strconv.Atoi(args[1])
			if err != nil {
				return fmt.Errorf("limit %q: want a number", args[1])
			}
			return s.change(cmd, args, func(st *starter.Starter) (workflows.HubStatus, error) {
				return st.Pool.SetLimit(cmd.Context(), workflows.HubLimit{Hub: args[0], Limit: limit})
			})
		},
	}
}

func newHubPause(s *shared) *cobra.Command {
	return &cobra.Command{
		Use: "pause HUB", Short: "Give a hub no new scans; the running scans finish", Example: "  perceptor hub pause builtin", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.change(cmd, args, func(st *starter.Starter) (workflows.HubStatus, error) { return st.Pool.Pause(cmd.Context(), args[0]) })
		},
	}
}

func newHubResume(s *shared) *cobra.Command {
	return &cobra.Command{
		Use: "resume HUB", Short: "Give a paused hub scans again", Example: "  perceptor hub resume builtin", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.change(cmd, args, func(st *starter.Starter) (workflows.HubStatus, error) { return st.Pool.Resume(cmd.Context(), args[0]) })
		},
	}
}

// change makes one change to a hub and shows its new state.
func (s *shared) change(cmd *cobra.Command, args []string, do func(*starter.Starter) (workflows.HubStatus, error)) error {
	return s.withAudit(cmd, args, func(st *starter.Starter) error {
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
		Short: "Release leases whose scans the hub has already finished",
		Long: `Release the draining or stuck lease of one image, or every stuck lease with --stuck.

A lease is stuck when the hub has answered "in progress" for longer than any scan takes. Check the hub first. If you
release the lease of a scan that is still running, the hub can get more scans than its limit.`,
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
			return s.withAudit(cmd, args, func(st *starter.Starter) error {
				answer, err := st.Pool.ResetLeases(cmd.Context(), reset)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d leases released %v\n", len(answer.Freed), answer.Freed)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&stuck, "stuck", false, "release every stuck lease")
	return cmd
}

func newHubRefresh(s *shared) *cobra.Command {
	return &cobra.Command{
		Use:   "refresh HUB",
		Short: "Ask a hub now for changed verdicts, without a scan",
		Long: `Ask a hub now for the verdicts that changed since the last time. Nothing is scanned.

Perceptor does this by itself every minute, or as often as the configuration says (hubs: refresh). The Schedule
refresh/HUB in Temporal shows the passes, and you can pause it there.`,
		Example: "  perceptor hub refresh builtin",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withAudit(cmd, args, func(st *starter.Starter) error {
				if err := st.Refreshes.Start(cmd.Context(), args[0]); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "Perceptor asks hub %s for changed verdicts now.\n", args[0])
				return err
			})
		},
	}
}
