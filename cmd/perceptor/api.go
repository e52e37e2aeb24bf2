package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/perceptor/perceptor/cmd/internal/apibackend"
	"github.com/perceptor/perceptor/cmd/internal/devdir"
	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/internal/api/server"
	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/starter"
)

// apiHelp is long because the file of tokens is explained nowhere else.
const apiHelp = `Serve the REST API until SIGTERM: the original's endpoints for perceivers (/pod /allpods /image /allimages
/scanresults /command /concurrentscanlimit /model), /api/v1 for everything else, its description on /docs and
/openapi.json, and /metrics /healthz /readyz. It keeps nothing: run as many as you like.

Requests need a token, as "Authorization: Bearer TOKEN", or as the password in http://any:TOKEN@HOST:PORT for clients that
cannot send headers. The file of tokens is YAML or JSON, readable by its owner (and group) alone, and read again when it changes:

  tokens:
    - {name: prod, scope: perceiver, cluster: prod, token: ...}        # reports pods of cluster prod
    - {name: board, scope: reader, cluster: "*", sha256: ...}          # sees every cluster; only the token's sum is kept
    - {name: olga, scope: operator, token: ...}                        # cluster default

or, for one cluster called default, {perceiver: TOKEN, reader: TOKEN, operator: TOKEN}. Make a token by: openssl rand -hex 32

Without a certificate it listens on loopback alone, unless --plain-http says that something in front of it does TLS.`

const apiExamples = `  # against a running perceptor-dev, with the tokens of that one
  perceptor api --dev /tmp/dev --address 127.0.0.1:3002

  # in production; a new certificate is taken without a restart
  perceptor api --address 0.0.0.0:3001 --token-file /etc/perceptor/tokens.yaml --cert-file tls.crt --key-file tls.key

  # for perceivers of the first releases, which cannot send a token, on a network that only they reach
  perceptor api --address 0.0.0.0:3001 --plain-http --token-file tokens.yaml --anonymous perceiver --generation old`

func newAPI(s *shared) *cobra.Command {
	cmd := &cobra.Command{Use: "api", Short: "Serve the REST API", Long: apiHelp, Example: apiExamples, Args: cobra.NoArgs}
	flags := cmd.Flags()
	flags.String("address", "", "where to listen (default 127.0.0.1:3001)")
	flags.String("token-file", "", "file of tokens (with --dev: that of the perceptor-dev)")
	flags.String("cert-file", "", "certificate to show, PEM")
	flags.String("key-file", "", "its key, PEM")
	flags.Bool("plain-http", false, "speak plain HTTP on addresses that are not loopback")
	flags.String("anonymous", "", "scope of requests without a token, for cluster default: perceiver or reader (default: they are refused)")
	flags.String("generation", "", "form in which the original's endpoints answer: current, or old for its first releases (default current)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runAPI(cmd, s) }
	return cmd
}

func runAPI(cmd *cobra.Command, s *shared) error {
	c, err := s.load(cmd.Flags())
	if err != nil {
		return err
	}
	if c.API.TokenFile == "" && s.dev != "" {
		c.API.TokenFile = filepath.Join(s.dev, devdir.APITokens)
	}
	l, err := logger(c.LogLevel)
	if err != nil {
		return err
	}
	options, err := s.connection(l)
	if err != nil {
		return err
	}
	// Lazily: the process lives without Temporal and says on /readyz that it cannot work.
	connection, err := client.NewLazyClient(options)
	if err != nil {
		return fmt.Errorf("connection to Temporal: %w", err)
	}
	defer connection.Close()
	return serveAPI(cmd.Context(), c.API, starter.New(connection), l)
}

func serveAPI(ctx context.Context, c config.API, st *starter.Starter, l *slog.Logger) error {
	if c.TokenFile == "" {
		return errors.New("no file of tokens; name it by --token-file (perceptor api --help shows its form)")
	}
	tokens, err := access.OpenTokens(c.TokenFile, l)
	if err != nil {
		return err
	}
	options := server.Options{
		Options:       api.Options{Backend: apibackend.New(st), Tokens: tokens, Version: version(), Log: l},
		FirstReleases: c.Generation == "old",
	}
	if options.Anonymous, err = access.Anonymous(c.Anonymous); err != nil {
		return fmt.Errorf("anonymous: %w", err)
	}
	var certificates *tls.Config
	if c.CertFile != "" {
		if certificates, err = access.ServerTLS(c.CertFile, c.KeyFile, l); err != nil {
			return err
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", c.Address, err)
	}
	if certificates == nil && !c.PlainHTTP && !loopbackAlone(listener.Addr()) {
		return errors.Join(fmt.Errorf(
			"address %s: tokens would cross the network in the clear; give --cert-file and --key-file, or --plain-http where something in front does TLS",
			c.Address), listener.Close())
	}
	l.Info("api start", "address", listener.Addr().String(), "tls", certificates != nil)
	defer l.Info("api stop")
	return server.New(options).Serve(ctx, listener, certificates)
}

func loopbackAlone(a net.Addr) bool {
	address, err := netip.ParseAddrPort(a.String())
	return err == nil && address.Addr().IsLoopback()
}
