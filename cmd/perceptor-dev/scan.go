package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.uber.org/fx"

	"github.com/perceptor/perceptor/cmd/internal/console"
	"github.com/perceptor/perceptor/cmd/internal/devdir"
	"github.com/perceptor/perceptor/cmd/perceptor-dev/datadir"
	"github.com/perceptor/perceptor/cmd/perceptor-dev/temporal"
	"github.com/perceptor/perceptor/internal/config"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workers"
	"github.com/perceptor/perceptor/workflows"
)

// crewDrain is how long a stop lets scans go on. What is not done by then is
// found again at the next start.
const crewDrain = 3 * time.Second

// crew is all workers in this process, and a way to ask them for scans.
type crew struct {
	client client.Client
	app    *fx.App
	log    *os.File
}

// startCrew runs every worker against the servers of this process.
func startCrew(ctx context.Context, dir *datadir.Dir, addresses devdir.Addresses, o options) (*crew, error) {
	file, err := os.OpenFile(dir.File("workers.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of workers: %w", err)
	}
	logger := slog.New(slog.NewJSONHandler(file, &slog.HandlerOptions{Level: slog.LevelWarn}))
	connection, err := client.DialContext(ctx, client.Options{
		HostPort: addresses.Temporal, Namespace: temporal.Namespace, Logger: log.NewStructuredLogger(logger),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect workers to temporal: %w", err), file.Close())
	}
	settled := configuration(dir, addresses, o)
	settings := workers.Settings{Config: settled, Roles: workers.AllRoles, Client: connection, Namespace: temporal.Namespace, Logger: logger}
	modules := []fx.Option{fx.NopLogger, workers.Module(settings)}
	if o.kubeconfig != "" {
		modules = append(modules, workers.KubernetesModule(workers.PerceiverSettings{Config: settled.Perceiver, Client: connection, Version: "dev", Logger: logger}))
	}
	crew := &crew{client: connection, app: fx.New(modules...), log: file}
	if err := crew.app.Start(ctx); err != nil {
		connection.Close()
		return nil, errors.Join(fmt.Errorf("start workers: %w", err), file.Close())
	}
	return crew, nil
}

// configuration is what the workers of this process are settled.
func configuration(dir *datadir.Dir, addresses devdir.Addresses, o options) config.Config {
	settled := config.Default()
	settled.Hubs = []config.Hub{devdir.Hub(dir.Path(), addresses.Hub)}
	settled.Scanner.Directory = dir.File("scanner")
	settled.Scanner.Drain = crewDrain
	// A laptop: the registry is on this machine, and others are in the same network.
	settled.Scanner.Network = config.Network{Loopback: true, Private: true}
	settled.Perceiver.Cluster, settled.Perceiver.ObserveOnly = o.cluster, !o.writeBack
	settled.Perceiver.Kubernetes.Kubeconfig, settled.Perceiver.Kubernetes.Context = o.kubeconfig, o.context
	return settled
}

func (c *crew) stop(ctx context.Context) error {
	err := c.app.Stop(ctx)
	c.client.Close()
	if err = errors.Join(err, c.log.Close()); err != nil {
		return fmt.Errorf("stop workers: %w", err)
	}
	return nil
}

// scan has references scanned, shows how far each is, and writes the verdicts
// to out.
func (c *crew) scan(ctx context.Context, references []string, out io.Writer) (totals, error) {
	display := console.NewDisplay(os.Stderr)
	results, err := console.Scan(ctx, starter.New(c.client), starter.ScanRequest{
		References: references, Who: "perceptor-dev", Domain: workflows.DefaultDomain,
	}, 0, display)
	display.Close()
	if err != nil {
		return totals{}, fmt.Errorf("scan samples: %w", err)
	}
	console.WriteSummary(out, results)
	done := totals{images: len(results)}
	for _, result := range results {
		done.findings += result.FindingsTotal
		if !result.Scanned() {
			done.failed++
		}
	}
	return done, nil
}

// totals count what became of images.
type totals struct{ images, findings, failed int }

// String is the line that scripts read.
func (t totals) String() string {
	return fmt.Sprintf("scanned %d of %d images, %d findings, %d failed", t.images-t.failed, t.images, t.findings, t.failed)
}

// err is what makes an exit code of 1.
func (t totals) err() error {
	if t.failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d images could not be scanned; the table says why", t.failed, t.images)
}
