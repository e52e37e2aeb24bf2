package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/catalog"
	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/model"
)

// idleFor is after how long without a task the memory goes back to the system.
const idleFor = 5 * time.Second

func serveVerb() *cobra.Command {
	shared := catalog.Request{Tool: version()}
	verb := &cobra.Command{
		Use:   protocol.VerbServe,
		Short: "Write what is in one image tar after the other as CycloneDX 1.6",
		Long: "Reads tasks as JSON lines from its standard input and does one after the other, as the verb \"sbom\" does one. What one image\n" +
			"has cost once costs nothing for the next one: the texts of licences, layers that it shares, and what was found in them.\n" +
			"It ends when its standard input closes, and after an image that failed or that was odd.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if shared.LayersLimit < 0 {
				return usage("--layers-limit is below zero")
			}
			collectLess()
			return serve(cmd.Context(), os.Stdin, cmd.OutOrStdout(), shared)
		},
	}
	layerFlags(verb.Flags(), &shared)
	return verb
}

// collectLess has the garbage collector run less often: the limit of memory that the runner sets still holds.
func collectLess() {
	const percent = 400
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// serve does tasks until one fails, or says that it is the last one.
func serve(ctx context.Context, from io.Reader, to io.Writer, shared catalog.Request) error {
	tasks := make(chan []byte)
	go read(from, tasks)
	cataloger := catalog.New()
	for {
		var line []byte
		select {
		case line = <-tasks:
		case <-time.After(idleFor):
			debug.FreeOSMemory()
			line = <-tasks
		}
		task, err := protocol.ParseTask(line)
		if err != nil {
			return protocol.Failure{Class: model.Unsupported, Message: err.Error(), Refused: true}
		}
		req := shared
		req.Tar, req.SBOM, req.Scratch, req.Quota, req.Name, req.Version = task.Tar, task.SBOM, task.Scratch, task.ScratchQuota, task.Name, task.Version
		if err := os.Setenv("HOME", task.Scratch); err != nil {
			return fmt.Errorf("set the home directory: %w", err)
		}
		out := protocol.NewWriter(to, time.Now)
		result, err := cataloger.Run(ctx, req, out)
		if err != nil {
			return err
		}
		if err := out.Result(result); err != nil || result.Ends {
			return err
		}
	}
}

// read hands tasks on. When the input closes, the program that has started this one is gone, whatever is being done.
func read(from io.Reader, tasks chan<- []byte) {
	lines := bufio.NewReaderSize(from, protocol.MaxLine+1)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			os.Exit(protocol.ExitParentGone)
		}
		tasks <- line
	}
}
