package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/model"
)

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	out := protocol.NewWriter(os.Stdout, time.Now)
	if args, is := signatureArgs(os.Args[1:]); is {
		os.Exit(exitCode(runSignature(context.Background(), args, out), out))
	}
	os.Exit(exitCode(newRoot(out).ExecuteContext(context.Background()), out))
}

// dieWithParent ends the process when its standard input closes. A terminal or /dev/null as input is a person or a
// script at work, with no parent to watch.
func dieWithParent(stdin *os.File) {
	info, err := stdin.Stat()
	if err != nil || info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) == 0 {
		return
	}
	// Whatever comes is dropped: that the reading ends is the message.
	_, _ = io.Copy(io.Discard, stdin)
	os.Exit(protocol.ExitParentGone)
}

// exitCode says the reason of a failure as the last line of the protocol, and which code stands for it.
func exitCode(err error, out *protocol.Writer) int {
	if err == nil {
		return protocol.ExitOK
	}
	var failure protocol.Failure
	if !errors.As(err, &failure) {
		// What no verb has explained came from reading the command line.
		failure = protocol.Failure{Class: model.Unsupported, Message: err.Error(), Refused: true}
	}
	slog.Error("failed", "class", failure.Class, "reason", failure.Message)
	// When this cannot be written, the exit code still says the same.
	_ = out.Failure(failure)
	return protocol.ExitCode(failure.Class)
}
