package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/starter"
)

func newHubRefresh(s *shared) *cobra.Command {
	return &cobra.Command{
		Use:   "refresh HUB",
		Short: "Read again now what has changed at a hub, without scanning",
		Long: `Read again now what has changed at a hub since the last time, without scanning anything.

This happens by itself, every minute unless the configuration says otherwise (hubs: refresh). It is a Schedule of
Temporal named refresh/HUB, which can be paused and whose passes can be looked at there.`,
		Example: "  perceptor hub refresh builtin",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withStarter(func(st *starter.Starter) error {
				if err := st.Refreshes.Start(cmd.Context(), args[0]); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is asked what has changed\n", args[0])
				return err
			})
		},
	}
}
