package main

import (
	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

func newRaise(s *shared) *cobra.Command {
	var domain string
	cmd := &cobra.Command{
		Use:   "prioritize IMAGE...",
		Short: "Have images scanned before all others",
		Long: `Make images that are known as urgent as what a person asks for, also when they wait already: in the backlog, for a
lease on a hub, or for the next try after a failure. Follow one with explain.`,
		Example: "  perceptor prioritize registry.example/team/app:1.2\n  perceptor prioritize sha256:...",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.forImages(cmd, domain, args, "goes first", func(st *starter.Starter, d model.Digest) error {
				return st.Images.Prioritize(cmd.Context(), d, workflows.Prioritize{Priority: workflows.PriorityInteractive})
			})
		},
	}
	cmd.Flags().StringVar(&domain, "domain", workflows.DefaultDomain, "the set of scanners that resolves references")
	return cmd
}
