package api

import (
	"context"
	"net/http"
	"time"
)

// readyTime bounds the question whether the backend can work.
const readyTime = 5 * time.Second

// addHealth adds the two probes of an orchestrator. /healthz asks whether to restart this process: a restart repairs
// neither Temporal nor a hub, so the answer depends on neither. /readyz asks whether to send requests here, which makes no
// sense while Temporal cannot be reached.
func (s *Server) addHealth() {
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, http.StatusOK, "alive\n")
	})
	s.mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTime)
		defer cancel()
		if err := s.options.Backend.Ready(ctx); err != nil {
			s.options.Log.Warn("API is not ready: Temporal could not be reached", "error", err)
			_, text := Explain(err)
			writeText(w, http.StatusServiceUnavailable, "not ready: "+text+"\n")
			return
		}
		writeText(w, http.StatusOK, "ready\n")
	})
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client may have left
}
