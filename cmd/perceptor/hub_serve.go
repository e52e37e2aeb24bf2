package main

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/internal/hub/builtin"
)

func newHubServe() *cobra.Command {
	var address, directory, level string
	var o builtin.Options
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the built-in hub",
		Long: `Run the built-in hub over TLS until SIGTERM.

Everything lies in one directory: the database, the certificate authority it makes (hub-ca.pem is what clients trust), the
token and the password of user sysadmin. Fill it with vulnerability data by perceptor hub update; without data for an
ecosystem its packages are "not assessed", never clean.`,
		Example: "  perceptor hub serve --directory /var/lib/perceptor-hub --address 0.0.0.0:8443 --host hub.example",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Logger, err = logger(level); err != nil {
				return err
			}
			o.File, o.CertDir, o.Version = filepath.Join(directory, "hub.db"), directory, version()
			o.TokenFile, o.PasswordFile = filepath.Join(directory, "hub-token"), filepath.Join(directory, "hub-password")
			hub, err := builtin.Open(o)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, hub.Close()) }()
			listener, err := (&net.ListenConfig{}).Listen(cmd.Context(), "tcp", address)
			if err != nil {
				return fmt.Errorf("listen on %s: %w; name another with --address", address, err)
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "hub at https://%s, token in %s\n", listener.Addr(), o.TokenFile); err != nil {
				return err
			}
			return hub.Serve(cmd.Context(), listener)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&address, "address", "127.0.0.1:8443", "where to listen")
	flags.StringVar(&directory, "directory", "perceptor-hub", "where everything is kept")
	flags.StringSliceVar(&o.Hosts, "host", nil, "names or addresses the certificate is for, besides loopback")
	flags.StringVar(&o.PolicyFile, "policy", "", "policy rules, YAML (default: a critical or high vulnerability is a violation)")
	flags.DurationVar(&o.ScanTime, "scan-time", 0, "work this long on every scan, for rehearsals")
	flags.DurationVar(&o.AcceptDelay, "accept-delay", 0, "let every upload wait this long, for rehearsals")
	flags.StringVar(&level, "hub-log-level", "info", "debug, info, warn or error")
	return cmd
}
