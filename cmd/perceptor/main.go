// Command perceptor scans the container images that run in clusters, each once, through a vulnerability hub that is never
// overloaded. Every verb is one file of this folder; none holds logic beyond reading its words and showing its answer.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// The exit codes of every verb.
const (
	exitOK = iota
	// exitFindings: a finding is over the bar that --fail-on set.
	exitFindings
	// exitTrouble: the verb could not do its work; nothing is said about any image.
	exitTrouble
)

// errFindings ends a scan whose findings are over the bar; it has said so already.
var errFindings = errors.New("findings over the bar")

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run runs one command and returns its exit code.
func run(args []string, out, problems io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		// After the first signal the default comes back, so that a second one ends the process at once.
		<-ctx.Done()
		stop()
	}()
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(out)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFindings):
		return exitFindings
	default:
		_, _ = fmt.Fprintln(problems, "perceptor:", err)
		return exitTrouble
	}
}
