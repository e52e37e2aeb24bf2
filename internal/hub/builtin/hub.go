package builtin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/jobs"
	"github.com/perceptor/perceptor/internal/hub/builtin/rest"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// Hub is one running hub: its file, its work and its API. The file is open from Open to Close.
type Hub struct {
	options Options
	store   *store.Store
	jobs    *jobs.Jobs
	rest    *rest.Server
	// certificate is what Serve shows; nil without a folder for it.
	certificate *tls.Certificate
}

// Open opens the hub's file and goes on with what the hub had in progress: scans that were accepted, and versions not yet
// judged by the newest data. Secrets and certificates that are missing are made. It serves nothing until Handler or Serve
// is used.
func Open(options Options) (*Hub, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	rules, err := jobs.LoadPolicy(options.PolicyFile)
	if err != nil {
		return nil, err
	}
	token, err := ensureSecret(options.TokenFile)
	if err != nil {
		return nil, err
	}
	password, err := ensureSecret(options.PasswordFile)
	if err != nil {
		return nil, err
	}
	certificate, err := serverCertificate(options.CertDir, options.Hosts, options.Clock.Now())
	if err != nil {
		return nil, err
	}
	file, err := store.Open(options.File)
	if err != nil {
		return nil, err
	}
	h := &Hub{options: options, store: file, certificate: certificate}
	directory, source, err := options.openUpdates()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	h.jobs = jobs.New(jobs.Options{
		Store: file, Policy: rules, Clock: options.Clock, Log: options.Logger, ScanTime: options.ScanTime, Rehearsal: options.Rehearsal,
		Directory: directory, Source: source, Interval: options.UpdateInterval,
	})
	h.rest, err = rest.New(rest.Options{
		Store: file, Jobs: h.jobs, Policy: rules, Token: token, Password: password, Version: options.Version, Old: options.Old, ScanClient: options.ScanClient,
		MaxDocument: options.MaxDocument, AcceptDelay: options.AcceptDelay, Log: options.Logger, Clock: options.Clock,
	})
	if err == nil {
		err = h.jobs.Resume(h.rest.Flush)
	}
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// Close stops the hub's work and closes its file. Running scans go on at the next Open.
func (h *Hub) Close() error {
	if already := h.jobs.Wait(); already {
		return nil
	}
	var flushed error
	if h.rest != nil {
		flushed = h.rest.Flush()
	}
	if err := errors.Join(flushed, h.store.Close()); err != nil {
		return fmt.Errorf("close the hub: %w", err)
	}
	return nil
}

// Handler serves the REST API. It works behind any listener; Serve adds TLS.
func (h *Hub) Handler() http.Handler { return h.rest.Handler(h.options.Around) }

const (
	// headerTimeout and idleTimeout protect the hub from callers that send nothing; package rest bounds the time of bodies.
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	// stopGrace is how long running requests may finish after a stop.
	stopGrace = 5 * time.Second
)

// Serve answers over TLS until ctx ends, then refuses uploads, lets running requests finish for five seconds and
// returns nil. It closes the listener. Close is still to be called.
func (h *Hub) Serve(ctx context.Context, listener net.Listener) error {
	if h.certificate == nil {
		return errors.Join(errors.New("serve the hub: option CertDir is empty: name a folder for its certificate"), listener.Close())
	}
	server := &http.Server{
		Handler: h.Handler(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*h.certificate}},
		ErrorLog:  slog.NewLogLogger(h.Log().Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(listener, "", "") }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve the hub: %w", err)
	case <-ctx.Done():
	}
	h.jobs.Stop() // uploads that wait for their acceptance are asked to come again
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		h.Log().Warn("requests were cut off", "error", err)
		err = server.Close()
		if err != nil {
			return fmt.Errorf("stop the hub's server: %w", err)
		}
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the hub: %w", err)
	}
	return nil
}

// Load reads OSV records; see jobs.Updates.Load.
func (h *Hub) Load(ctx context.Context, records iter.Seq2[[]byte, error], o LoadOptions) (LoadReport, error) {
	return h.jobs.Updates.Load(ctx, records, o)
}

// Stats reads the counters.
func (h *Hub) Stats() (Stats, error) { return h.rest.Stats() }

// Data says what the hub has of vulnerability data.
func (h *Hub) Data() (DataView, error) { return h.rest.Data() }

// Stopping is closed when the hub stops.
func (h *Hub) Stopping() <-chan struct{} { return h.jobs.Stopping() }

// Log is where the hub logs.
func (h *Hub) Log() *slog.Logger { return h.options.Logger }

// Refuse answers a request with an error in the hub's form, for a handler around the hub.
func (h *Hub) Refuse(w http.ResponseWriter, r *http.Request, refusal *rest.Error) {
	h.rest.Refuse(w, r, refusal)
}

// Control serves an endpoint below /internal to callers with the API token, for a handler around the hub.
func (h *Hub) Control(w http.ResponseWriter, r *http.Request, serve func() (any, error)) {
	h.rest.Control(w, r, serve)
}
