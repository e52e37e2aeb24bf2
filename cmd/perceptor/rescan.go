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
		Use:     "rescan IMAGE...",
		Short:   "Scan images again although they have a verdict",
		Long:    "Ask for a new scan of images that are known. The old verdict stays until the new one is there. Follow it with explain.",
		Example: "  perceptor rescan --reason 'new scan client' sha256:...",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.forImages(cmd, domain, args, "will be scanned again", func(st *starter.Starter, d model.Digest) error {
				return st.Images.Rescan(cmd.Context(), d, workflows.Rescan{Reason: reason, Priority: workflows.PriorityInteractive})
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever looks at the image")
	cmd.Flags().StringVar(&domain, "domain", workflows.DefaultDomain, "the set of scanners that resolves references")
	return cmd
}

// forImages does something with each image that was named, and says what becomes of it; the first failure ends it.
func (s *shared) forImages(cmd *cobra.Command, domain string, names []string, becomes string, do func(*starter.Starter, model.Digest) error) error {
	return s.withStarter(func(st *starter.Starter) error {
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
