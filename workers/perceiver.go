package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.uber.org/fx"
	"k8s.io/klog/v2"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/internal/perceiver/kubernetes"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// PerceiverSettings is all a perceiver's process needs.
type PerceiverSettings struct {
	Config config.Perceiver
	// Registries are the special settings of registries, for a perceiver that reads one.
	Registries []config.Registry
	Client     client.Client
	// Version is that of this program, as the platform's logs show it.
	Version string
	Logger  *slog.Logger
}

// KubernetesModule watches a Kubernetes cluster.
func KubernetesModule(s PerceiverSettings) fx.Option {
	return fx.Module("kubernetes",
		fx.Supply(s),
		fx.Provide(fx.Private, fx.Annotate(newKubernetes, fx.As(new(watcher)))),
		fx.Invoke(watchPlatform),
	)
}

// RunKubernetes watches a Kubernetes cluster until ctx ends.
func RunKubernetes(ctx context.Context, s PerceiverSettings) error {
	return runPerceiver(ctx, s, KubernetesModule(s))
}

// runPerceiver runs a perceiver until ctx ends.
func runPerceiver(ctx context.Context, s PerceiverSettings, module fx.Option) error {
	app := fx.New(module, fx.NopLogger)
	if err := app.Err(); err != nil {
		return fmt.Errorf("perceiver: %w", err)
	}
	if err := app.Start(ctx); err != nil {
		return fmt.Errorf("perceiver start: %w", err)
	}
	failed := ""
	select {
	case <-ctx.Done():
	case signal := <-app.Wait():
		failed = fmt.Sprintf("exit code %d", signal.ExitCode)
	}
	s.Logger.Info("perceiver stops")
	stopContext, cancel := context.WithTimeout(context.WithoutCancel(ctx), app.StopTimeout())
	defer cancel()
	if err := app.Stop(stopContext); err != nil {
		return fmt.Errorf("perceiver stop: %w", err)
	}
	if failed != "" {
		return errors.New("perceiver ended by itself: " + failed)
	}
	return nil
}

func newKubernetes(s PerceiverSettings) (*kubernetes.Perceiver, error) {
	// Kubernetes' client logs by a logger of its own, one for the whole process.
	klog.SetSlogLogger(s.Logger)
	k := s.Config.Kubernetes
	cluster, err := connectCluster(k, "perceptor/"+s.Version)
	if err != nil {
		return nil, err
	}
	st := starter.New(s.Client)
	return kubernetes.New(kubernetes.Options{
		Cluster: s.Config.Cluster, Client: cluster, Reporter: podReporter{starter: st, logger: s.Logger},
		Begin: func(ctx context.Context, identity string, current int64) (int64, error) {
			epoch, err := st.Clusters.Begin(ctx, s.Config.Cluster, identity, current)
			if other, ok := errors.AsType[*starter.OtherClusterError](err); ok && other.Given != "" {
				return 0, fmt.Errorf("%w: %w", kubernetes.ErrOtherCluster, err)
			}
			return epoch, err
		},
		Health: func(ctx context.Context, h model.PerceiverHealth) error {
			return st.Clusters.Health(ctx, s.Config.Cluster, h)
		},
		Serve: func(ctx context.Context, w *kubernetes.Writer) { serveVerdicts(ctx, s, st.Pods, w) },
		Form:  kubernetes.Form(k.Labels), Prefix: k.Prefix,
		Selection: kubernetes.Selection{
			Namespaces: k.Namespaces, ExcludedNamespaces: k.ExcludedNamespaces, NamespaceSelector: k.NamespaceSelector,
			IgnoredImages: s.Config.IgnoredImages,
		},
		ObserveOnly: s.Config.ObserveOnly, Domain: s.Config.Domain, SnapshotInterval: s.Config.SnapshotInterval,
		LeaderElect: k.LeaderElect, PodLabels: s.Config.PodLabels, PullSecrets: k.PullSecrets, Logger: s.Logger,
	})
}

// RemoveMarks takes the marks of a perceiver away from every pod of its Kubernetes cluster, and gives the number of pods that had some.
func RemoveMarks(ctx context.Context, c config.Perceiver, version string, logger *slog.Logger) (int, error) {
	klog.SetSlogLogger(logger)
	cluster, err := connectCluster(c.Kubernetes, "perceptor/"+version)
	if err != nil {
		return 0, err
	}
	return kubernetes.RemoveMarks(ctx, cluster, c.Cluster, logger)
}

// connectCluster is a client of the cluster that the configuration names.
func connectCluster(k config.Kubernetes, userAgent string) (kubernetes.Client, error) {
	return kubernetes.Connect(kubernetes.Connection{Kubeconfig: k.Kubeconfig, Context: k.Context, Rate: k.Rate, UserAgent: userAgent})
}

// watcher is a perceiver: it watches until ctx ends.
type watcher interface {
	Run(ctx context.Context) error
}

// watchPlatform watches as long as the process lives.
func watchPlatform(life fx.Lifecycle, end fx.Shutdowner, p watcher, s PerceiverSettings) {
	watching, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	life.Append(fx.StartStopHook(func() {
		go func() {
			defer close(done)
			if err := p.Run(watching); err != nil {
				s.Logger.Error("perceiver failed", "error", err)
				if err := end.Shutdown(fx.ExitCode(1)); err != nil {
					s.Logger.Error("perceiver could not be stopped", "error", err)
				}
			}
		}()
	}, func() {
		stop()
		<-done
	}))
}

// verdictSlots is how many batches of pods are written to at a time. The rate of requests to the API server is the real bound.
const verdictSlots = 8

// serveVerdicts writes the batches of pods to be written to until ctx ends.
func serveVerdicts(ctx context.Context, s PerceiverSettings, reader activities.JoinReader, writer activities.VerdictWriter) {
	w := worker.New(s.Client, workflows.PerceiverQueue(s.Config.Cluster), worker.Options{
		DisableWorkflowWorker: true, MaxConcurrentActivityExecutionSize: verdictSlots, WorkerStopTimeout: stopLight,
	})
	w.RegisterActivity(activities.NewPerceiverSteps(reader, writer))
	if err := w.Start(); err != nil {
		s.Logger.Error("worker for verdicts could not be started", "error", err)
		return
	}
	<-ctx.Done()
	w.Stop()
}

// podReporter reports through the starter. Pods that are refused are named in the log: reporting them again would not help.
type podReporter struct {
	starter *starter.Starter
	logger  *slog.Logger
}

func (r podReporter) Report(ctx context.Context, report model.PodReport) error {
	err := r.starter.Pods.Report(ctx, report)
	if refused := (*starter.RefusedError)(nil); errors.As(err, &refused) {
		r.logger.Warn("pods were refused, all others reported", "error", refused)
		return nil
	}
	return err
}
