package api

import (
	"context"
	"net/http"
	"time"

	"github.com/perceptor/perceptor/internal/api/access"
)

// audited is what the audit log says of one request. Admit fills in who sent it.
type audited struct {
	grant access.Grant
	known bool
}

// auditKey is where the context of a request holds its audited.
type auditKey struct{}

// noteSender remembers who sent a request, for the audit log.
func noteSender(ctx context.Context, g access.Grant) {
	if a, is := ctx.Value(auditKey{}).(*audited); is {
		a.grant, a.known = g, true
	}
}

// audit logs every request that may change something: who, what, when, from where, and how it ended. Reports of perceivers that
// were accepted are logged at the level debug, because there are many.
func (s *Server) audit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		began, a := time.Now(), &audited{}
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		request := r.WithContext(context.WithValue(r.Context(), auditKey{}, a))
		defer func() {
			// The router notes the pattern in the request that it was given.
			r.Pattern = request.Pattern
			s.logAudit(r, a, recorder.status, time.Since(began))
		}()
		next.ServeHTTP(recorder, request)
	})
}

func (s *Server) logAudit(r *http.Request, a *audited, status int, took time.Duration) {
	who := "unknown"
	if a.known {
		who = a.grant.Name
	}
	outcome := "done"
	if status >= http.StatusBadRequest {
		outcome = "refused"
	}
	log := s.options.Log.Info
	if a.known && a.grant.Scope == access.Perceiver && outcome == "done" {
		log = s.options.Log.Debug
	}
	log("audit", "who", who, "scope", string(a.grant.Scope), "cluster", a.grant.Cluster, "what", r.Method+" "+pathShown(r.URL.Path),
		"from", r.RemoteAddr, "outcome", outcome, "status", status, "took", took.Round(time.Millisecond))
}

// pathShown bounds a path, which a client chooses.
func pathShown(path string) string {
	if len(path) > nameShown {
		return path[:nameShown] + "..."
	}
	return path
}
