package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/model"
)

// Options are what a server is made of.
type Options struct {
	Backend Backend
	// Tokens say who may do what; nil where no token is taken.
	Tokens *access.Tokens
	// Anonymous is what a request without any credentials may do; nil means nothing.
	Anonymous *access.Grant
	// HubLogin reads where a scanner of others uploads to a hub, and by which login; nil where none does.
	HubLogin func(ctx context.Context, hub string) (model.UploadTarget, error)
	// Version is shown in the OpenAPI description.
	Version string
	Log     *slog.Logger
	// MetricsApart leaves /metrics out; ServeMetrics serves it on a listener of its own.
	MetricsApart bool
}

// API adds the endpoints of one API to a server while the server is made.
type API func(*Server)

// Server answers the requests of every API that was added to it, and those for health and metrics.
type Server struct {
	options     Options
	mux         *Routes
	description *Description
	clock       clock
	batches     gate
	senders     senders
	metrics     *metrics
	// metricsApart is what ServeMetrics answers with; nil without MetricsApart.
	metricsApart *http.ServeMux
	handler      http.Handler
}

// New makes a server of APIs.
func New(o Options, apis ...API) *Server {
	s := &Server{
		options: o, mux: &Routes{ServeMux: http.NewServeMux()}, description: newDescription(o.Version), batches: make(gate, batchesAtOnce), metrics: newMetrics(),
	}
	for _, add := range apis {
		add(s)
	}
	s.addHealth()
	s.addMetrics()
	s.handler = s.measured(s.audit(s.recovering(http.NewCrossOriginProtection().Handler(secured(s.mux)))))
	return s
}

// Backend is what the endpoints work with.
func (s *Server) Backend() Backend { return s.options.Backend }

// HubLogin reads where a scanner of others uploads to a hub, and by which login.
func (s *Server) HubLogin(ctx context.Context, hub string) (model.UploadTarget, error) {
	if s.options.HubLogin == nil {
		return model.UploadTarget{}, fmt.Errorf("hub %s: this server gives its login to no scanner", hub)
	}
	return s.options.HubLogin(ctx, hub)
}

// Log is where endpoints log.
func (s *Server) Log() *slog.Logger { return s.options.Log }

// Mux takes the endpoints of an API.
func (s *Server) Mux() *Routes { return s.mux }

// Description takes the description of an API.
func (s *Server) Description() *Description { return s.description }

// AddMetric adds a metric of an API to /metrics. No label of it may take a value that a client chooses.
func (s *Server) AddMetric(c prometheus.Collector) { s.metrics.registry.MustRegister(c) }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Bounds of a connection. A body of the largest size arrives in time at half a MiB per second.
const (
	headerTime  = 10 * time.Second
	readTime    = 5 * time.Minute
	writeTime   = 6 * time.Minute
	idleTime    = 2 * time.Minute
	headerBytes = 64 << 10
	// stopTime is how long requests in progress may take at a stop.
	stopTime = 20 * time.Second
)

// Serve answers requests on the listener until ctx ends. Then it waits for the requests in progress, and returns. Without
// certificates it speaks plain HTTP.
func (s *Server) Serve(ctx context.Context, listener net.Listener, certificates *tls.Config) error {
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime, MaxHeaderBytes: headerBytes,
		TLSConfig: certificates, ErrorLog: slog.NewLogLogger(s.options.Log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() {
		if certificates != nil {
			ended <- server.ServeTLS(listener, "", "")
			return
		}
		ended <- server.Serve(listener)
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve the API: %w", err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	err := server.Shutdown(stopping)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if err != nil {
		return fmt.Errorf("stop the API: %w", err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the API: %w", err)
	}
	return nil
}

// secured sets the headers that keep a browser from guessing the type of an answer, and from storing it.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// recovering answers 500 when a handler panics. The server continues.
func (s *Server) recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if problem := recover(); problem != nil {
				s.options.Log.Error("request was not answered: its handler panicked", "method", r.Method, "pattern", r.Pattern, "error", problem)
				http.Error(w, "something is wrong with Perceptor; its log says what", http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
