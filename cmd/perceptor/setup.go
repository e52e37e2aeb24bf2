package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workers"
)

func newSetup(s *shared) *cobra.Command {
	return &cobra.Command{
		Use:   "setup",
		Short: "Make a Temporal namespace ready: search attributes, the pool of hubs, schedules, rates",
		Long: `Register the search attributes, tell the pool of hubs what is configured, plan how often each hub is asked what has
changed, and set the rates of the hubs' queues.

It is safe to repeat. A rate that was set by hand, such as an emergency stop, is left alone:
  temporal task-queue config set --task-queue hub-main --task-queue-type activity --queue-rps-limit 0 --queue-rps-limit-reason stop`,
		Example: `  TEMPORAL_ADDRESS=temporal.example:7233 TEMPORAL_NAMESPACE=perceptor \
    perceptor setup --config /etc/perceptor.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.load(cmd.Flags())
			if err != nil {
				return err
			}
			l, err := logger(c.LogLevel)
			if err != nil {
				return err
			}
			connection, options, err := s.dial(l)
			if err != nil {
				return err
			}
			defer connection.Close()
			st := starter.New(connection)
			if err := st.SetUp(cmd.Context(), options.Namespace, workers.HubConfigs(c)); err != nil {
				return err
			}
			if err := st.ConfigureRefresh(cmd.Context(), workers.RefreshPlans(c)); err != nil {
				return err
			}
			if err := workers.SetHubRates(cmd.Context(), st, options.Namespace, c); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "namespace %s at %s is ready, with %d hubs\n", options.Namespace, options.HostPort, len(c.Hubs))
			return err
		},
	}
}
