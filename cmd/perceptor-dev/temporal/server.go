package temporal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
)

// Namespace is the one namespace that the server is born with.
const Namespace = "default"

// readyWait bounds how long Start waits for the server to answer. A start takes
// well under a second on an idle machine; the rest is room for a busy one.
const readyWait = 30 * time.Second

// Options say where a server keeps its files and where it listens.
type Options struct {
	Database string       // the SQLite file, made where it is missing
	Version  string       // the file that remembers which server made Database
	Log      string       // the file that gets warnings and errors
	Listener net.Listener // the address to serve; Start closes it and hands its port to the server
	Settings string       // a file of settings in the server's format for dynamic configuration; may be empty
	// SearchAttributes are those that the namespace is born with.
	SearchAttributes map[string]enumspb.IndexedValueType
}

// Server is a running Temporal server.
type Server struct {
	inner   temporal.Server
	address string
	logFile *logFile
}

// Start makes the database where it is missing, starts the server and returns
// when it answers. A database of another server version gives a *VersionError.
func Start(ctx context.Context, options Options) (*Server, error) {
	settings, err := tuned(options.Settings)
	if err != nil {
		return nil, errors.Join(err, options.Listener.Close())
	}
	address := options.Listener.Addr().String()
	// The server opens its listeners itself and takes no ready ones. The address
	// was held until now so that a busy one is found before anything starts.
	if err := options.Listener.Close(); err != nil {
		return nil, fmt.Errorf("hand address to temporal server: %w", err)
	}
	layout, err := newLayout(ctx, address, options.Database)
	if err != nil {
		return nil, err
	}
	if err := prepareDatabase(ctx, options, layout.config); err != nil {
		return nil, err
	}
	logger, logFile, err := openLog(options.Log)
	if err != nil {
		return nil, err
	}
	server := &Server{address: address, logFile: logFile}
	if server.inner, err = newServer(layout, settings, logger); err != nil {
		return nil, errors.Join(fmt.Errorf("assemble temporal server: %w", err), logFile.Close())
	}
	if err := server.inner.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start temporal server, see %s: %w", options.Log, err), server.Stop())
	}
	if err := server.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	return server, nil
}

func newServer(layout layout, settings dynamicconfig.Client, logger log.Logger) (temporal.Server, error) {
	hosts := map[primitives.ServiceName]static.Hosts{}
	for service, host := range layout.hosts {
		hosts[service] = static.SingleLocalHost(host)
	}
	return temporal.NewServer(
		temporal.WithConfig(layout.config),
		temporal.ForServices(temporal.DefaultServices),
		// Known hosts spare the gossip between services and its ports.
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithDynamicConfigClient(settings),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper { return authorization.NewNoopClaimMapper() }),
	)
}

// awaitReady returns when the frontend serves the namespace.
func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for temporal server at %s: %w", s.address, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

func (s *Server) probe(ctx context.Context) error {
	connection, err := client.DialContext(ctx, client.Options{HostPort: s.address, Namespace: Namespace, Logger: quiet{}})
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	defer connection.Close()
	if _, err := connection.CountWorkflow(ctx, &countAll); err != nil {
		return fmt.Errorf("ask visibility: %w", err)
	}
	return nil
}

// Address is the HOST:PORT of the frontend.
func (s *Server) Address() string { return s.address }

// Stop ends the server and closes its files. Nothing that it acknowledged is lost.
func (s *Server) Stop() error {
	if err := s.inner.Stop(); err != nil {
		return errors.Join(fmt.Errorf("stop temporal server: %w", err), s.logFile.Close())
	}
	return s.logFile.Close()
}
