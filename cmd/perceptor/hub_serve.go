package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/cmd/internal/updates"
	"github.com/perceptor/perceptor/internal/hub/builtin"
)

const serveHelp = `Run the built-in hub over TLS until SIGTERM.

One directory holds everything: the database, the certificate authority (clients trust hub-ca.pem), the API token and the
password of the user sysadmin.

The hub loads the vulnerability data of the ecosystems that the scanned images need, and checks them every six hours. Packages
of an ecosystem without complete data are "not assessed"; they never count as clean. Without a network, use --updates off
and load data with "perceptor hub update", or name your own mirror with --updates.

Clients of 2018 need --generation old: then the version is 4.8.3, critical findings count as high, and lists come in one page.

To rehearse faults, run "perceptor-dev hub": its hub can misbehave.`

const serveExamples = `  perceptor hub serve --directory /var/lib/perceptor-hub --address 0.0.0.0:8443 --host hub.example
  perceptor hub serve --updates https://mirror.example/osv`

// serveFlags are the flags of perceptor hub serve.
type serveFlags struct {
	address, directory, level, generation string
	options                               builtin.Options
	updates                               updates.Flags
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
	flags.StringVar(&o.PolicyFile, "policy", "", "policy file in YAML, as docs/policy.yaml (default: a critical or high finding, or an unrated one with a fix, is a violation)")
	flags.StringVar(&o.ScanClient, "scan-client", "", "program to give to scanners of 2018 as scan.cli.zip (default: perceptor-scan beside this program, if it is there)")
	flags.StringVar(&f.generation, "generation", "current", "form of the answers: current, or old for clients of 2018")
	flags.DurationVar(&o.ScanTime, "scan-time", 0, "time that every scan takes at least, for tests")
	flags.DurationVar(&o.AcceptDelay, "accept-delay", 0, "time that every upload waits, for tests")
	f.updates.Register(flags)
	flags.StringVar(&f.level, "hub-log-level", "info", "lowest level of log lines: debug, info, warn or error")
	return cmd
}

func (f serveFlags) run(cmd *cobra.Command) (err error) {
	o := f.options
	switch f.generation {
	case "current", "old":
		o.Old = f.generation == "old"
	default:
		return fmt.Errorf("generation %.40q: want current or old", f.generation)
	}
	if o.ScanClient == "" {
		o.ScanClient = scanClientBeside()
	} else if _, err := os.Stat(o.ScanClient); err != nil {
		return fmt.Errorf("scan client: %w", err)
	}
	f.updates.Apply(&o)
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
		return fmt.Errorf("listen on %s: %w; choose another address with --address", f.address, err)
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "The hub listens on https://%s. Its token is in %s.\n", listener.Addr(), o.TokenFile); err != nil {
		return err
	}
	return hub.Serve(cmd.Context(), listener)
}

// scanClientBeside is the scan client beside this program; empty where there is none.
func scanClientBeside() string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	beside := filepath.Join(filepath.Dir(self), "perceptor-scan")
	if info, err := os.Stat(beside); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return beside
}
