// Command perceptor scans the container images that run in clusters. It scans each image once and never gives a hub more scans
// than its limit. Every verb is one file of this folder. A verb reads its flags, calls package starter and shows the answer.
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
	// exitFindings: there is a finding as severe as --fail-on says, or worse.
	exitFindings
	// exitTrouble: the command failed, or an image could not be scanned.
	exitTrouble
)

// errFindings ends a scan with findings as severe as --fail-on says. The findings are on standard output already.
var errFindings = errors.New("there are findings as severe as --fail-on, or worse")

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run runs one command and returns its exit code.
func run(args []string, out, problems io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		// After the first signal the default handling comes back, so that a second signal ends the process at once.
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
