package main

import (
	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

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
