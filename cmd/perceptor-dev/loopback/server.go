package loopback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// headerWait bounds how long a client may take to send its request's header.
const headerWait = 10 * time.Second

// Server serves HTTP on a listener until it is stopped.
type Server struct {
	inner *http.Server
	ended chan error
}

// Serve answers requests on listener, those under a local name alone. Nothing
// is logged, since the terminal belongs to the user.
func Serve(listener net.Listener, handler http.Handler) *Server {
	server := &Server{
		inner: &http.Server{
			Handler:           OnlyLocalNames(handler),
			ReadHeaderTimeout: headerWait,
			ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		},
		ended: make(chan error, 1),
	}
	go func() { server.ended <- server.inner.Serve(listener) }()
	return server
}

// Stop lets requests that are being answered finish until ctx ends, then cuts them.
func (s *Server) Stop(ctx context.Context) error {
	if err := s.inner.Shutdown(ctx); err != nil {
		// A client that still reads must not delay the end of the process.
		err = errors.Join(s.inner.Close(), ignoreDone(err))
		if err != nil {
			return fmt.Errorf("stop http server: %w", err)
		}
	}
	if err := <-s.ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve http: %w", err)
	}
	return nil
}

func ignoreDone(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
