package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

func newRescan(s *shared) *cobra.Command {
	var reason, domain string
	cmd := &cobra.Command{
		Use:   "rescan IMAGE...",
		Short: "Scan known images again",
		Long: `Scan known images again, also when they have a verdict.

The old verdict stays until the new one arrives. "perceptor explain" shows the progress.`,
		Example: "  perceptor rescan --reason 'new scan client' sha256:...",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.forImages(cmd, domain, args, "will be scanned again", func(st *starter.Starter, d model.Digest) error {
				return st.Images.Rescan(cmd.Context(), d, workflows.Rescan{Reason: reason, Priority: workflows.PriorityInteractive})
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "reason for the scan, shown with the image")
	cmd.Flags().StringVar(&domain, "domain", workflows.DefaultDomain, "group of scanners (domain) that resolves references")
	return cmd
}

// forImages does something with each named image and prints the result. The first failure ends it.
func (s *shared) forImages(cmd *cobra.Command, domain string, names []string, becomes string, do func(*starter.Starter, model.Digest) error) error {
	return s.withAudit(cmd, names, func(st *starter.Starter) error {
		for _, text := range names {
			d, err := digestOf(cmd.Context(), st, domain, text)
			if err != nil {
				return fmt.Errorf("%s: %w", text, err)
			}
			if err := do(st, d); err != nil {
				return err
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", d, becomes); err != nil {
				return err
			}
		}
		return nil
	})
}

func newPrioritize(s *shared) *cobra.Command {
	var domain string
	cmd := &cobra.Command{
		Use:   "prioritize IMAGE...",
		Short: "Move images to the front of the queue",
		Long: `Move known images to the front of the queue: they get the priority "interactive".

This also works for an image that is already waiting in the backlog, for a lease on a hub, or for the next try after a
failure. "perceptor explain" shows its progress.`,
		Example: "  perceptor prioritize registry.example/team/app:1.2\n  perceptor prioritize sha256:...",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.forImages(cmd, domain, args, "moves to the front of the queue", func(st *starter.Starter, d model.Digest) error {
				return st.Images.Prioritize(cmd.Context(), d, workflows.Prioritize{Priority: workflows.PriorityInteractive})
			})
		},
	}
	cmd.Flags().StringVar(&domain, "domain", workflows.DefaultDomain, "group of scanners (domain) that resolves references")
	return cmd
}
