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
)

// Bounds of a connection. A body of the largest size arrives in time at half a MiB per second.
const (
	headerTime  = 10 * time.Second
	readTime    = 5 * time.Minute
	writeTime   = 6 * time.Minute
	idleTime    = 2 * time.Minute
	headerBytes = 64 << 10
	// stopTime is how long requests under way may go on at a stop.
	stopTime = 20 * time.Second
)

// Serve answers on the listener until ctx ends, then lets what is under way finish. Without certificates it speaks plain
// HTTP.
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
