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

// serveHelp is long because the switches are explained nowhere else for those who do not read Go.
const serveHelp = `Run the built-in hub over TLS until SIGTERM.

Everything lies in one directory: the database, the certificate authority it makes (hub-ca.pem is what clients trust), the
token and the password of user sysadmin. Fill it with vulnerability data by perceptor hub update; without data for an
ecosystem its packages are "not assessed", never clean.

For rehearsals the hub can misbehave. --faults gives the switches to begin with, as JSON or as @FILE. While it runs, PUT
/internal/faults with the header "Authorization: token ..." sets others (all at once: what is left out is off), GET shows
those that are on, and /internal/stats what was counted. A switch is a name with its parameters:

  dead latency throttle fail html empty   on requests: share (0 to 1), count, on (classes of requests)
  capacity drop lose stuck slow           on uploads and their scans: share, count
  generation                              the form of the API: is (old or current)

Each takes for, after which it ends by itself; latency and slow min and max; throttle, fail and capacity retryAfter and
asDate; fail status; capacity scans alone. Classes: upload lookup poll verdict refresh login control other.`

const serveExamples = `  perceptor hub serve --directory /var/lib/perceptor-hub --address 0.0.0.0:8443 --host hub.example

  # slow, and refusing every fifth request during its first minute
  perceptor hub serve --faults '{"seed":7,"switches":{"slow":{"min":"2s","max":"15s"},"throttle":{"share":0.2,"for":"1m"}}}'`

// serveFlags are the words of perceptor hub serve.
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
	flags.StringVar(&f.address, "address", "127.0.0.1:8443", "where to listen")
	flags.StringVar(&f.directory, "directory", "perceptor-hub", "where everything is kept")
	flags.StringSliceVar(&o.Hosts, "host", nil, "names or addresses the certificate is for, besides loopback")
	flags.StringVar(&o.PolicyFile, "policy", "", "policy rules, YAML (default: a critical or high vulnerability is a violation)")
	flags.DurationVar(&o.ScanTime, "scan-time", 0, "work this long on every scan, for rehearsals")
	flags.DurationVar(&o.AcceptDelay, "accept-delay", 0, "let every upload wait this long, for rehearsals")
	flags.StringVar(&f.faults, "faults", "", "fault switches to begin with, JSON or @FILE, for rehearsals")
	flags.StringVar(&f.level, "hub-log-level", "info", "debug, info, warn or error")
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
		return fmt.Errorf("listen on %s: %w; name another with --address", f.address, err)
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "hub at https://%s, token in %s\n", listener.Addr(), o.TokenFile); err != nil {
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
