package rest

import (
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/jobs"
	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
)

// User is the only user name of the password login.
const User = "sysadmin"

// Options are what the REST API needs.
type Options struct {
	Store  *store.Store
	Jobs   *jobs.Jobs
	Policy *judge.Policy
	// Token and Password are the secrets of the two logins.
	Token, Password string
	// Version is that of the program.
	Version string
	// Old answers as hubs of 2018 do: another version number, no level CRITICAL, and lists in one page.
	Old bool
	// ScanClient is the program in /download/scan.cli.zip; empty for none.
	ScanClient string
	// MaxDocument is the largest accepted document in bytes.
	MaxDocument int64
	// AcceptDelay is how long an upload waits before it is accepted.
	AcceptDelay time.Duration
	Log         *slog.Logger
	Clock       jobs.Clock
}

// Server serves the REST API of one hub. What answers one resource is a type of its own around it.
type Server struct {
	store       *store.Store
	jobs        *jobs.Jobs
	policy      *judge.Policy
	version     string
	old         bool
	scanClient  string
	maxDocument int64
	acceptDelay time.Duration
	log         *slog.Logger
	clock       jobs.Clock

	logins    *logins
	wrong     wrong
	documents documents
	traffic   *traffic
	// requests are those not yet written to the file.
	requests atomic.Uint64
}

// New prepares the API; the counts of earlier runs come from the store.
func New(o Options) (*Server, error) {
	s := &Server{
		store: o.Store, jobs: o.Jobs, policy: o.Policy, version: o.Version, old: o.Old, scanClient: o.ScanClient, maxDocument: o.MaxDocument, acceptDelay: o.AcceptDelay,
		log: o.Log, clock: o.Clock, documents: make(documents, documentsAtOnce),
	}
	var err error
	if s.logins, err = newLogins(o.Store, o.Token, o.Password); err != nil {
		return nil, err
	}
	s.traffic, err = loadTraffic(o.Store)
	return s, err
}

// Handler serves the API. Around may put a handler around it, which is for rehearsals; nil puts none. Requests are counted
// before it acts.
func (s *Server) Handler(around func(http.Handler) http.Handler) http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(r.pattern, s.wrap(r))
	}
	mux.HandleFunc("GET /metrics", metrics{s}.get)
	mux.Handle("/", s.wrap(route{access: open, serve: func(c *call) (reply, error) { return reply{}, s.unknownPath(mux, c) }}))
	inner := http.Handler(mux)
	if around != nil {
		inner = around(inner)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		s.traffic.note(ClassOf(r), s.clock.Now())
		inner.ServeHTTP(w, r)
	})
}

// wrap turns an endpoint into a handler: login, media types and errors are the same for all.
func (s *Server) wrap(route route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, mediaType, err := s.answer(w, r, route)
		if err != nil {
			s.writeError(w, r, err)
			return
		}
		s.write(w, r, mediaType, answer)
	})
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, route route) (answer reply, mediaType string, err error) {
	if mediaType, err = negotiate(r.Header.Get("Accept"), route.media); err != nil {
		return reply{}, "", err
	}
	limitBody(w, r)
	if err := s.authorize(r, route.access); err != nil {
		return reply{}, "", err
	}
	answer, err = route.serve(&call{Request: r, writer: w, base: baseOf(r), largestPage: s.largestPage()})
	return answer, mediaType, err
}

func (s *Server) largestPage() int {
	if s.old {
		return maxLimitOld
	}
	return maxLimit
}

// Flush moves the requests counted in memory to the file.
func (s *Server) Flush() error { return s.flushRequests() }

// Refuse answers a request with an error in the hub's form, for a handler around the API. A refused upload is counted.
func (s *Server) Refuse(w http.ResponseWriter, r *http.Request, refusal *Error) {
	var err error = refusal
	if ClassOf(r) == ClassUpload {
		err = errors.Join(err, s.countRefused(refusal))
	}
	s.writeError(w, r, err)
}

// Control serves an endpoint below /internal, for a handler around the API: a call without the API token is refused.
func (s *Server) Control(w http.ResponseWriter, r *http.Request, serve func() (any, error)) {
	answer, mediaType, err := s.answer(w, r, route{access: withToken, serve: func(*call) (reply, error) {
		body, err := serve()
		return reply{status: http.StatusOK, body: body}, err
	}})
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	s.write(w, r, mediaType, answer)
}
