package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.uber.org/fx"

	"github.com/perceptor/perceptor/cmd/internal/devdir"
	"github.com/perceptor/perceptor/cmd/perceptor-dev/datadir"
	"github.com/perceptor/perceptor/cmd/perceptor-dev/loopback"
	"github.com/perceptor/perceptor/cmd/perceptor-dev/registry"
	"github.com/perceptor/perceptor/cmd/perceptor-dev/temporal"
	"github.com/perceptor/perceptor/cmd/perceptor-dev/webui"
	"github.com/perceptor/perceptor/internal/hub/builtin"
	"github.com/perceptor/perceptor/starter"
)

// stack is everything that runs, filled in while it starts. Each start belongs
// to a hook, so that what a failed start leaves is what was started before it.
type stack struct {
	options   options
	dir       *datadir.Dir
	listeners struct{ temporal, ui, hub, registry, api net.Listener }
	temporal  *temporal.Server
	ui        *loopback.Server
	registry  *loopback.Server
	hub       *hub
	crew      *crew // nil without workers
	api       *apiServer
	// endRegistry ends what the registry does in the background.
	endRegistry context.CancelFunc
}

// hooks start the parts in this order and stop them in the reverse one.
func (s *stack) hooks() []fx.Hook {
	return []fx.Hook{
		{OnStart: s.openDir, OnStop: func(context.Context) error { return s.dir.Close() }},
		{OnStart: s.listen, OnStop: s.unlisten},
		{OnStart: s.startTemporal, OnStop: func(context.Context) error { return s.temporal.Stop() }},
		{OnStart: s.startUI, OnStop: func(ctx context.Context) error { return s.ui.Stop(ctx) }},
		{OnStart: s.startRegistry, OnStop: s.stopRegistry},
		{OnStart: s.startHub, OnStop: func(ctx context.Context) error { return s.hub.stop(ctx) }},
		{OnStart: s.startCrew, OnStop: s.stopCrew},
		{OnStart: s.startAPI, OnStop: func(ctx context.Context) error { return s.api.stop(ctx) }},
	}
}

func (s *stack) startCrew(ctx context.Context) (err error) {
	if !s.options.noWorkers {
		s.crew, err = startCrew(ctx, s.dir, s.addresses(), s.options)
	}
	return err
}

func (s *stack) stopCrew(ctx context.Context) error {
	if s.crew == nil {
		return nil
	}
	return s.crew.stop(ctx)
}

func (s *stack) openDir(context.Context) (err error) {
	s.dir, err = datadir.Open(s.options.data)
	return err
}

// listen takes every address before anything is started on one.
func (s *stack) listen(ctx context.Context) error {
	for _, want := range []struct {
		flag, address string
		listener      *net.Listener
	}{
		{"--temporal", s.options.temporal, &s.listeners.temporal},
		{"--ui", s.options.ui, &s.listeners.ui},
		{"--hub", s.options.hub, &s.listeners.hub},
		{"--registry", s.options.registry, &s.listeners.registry},
		{"--api", s.options.api, &s.listeners.api},
	} {
		var err error
		if *want.listener, err = loopback.Listen(ctx, want.flag, want.address); err != nil {
			return errors.Join(err, s.unlisten(ctx))
		}
	}
	return nil
}

// unlisten gives up the addresses on which nothing was started.
func (s *stack) unlisten(context.Context) error {
	var errs error
	for _, listener := range []net.Listener{s.listeners.temporal, s.listeners.ui, s.listeners.hub, s.listeners.registry, s.listeners.api} {
		if listener == nil {
			continue
		}
		if err := listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = errors.Join(errs, fmt.Errorf("give up address %s: %w", listener.Addr(), err))
		}
	}
	return errs
}

func (s *stack) startTemporal(ctx context.Context) (err error) {
	s.temporal, err = temporal.Start(ctx, temporal.Options{
		Database:         s.dir.File("temporal.db"),
		Version:          s.dir.File("temporal.version"),
		Log:              s.dir.File("temporal.log"),
		Listener:         s.listeners.temporal,
		Settings:         s.options.temporalSettings,
		SearchAttributes: starter.SearchAttributes(),
	})
	if err != nil {
		return err
	}
	return s.addAttributes(ctx)
}

// addAttributes adds what the namespace of an older build was not born with.
func (s *stack) addAttributes(ctx context.Context) error {
	connection, err := client.DialContext(ctx, client.Options{
		HostPort: s.temporal.Address(), Namespace: temporal.Namespace, Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		return fmt.Errorf("connect to temporal: %w", err)
	}
	defer connection.Close()
	return starter.New(connection).Setup.AddAttributes(ctx, temporal.Namespace)
}

func (s *stack) startUI(context.Context) error {
	pages, err := webui.New(s.temporal.Address(), temporal.Namespace)
	if err != nil {
		return err
	}
	s.ui = loopback.Serve(s.listeners.ui, pages)
	return nil
}

func (s *stack) startRegistry(ctx context.Context) error {
	serving, end := context.WithCancel(context.WithoutCancel(ctx)) // a start's context may end with the start
	images, err := registry.New(serving, s.dir.File("registry"), s.options.registryRate)
	if err != nil {
		end()
		return err
	}
	s.endRegistry = end
	s.registry = loopback.Serve(s.listeners.registry, images)
	return nil
}

func (s *stack) stopRegistry(ctx context.Context) error {
	defer s.endRegistry()
	return s.registry.Stop(ctx)
}

func (s *stack) startHub(ctx context.Context) (err error) {
	options := builtin.Options{
		File:         s.dir.File("hub.db"),
		TokenFile:    s.dir.File("hub-token"),
		PasswordFile: s.dir.File("hub-password"),
		CertDir:      s.dir.Path(),
		ScanTime:     s.options.hubScanTime,
		AcceptDelay:  s.options.hubAcceptDelay,
	}
	s.options.updates.Apply(&options)
	s.hub, err = openHub(ctx, s.dir, s.listeners.hub, options)
	return err
}

func (s *stack) startAPI(ctx context.Context) (err error) {
	s.api, err = startAPI(ctx, s.dir, s.listeners.api, s.addresses())
	return err
}

// addresses are where everything listens.
func (s *stack) addresses() devdir.Addresses {
	return devdir.Addresses{
		Temporal: s.listeners.temporal.Addr().String(),
		UI:       s.listeners.ui.Addr().String(),
		Hub:      s.listeners.hub.Addr().String(),
		Registry: s.listeners.registry.Addr().String(),
		API:      s.listeners.api.Addr().String(),
	}
}
