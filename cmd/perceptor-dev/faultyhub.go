package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/internal/hub/builtin"
	"github.com/perceptor/perceptor/internal/hub/builtin/fault"
)

// faultyHubHelp is long because the switches are explained nowhere else for those who do not read Go.
const faultyHubHelp = `Run a built-in hub over TLS until SIGTERM, as perceptor hub serve does, that can misbehave.

--faults gives the switches to begin with, as JSON or as @FILE. While the hub runs, PUT /internal/faults with the header
"Authorization: token ..." sets others (all at once: what is left out is off), GET shows those that are on, and
/internal/stats what was counted. A switch is a name with its parameters:

  dead latency throttle fail html empty   on requests: share (0 to 1), count, on (classes of requests)
  capacity drop lose stuck slow           on uploads and their scans: share, count
  generation                              the form of the API: is (old or current)

Each takes for, after which it ends by itself; latency and slow min and max; throttle, fail and capacity retryAfter and
asDate; fail status; capacity scans alone. Classes: upload lookup poll verdict refresh login control other.`

const faultyHubExample = `  # slow, and refusing every fifth request during its first minute
  perceptor-dev hub --faults '{"seed":7,"switches":{"slow":{"min":"2s","max":"15s"},"throttle":{"share":0.2,"for":"1m"}}}'`

// faultyHub is the words of perceptor-dev hub.
type faultyHub struct {
	address, directory, faults string
	options                    builtin.Options
}

func newFaultyHub() *cobra.Command {
	var f faultyHub
	command := &cobra.Command{
		Use: "hub", Short: "Run a built-in hub that can misbehave, for tests and rehearsals", Long: faultyHubHelp, Example: faultyHubExample,
		Args: cobra.NoArgs, RunE: func(command *cobra.Command, _ []string) error { return f.run(command) },
	}
	flags, o := command.Flags(), &f.options
	flags.StringVar(&f.address, "address", "127.0.0.1:8443", "where to listen")
	flags.StringVar(&f.directory, "directory", "perceptor-hub", "where everything is kept")
	flags.StringVar(&f.faults, "faults", "", "fault switches to begin with, JSON or @FILE")
	flags.StringVar(&o.PolicyFile, "policy", "", "policy rules, YAML")
	flags.DurationVar(&o.ScanTime, "scan-time", 0, "work this long on every scan")
	flags.DurationVar(&o.AcceptDelay, "accept-delay", 0, "let every upload wait this long")
	return command
}

func (f faultyHub) run(command *cobra.Command) (err error) {
	o := f.options
	o.Logger = slog.New(slog.NewTextHandler(command.ErrOrStderr(), nil))
	o.File, o.CertDir = filepath.Join(f.directory, "hub.db"), f.directory
	o.TokenFile, o.PasswordFile = filepath.Join(f.directory, "hub-token"), filepath.Join(f.directory, "hub-password")
	initial, err := readFaults(f.faults)
	if err != nil {
		return err
	}
	inner, err := fault.Open(o, initial)
	if err != nil {
		return fmt.Errorf("open hub: %w", err)
	}
	defer func() { err = errors.Join(err, inner.Close()) }()
	listener, err := (&net.ListenConfig{}).Listen(command.Context(), "tcp", f.address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; name another with --address", f.address, err)
	}
	if _, err := fmt.Fprintf(command.OutOrStdout(), "hub at https://%s, token in %s\n", listener.Addr(), o.TokenFile); err != nil {
		return errors.Join(err, listener.Close())
	}
	return inner.Serve(command.Context(), listener)
}

// readFaults reads switches from the flag itself, or from the file that it names.
func readFaults(text string) (fault.Faults, error) {
	if text == "" {
		return fault.Faults{}, nil
	}
	raw := []byte(text)
	if file, named := strings.CutPrefix(text, "@"); named {
		var err error
		if raw, err = os.ReadFile(file); err != nil {
			return fault.Faults{}, fmt.Errorf("--faults: %w", err)
		}
	}
	f, err := fault.Parse(raw)
	if err != nil {
		return f, fmt.Errorf("--faults: %w", err)
	}
	return f, nil
}
