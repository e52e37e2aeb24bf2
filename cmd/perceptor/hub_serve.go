package main

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/internal/hub/builtin"
)

const serveHelp = `Run the built-in hub over TLS until SIGTERM.

Everything lies in one directory: the database, the certificate authority it makes (hub-ca.pem is what clients trust), the
token and the password of user sysadmin. Fill it with vulnerability data by perceptor hub update; without data for an
ecosystem its packages are "not assessed", never clean.`

const serveExamples = `  perceptor hub serve --directory /var/lib/perceptor-hub --address 0.0.0.0:8443 --host hub.example`

// serveFlags are the words of perceptor hub serve.
type serveFlags struct {
	address, directory, level string
	options                   builtin.Options
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
	flags.StringVar(&f.level, "hub-log-level", "info", "debug, info, warn or error")
	return cmd
}

func (f serveFlags) run(cmd *cobra.Command) (err error) {
	o := f.options
	if o.Logger, err = logger(f.level); err != nil {
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
