package workers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"go.uber.org/fx"

	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/internal/perceiver"
	watched "github.com/perceptor/perceptor/internal/perceiver/registry"
	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/internal/reload"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
)

// RegistryModule watches the tags of a registry.
func RegistryModule(s PerceiverSettings) fx.Option {
	return fx.Module("registry",
		fx.Supply(s),
		fx.Provide(fx.Private, fx.Annotate(newWatchedRegistry, fx.As(new(watcher)))),
		fx.Invoke(watchPlatform),
	)
}

// RunRegistry watches the tags of a registry until ctx ends.
func RunRegistry(ctx context.Context, s PerceiverSettings) error {
	return runPerceiver(ctx, s, RegistryModule(s))
}

func newWatchedRegistry(s PerceiverSettings) (*watched.Perceiver, error) {
	r, st := s.Config.Registry, starter.New(s.Client)
	platform, err := parsePlatform(r.Platform)
	if err != nil {
		return nil, err
	}
	o := watched.Options{
		Cluster: s.Config.Cluster, Host: r.Host, Login: watched.Login{Username: r.Username, PasswordFile: r.PasswordFile},
		Repositories: r.Repositories, Selection: perceiver.Selection{IgnoredImages: s.Config.IgnoredImages}, WalkInterval: r.WalkInterval,
		Kind: watched.Kind(r.Kind), Platform: platform, Credential: r.Credential, Reporter: podReporter{starter: st, logger: s.Logger},
		Begin: func(ctx context.Context, identity string) (int64, error) {
			epoch, err := st.Clusters.Begin(ctx, s.Config.Cluster, identity, 0)
			if other, ok := errors.AsType[*starter.OtherClusterError](err); ok && other.Given != "" {
				return 0, fmt.Errorf("%w: %w", watched.ErrOtherRegistry, err)
			}
			return epoch, err
		},
		Health: func(ctx context.Context, h model.PerceiverHealth) error {
			return st.Clusters.Health(ctx, s.Config.Cluster, h)
		},
		Domain: s.Config.Domain, SnapshotInterval: s.Config.SnapshotInterval, Logger: s.Logger,
	}
	if r.WriteBack {
		o.WriteBack = watched.WriteBack{URL: r.APIURL, TokenFile: r.WriteTokenFile}
		o.Serve = func(ctx context.Context, w *watched.Writer) { serveVerdicts(ctx, s, st.Pods, w) }
	}
	if err := reachRegistry(&o, s.Registries); err != nil {
		return nil, err
	}
	if err := takeEvents(&o, s, r); err != nil {
		return nil, err
	}
	p, err := watched.New(o)
	if err != nil && o.Listener != nil {
		return nil, errors.Join(err, o.Listener.Close())
	}
	return p, err
}

// reachRegistry says how the registry is called.
func reachRegistry(o *watched.Options, registries []config.Registry) error {
	var rule registry.Host
	for _, each := range registries {
		if each.Host == o.Host {
			rule = registry.Host{PlainHTTP: each.PlainHTTP, CAFile: each.CAFile, Insecure: each.Insecure}
		}
	}
	transport, err := registry.NewTransport(rule)
	if err != nil {
		return fmt.Errorf("registry %s: %w", o.Host, err)
	}
	o.Transport, o.PlainHTTP = transport, rule.PlainHTTP
	return nil
}

// takeEvents listens for events where the configuration says so.
func takeEvents(o *watched.Options, s PerceiverSettings, r config.WatchedRegistry) error {
	if r.Address == "" {
		return nil
	}
	if r.SecretFile == "" {
		return errors.New("no file with the secret of the events; give it with --webhook-secret-file")
	}
	secrets, err := reload.Watch([]string{r.SecretFile}, func() ([]string, error) { return readSecrets(r.SecretFile) }, s.Logger)
	if err != nil {
		return err
	}
	o.Secrets = secrets.Get
	o.Listener, o.TLS, err = access.Listen(context.Background(), r.Address, access.Certificate{CertFile: r.CertFile, KeyFile: r.KeyFile, PlainHTTP: r.PlainHTTP}, s.Logger)
	return err
}

// secretLength is the shortest secret of events, in bytes: a shorter one could be guessed.
const secretLength = 16

// readSecrets reads a file of secrets, one in each line.
func readSecrets(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the secret of the events: %w", err)
	}
	var secrets []string
	for line := range strings.Lines(string(text)) {
		secret := strings.TrimSpace(line)
		if secret == "" {
			continue
		}
		if len(secret) < secretLength {
			return nil, fmt.Errorf("secret of the events in %s: a line has %d characters; want at least %d", file, len(secret), secretLength)
		}
		secrets = append(secrets, secret)
	}
	if len(secrets) == 0 {
		return nil, fmt.Errorf("secret of the events: %s is empty", file)
	}
	return secrets, nil
}

// parsePlatform reads "linux/arm64" or "linux/arm/v7".
func parsePlatform(text string) (model.Platform, error) {
	parts := strings.Split(text, "/")
	if len(parts) < 2 || len(parts) > 3 || strings.Contains("/"+text+"/", "//") {
		return model.Platform{}, fmt.Errorf("platform %.80q: want a form such as linux/amd64", text)
	}
	p := model.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return p, nil
}
