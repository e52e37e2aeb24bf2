package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/perceptor/perceptor/internal/api/access"
)

// Options are what an API is made of.
type Options struct {
	Backend Backend
	// Tokens say who may do what.
	Tokens *access.Tokens
	// Anonymous is what a request without any credentials may do; nil is nothing.
	Anonymous *access.Grant
	// Old answers the original's endpoints in the form of its first releases (v0.0.14) instead of its last.
	Old bool
	// Version is shown in the OpenAPI description.
	Version string
	Log     *slog.Logger
}

// Server answers the API's requests.
type Server struct {
	options Options
	clock   clock
	batches gate
	metrics *metrics
	names   podNames
	handler http.Handler
}

// New makes a server.
func New(o Options) *Server {
	s := &Server{options: o, batches: make(gate, batchesAtOnce), metrics: newMetrics()}
	mux := http.NewServeMux()
	s.addOriginal(mux)
	s.addV1(mux)
	s.addHealth(mux)
	s.addMetrics(mux)
	s.handler = s.measured(s.recovering(http.NewCrossOriginProtection().Handler(secured(mux))))
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// The longest a request may take, its body read.
const (
	requestTime = time.Minute
	batchTime   = 5 * time.Minute
	// bodyTime is how long a short body may take.
	bodyTime = 30 * time.Second
)

// batchesAtOnce bounds the memory of snapshots: each is held while it is handed over.
const batchesAtOnce = 4

// gate lets so many through at a time.
type gate chan struct{}

// enter waits for a place; leave gives it back.
func (g gate) enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g gate) leave() { <-g }

// secured sets the headers that keep a browser from taking an answer for something else.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// recovering answers 500 where a handler panics, and goes on serving.
func (s *Server) recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if problem := recover(); problem != nil {
				s.options.Log.Error("request panicked", "method", r.Method, "pattern", r.Pattern, "problem", problem)
				http.Error(w, "something is wrong with Perceptor; its log says what", http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
