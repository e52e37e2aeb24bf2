package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workers"
)

func newSetup(s *shared) *cobra.Command {
	return &cobra.Command{
		Use:   "setup",
		Short: "Prepare a Temporal namespace: search attributes, hubs, schedules, rates",
		Long: `Prepare a Temporal namespace. The command registers the search attributes, configures the pool of hubs, creates one
refresh schedule for each hub, and sets the rates of the hubs' queues. Its list of hubs replaces every other one; workers with
another list show a conflict in "perceptor hub status" then.

You can repeat it safely. It does not change a rate that was set by hand, such as an emergency stop:
  temporal task-queue config set --task-queue hub-main --task-queue-type activity --queue-rps-limit 0 --queue-rps-limit-reason stop`,
		Example: `  TEMPORAL_ADDRESS=temporal.example:7233 TEMPORAL_NAMESPACE=perceptor \
    perceptor setup --config /etc/perceptor.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := s.open(cmd.Flags())
			if err != nil {
				return err
			}
			defer p.client.Close()
			st := starter.New(p.client)
			err = setUp(cmd.Context(), st, p, s.source())
			audit(cmd, args, st, err)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Namespace %s at %s is ready, with %d hubs.\n", p.options.Namespace, p.options.HostPort, len(p.Hubs))
			return err
		},
	}
}

// setUp makes the namespace ready for the configuration.
func setUp(ctx context.Context, st *starter.Starter, p connected, source string) error {
	if err := st.Setup.Apply(ctx, p.options.Namespace, workers.HubList(p.Config, "perceptor setup "+source)); err != nil {
		return err
	}
	plans := workers.RefreshPlans(p.Config)
	if err := st.Refreshes.Configure(ctx, plans); err != nil {
		return err
	}
	if len(plans) > 0 {
		if err := st.Refreshes.RemoveOthers(ctx, plans); err != nil {
			return err
		}
	}
	return workers.SetHubRates(ctx, st, p.options.Namespace, p.Config)
}
