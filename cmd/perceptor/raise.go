package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

func newRaise(s *shared) *cobra.Command {
	var domain string
	cmd := &cobra.Command{
		Use:   "raise IMAGE...",
		Short: "Have images scanned before all others",
		Long: `Make images that are known as urgent as what a person asks for, also when they wait already: in the backlog, for a
lease on a hub, or for the next try after a failure. Follow one with explain.`,
		Example: "  perceptor raise registry.example/team/app:1.2\n  perceptor raise sha256:...",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withStarter(func(st *starter.Starter) error {
				for _, text := range args {
					d, err := digestOf(cmd.Context(), st, domain, text)
					if err != nil {
						return fmt.Errorf("%s: %w", text, err)
					}
					if err := st.Raise(cmd.Context(), d, workflows.Raise{Class: workflows.ClassPerson}); err != nil {
						return err
					}
					if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s goes first\n", d); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&domain, "domain", workflows.DefaultDomain, "the set of scanners that resolves references")
	return cmd
}
