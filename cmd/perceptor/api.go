package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/cmd/internal/apibackend"
	"github.com/perceptor/perceptor/cmd/internal/devdir"
	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/internal/api/server"
	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/internal/hub/blackduck"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
)

// apiHelp explains the file of tokens too: no other page does.
const apiHelp = `Serve the REST API until SIGTERM. The process keeps no state, so you can run several.

  /api/v1                        the present API; /docs and /openapi.json describe it
  /pod /allpods /image /allimages /scanresults /command /concurrentscanlimit /model
                                 the endpoints of Perceptor 0.x (2018), for its perceivers
  /nextimage /finishedscan       for scanners of others, as in 2018, with --scanner-hubs
  /metrics /healthz /readyz      for monitoring

Every request needs a token, as "Authorization: Bearer TOKEN". Clients that cannot send headers give the token as a password:
http://any:TOKEN@HOST:PORT. The file of tokens is YAML or JSON. Only its owner and group may read it. It is read again when it
changes:

  tokens:
    - {name: prod, scope: perceiver, cluster: prod, token: ...}        # reports the pods of cluster prod
    - {name: board, scope: reader, cluster: "*", sha256: ...}          # reads every cluster; the file holds only a hash
    - {name: olga, scope: operator, token: ...}                        # reads and changes cluster default
    - {name: scanner-1, scope: scanner, cluster: "*", token: ...}      # takes images to scan, with the login of their hub

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
  perceptor api --address 0.0.0.0:3001 --plain-http --token-file tokens.yaml --anonymous perceiver --generation old

  # perceivers of 2018 in this cluster: the endpoints of 2018 on an address of their own, for one cluster, behind a NetworkPolicy
  perceptor api --token-file tokens.yaml --compat-address 0.0.0.0:3001 --address 127.0.0.1:3002 --compat-cluster prod

  # scanners of others share the hub "main" with Perceptor's own; the configuration has a username and password-file for that hub
  perceptor api --config perceptor.yaml --token-file tokens.yaml --scanner-hubs main`

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
	flags.String("compat-address", "", "address for the endpoints of 2018 alone, in plain HTTP without tokens (default: none)")
	flags.String("compat-cluster", "", "the one cluster of that address")
	flags.Bool("compat-scanners", false, "let scanners of 2018 use that address, too")
	flags.StringSlice("scanner-hubs", nil, "hubs that scanners of others may use (default: no scanners of others take part)")
	flags.String("scanner-domain", "", `group of registries that scanners of others can reach (default "default")`)
	flags.Duration("scanner-silence", 0, "how long a scanner of others may have an image without a report (default 30m)")
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
	backend := apibackend.New(starter.New(connection))
	if len(c.API.ScannerHubs) > 0 {
		backend.ServeScanners(starter.ExternalScanner{
			Namespace: cmp.Or(options.Namespace, client.DefaultNamespace), Domain: c.API.ScannerDomain, Hubs: c.API.ScannerHubs, Silence: c.API.ScannerSilence,
		})
	}
	return serveAPI(cmd.Context(), c, backend, l)
}

// scannerLogin reads the logins that scanners of others get: those of the hubs that they may use.
func scannerLogin(c config.Config) func(context.Context, string) (model.UploadTarget, error) {
	return func(ctx context.Context, hub string) (model.UploadTarget, error) {
		i := slices.IndexFunc(c.Hubs, func(h config.Hub) bool { return h.Name == hub })
		if i < 0 || !slices.Contains(c.API.ScannerHubs, hub) {
			return model.UploadTarget{}, fmt.Errorf("hub %s: scanners of others may not use it", hub)
		}
		h := c.Hubs[i]
		driver, err := blackduck.New(blackduck.Options{Name: h.Name, URL: h.URL, Username: h.Username, PasswordFile: h.PasswordFile, CAFile: h.CAFile, Insecure: h.Insecure})
		if err != nil {
			return model.UploadTarget{}, fmt.Errorf("hub %s: %w", hub, err)
		}
		return driver.UploadTarget(ctx)
	}
}

func serveAPI(ctx context.Context, all config.Config, backend *apibackend.Backend, l *slog.Logger) error {
	c := all.API
	if c.TokenFile == "" {
		return errors.New("no file of tokens; give it with --token-file (perceptor api --help shows its form)")
	}
	tokens, err := access.OpenTokens(c.TokenFile, l)
	if err != nil {
		return err
	}
	options := server.Options{
		Options:       api.Options{Backend: backend, Tokens: tokens, HubLogin: scannerLogin(all), Version: version(), Log: l, MetricsApart: c.MetricsAddress != ""},
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
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return served.Serve(running, listener, certificates) })
	if c.MetricsAddress != "" {
		scraped, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.MetricsAddress)
		if err != nil {
			return errors.Join(fmt.Errorf("listen on %s for metrics: %w", c.MetricsAddress, err), listener.Close())
		}
		group.Go(func() error { return served.ServeMetrics(running, scraped) })
	}
	if c.CompatAddress != "" {
		compat, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.CompatAddress)
		if err != nil {
			return errors.Join(fmt.Errorf("listen on %s for clients of 2018: %w", c.CompatAddress, err), listener.Close())
		}
		l.Warn("clients of 2018 are served in plain HTTP and without tokens", "address", compat.Addr().String(), "cluster", c.CompatCluster, "scanners", c.CompatScanners)
		group.Go(func() error {
			return server.Compat(options, c.CompatCluster, c.CompatScanners).Serve(running, compat, nil)
		})
	}
	return group.Wait()
}
