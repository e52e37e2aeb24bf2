package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/internal/hub/builtin"
)

// serveHelp explains the fault switches too: no other page does.
const serveHelp = `Run the built-in hub over TLS until SIGTERM.

One directory holds everything: the database, the certificate authority (clients trust hub-ca.pem), the API token and the
password of the user sysadmin. Load vulnerability data with "perceptor hub update". Packages of an ecosystem without data
are "not assessed"; they never count as clean.

For tests, the hub can simulate faults. --faults sets the first switches, as JSON or as @FILE. While the hub runs, PUT
/internal/faults with the header "Authorization: token ..." replaces all switches. GET shows the switches that are on, and
/internal/stats shows the counters. A switch is a name with its parameters:

  dead latency throttle fail html empty   on requests: share (0 to 1), count, on (classes of requests)
  capacity drop lose stuck slow           on uploads and their scans: share, count
  generation                              the form of the API: is (old or current)

Every switch takes "for": after that time it ends by itself. latency and slow take min and max. throttle, fail and capacity
take retryAfter and asDate. fail also takes status, and capacity also takes scans.
Classes of requests: upload lookup poll verdict refresh login control other.`

const serveExamples = `  perceptor hub serve --directory /var/lib/perceptor-hub --address 0.0.0.0:8443 --host hub.example

  # slow scans; one request in five is refused during the first minute
  perceptor hub serve --faults '{"seed":7,"switches":{"slow":{"min":"2s","max":"15s"},"throttle":{"share":0.2,"for":"1m"}}}'`

// serveFlags are the flags of perceptor hub serve.
type serveFlags struct {
	address, directory, level, faults string
	options                           builtin.Options
}

func newHubServe() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the built-in hub", Long: serveHelp, Example: serveExamples, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags, o := cmd.Flags(), &f.options
	flags.StringVar(&f.address, "address", "127.0.0.1:8443", "address to listen on")
	flags.StringVar(&f.directory, "directory", "perceptor-hub", "directory for the database, the certificates and the token")
	flags.StringSliceVar(&o.Hosts, "host", nil, "names or addresses for the certificate, besides loopback")
	flags.StringVar(&o.PolicyFile, "policy", "", "file of policy rules in YAML (default: a critical or high vulnerability is a violation)")
	flags.DurationVar(&o.ScanTime, "scan-time", 0, "time that every scan takes at least, for tests")
	flags.DurationVar(&o.AcceptDelay, "accept-delay", 0, "time that every upload waits, for tests")
	flags.StringVar(&f.faults, "faults", "", "first fault switches, as JSON or @FILE, for tests")
	flags.StringVar(&f.level, "hub-log-level", "info", "lowest level of log lines: debug, info, warn or error")
	return cmd
}

func (f serveFlags) run(cmd *cobra.Command) (err error) {
	o := f.options
	if o.Logger, err = logger(f.level); err != nil {
		return err
	}
	if o.Faults, err = readFaults(f.faults); err != nil {
		return err
	}
	o.File, o.CertDir, o.Version = filepath.Join(f.directory, "hub.db"), f.directory, version()
	o.TokenFile, o.PasswordFile = filepath.Join(f.directory, "hub-token"), filepath.Join(f.directory, "hub-password")
	hub, err := builtin.Open(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hub.Close()) }()
	listener, err := (&net.ListenConfig{}).Listen(cmd.Context(), "tcp", f.address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; choose another address with --address", f.address, err)
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "The hub listens on https://%s. Its token is in %s.\n", listener.Addr(), o.TokenFile); err != nil {
		return err
	}
	return hub.Serve(cmd.Context(), listener)
}

// readFaults reads switches from the flag itself, or from the file it names.
func readFaults(text string) (builtin.Faults, error) {
	if text == "" {
		return builtin.Faults{}, nil
	}
	raw := []byte(text)
	if file, named := strings.CutPrefix(text, "@"); named {
		var err error
		if raw, err = os.ReadFile(file); err != nil {
			return builtin.Faults{}, fmt.Errorf("--faults: %w", err)
		}
	}
	f, err := builtin.ParseFaults(raw)
	if err != nil {
		return f, fmt.Errorf("--faults: %w", err)
	}
	return f, nil
}
