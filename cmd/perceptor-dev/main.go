package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// interrupted is the exit code of a program that was killed by a second signal.
const interrupted = 130

func main() {
	ctx, stop := untilSignal(context.Background())
	command := newCommand()
	err := command.ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "perceptor-dev:", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	var options options
	command := &cobra.Command{
		Use:           "perceptor-dev",
		Short:         "Everything that Perceptor needs in one process, for laptops, demos and tests",
		Long:          longHelp,
		Example:       examples,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(command *cobra.Command, _ []string) error {
			return run(command.Context(), options, command.OutOrStdout())
		},
	}
	options.register(command.Flags())
	command.AddCommand(newFaultyHub())
	return command
}

// untilSignal ends the context at the first SIGINT or SIGTERM and the process
// at the second.
func untilSignal(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		os.Exit(interrupted)
	}()
	return ctx, cancel
}
