package workers

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/fx"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/internal/perceiver/docker"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
)

// DockerModule watches a Docker Engine.
func DockerModule(s PerceiverSettings) fx.Option {
	return fx.Module("docker",
		fx.Supply(s),
		fx.Provide(fx.Private, fx.Annotate(newDocker, fx.As(new(watcher)))),
		fx.Invoke(watchPlatform),
	)
}

// RunDocker watches a Docker Engine until ctx ends.
func RunDocker(ctx context.Context, s PerceiverSettings) error {
	return runPerceiver(ctx, s, DockerModule(s))
}

func newDocker(s PerceiverSettings) (*docker.Perceiver, error) {
	d := s.Config.Docker
	engine, err := docker.Connect(docker.Connection{Host: d.Host, Context: d.Context, UserAgent: "perceptor/" + s.Version})
	if err != nil {
		return nil, err
	}
	st := starter.New(s.Client)
	return docker.New(docker.Options{
		Cluster: s.Config.Cluster, Engine: engine, Reporter: podReporter{starter: st, logger: s.Logger},
		Selection: perceiver.Selection{
			Namespaces: d.Namespaces, ExcludedNamespaces: d.ExcludedNamespaces, IgnoredImages: s.Config.IgnoredImages,
		},
		Begin: func(ctx context.Context, identity string) (int64, error) {
			epoch, err := st.Clusters.Begin(ctx, s.Config.Cluster, identity, 0)
			if other, ok := errors.AsType[*starter.OtherClusterError](err); ok && other.Given != "" {
				return 0, fmt.Errorf("%w: %w", docker.ErrOtherEngine, err)
			}
			return epoch, err
		},
		Health: func(ctx context.Context, h model.PerceiverHealth) error {
			return st.Clusters.Health(ctx, s.Config.Cluster, h)
		},
		Domain: s.Config.Domain, PodLabels: s.Config.PodLabels, SnapshotInterval: s.Config.SnapshotInterval, Logger: s.Logger,
	})
}
