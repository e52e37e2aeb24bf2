package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/cmd/internal/apibackend"
	"github.com/perceptor/perceptor/cmd/internal/devdir"
	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/internal/api/server"
	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
)

// apiHelp explains the file of tokens too: no other page does.
const apiHelp = `Serve the REST API until SIGTERM. The process keeps no state, so you can run several.

  /api/v1                        the present API; /docs and /openapi.json describe it
  /pod /allpods /image /allimages /scanresults /command /concurrentscanlimit /model
                                 the endpoints of Perceptor 0.x (2018), for its perceivers
  /metrics /healthz /readyz      for monitoring

Every request needs a token, as "Authorization: Bearer TOKEN". Clients that cannot send headers give the token as a password:
http://any:TOKEN@HOST:PORT. The file of tokens is YAML or JSON. Only its owner and group may read it. It is read again when it
changes:

  tokens:
    - {name: prod, scope: perceiver, cluster: prod, token: ...}        # reports the pods of cluster prod
    - {name: board, scope: reader, cluster: "*", sha256: ...}          # reads every cluster; the file holds only a hash
    - {name: olga, scope: operator, token: ...}                        # reads and changes cluster default

A token of one cluster sees the images that the cluster runs. Hubs serve all clusters, so only operators with cluster "*" change them.
If there is one cluster and its name is "default", this form is enough: {perceiver: TOKEN, reader: TOKEN, operator: TOKEN}
Reader and operator have everything then.
Make a token with: openssl rand -hex 32

Without a certificate the API listens only on loopback. --plain-http allows other addresses, for use behind a TLS proxy.`

const apiExamples = `  # with a running perceptor-dev and its tokens
  perceptor api --dev /tmp/dev --address 127.0.0.1:3002

  # in production; a new certificate needs no restart
  perceptor api --address 0.0.0.0:3001 --token-file /etc/perceptor/tokens.yaml --cert-file tls.crt --key-file tls.key

  # for perceivers of the first releases of 2018, which cannot send a token; only they may reach this network
  perceptor api --address 0.0.0.0:3001 --plain-http --token-file tokens.yaml --anonymous perceiver --generation old`

func newAPI(s *shared) *cobra.Command {
	cmd := &cobra.Command{Use: "api", Short: "Serve the REST API", Long: apiHelp, Example: apiExamples, Args: cobra.NoArgs}
	flags := cmd.Flags()
	flags.String("address", "", "address to listen on (default 127.0.0.1:3001)")
	flags.String("metrics-address", "", "address for /metrics alone, without TLS and tokens (default: /metrics is at --address)")
	flags.String("token-file", "", "file of access tokens (with --dev: the file of that perceptor-dev)")
	flags.String("cert-file", "", "file with the TLS certificate in PEM form")
	flags.String("key-file", "", "file with the certificate's key in PEM form")
	flags.Bool("plain-http", false, "allow plain HTTP on addresses that are not loopback")
	flags.String("anonymous", "", "scope of requests without a token in cluster default: perceiver or reader (default: they are refused)")
	flags.String("generation", "", "form of the answers of the 2018 endpoints: current, or old for the first releases of Perceptor 0.x (default current)")
	flags.String("compat-platform", "", "platform of everything that the 2018 endpoints report, such as linux/amd64 (default: unknown)")
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
	// Lazily: the process also starts without Temporal, and /readyz then says that it cannot work.
	connection, err := client.NewLazyClient(options)
	if err != nil {
		return fmt.Errorf("connection to Temporal: %w", err)
	}
	defer connection.Close()
	return serveAPI(cmd.Context(), c.API, starter.New(connection), l)
}

func serveAPI(ctx context.Context, c config.API, st *starter.Starter, l *slog.Logger) error {
	if c.TokenFile == "" {
		return errors.New("no file of tokens; give it with --token-file (perceptor api --help shows its form)")
	}
	tokens, err := access.OpenTokens(c.TokenFile, l)
	if err != nil {
		return err
	}
	options := server.Options{
		Options:       api.Options{Backend: apibackend.New(st), Tokens: tokens, Version: version(), Log: l, MetricsApart: c.MetricsAddress != ""},
		FirstReleases: c.Generation == "old",
	}
	if options.CompatPlatform, err = model.ParsePlatform(c.CompatPlatform); err != nil {
		return fmt.Errorf("compat-platform: %w", err)
	}
	if options.Anonymous, err = access.Anonymous(c.Anonymous); err != nil {
		return fmt.Errorf("anonymous: %w", err)
	}
	listener, certificates, err := access.Listen(ctx, c.Address, access.Certificate{CertFile: c.CertFile, KeyFile: c.KeyFile, PlainHTTP: c.PlainHTTP}, l)
	if err != nil {
		return err
	}
	l.Info("api is listening", "address", listener.Addr().String(), "tls", certificates != nil)
	defer l.Info("api stopped")
	served := server.New(options)
	if c.MetricsAddress == "" {
		return served.Serve(ctx, listener, certificates)
	}
	scraped, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.MetricsAddress)
	if err != nil {
		return errors.Join(fmt.Errorf("listen on %s for metrics: %w", c.MetricsAddress, err), listener.Close())
	}
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return served.ServeMetrics(running, scraped) })
	group.Go(func() error { return served.Serve(running, listener, certificates) })
	return group.Wait()
}
