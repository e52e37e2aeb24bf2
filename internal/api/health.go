package api

import (
	"context"
	"net/http"
	"time"
)

// readyTime bounds the question whether the API can work.
const readyTime = 5 * time.Second

// addHealth adds the two questions of whoever keeps this process running. Restarting it mends neither Temporal nor a hub,
// so alive depends on neither; nobody should be sent here while Temporal cannot be reached, so ready does.
func (s *Server) addHealth(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, http.StatusOK, "alive\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTime)
		defer cancel()
		if err := s.options.Backend.Ready(ctx); err != nil {
			s.options.Log.Warn("not ready", "error", err)
			_, text := answerTo(err)
			writeText(w, http.StatusServiceUnavailable, "not ready: "+text+"\n")
			return
		}
		writeText(w, http.StatusOK, "ready\n")
	})
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // whoever asked may have gone
}
