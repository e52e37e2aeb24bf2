package access

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"github.com/perceptor/perceptor/internal/reload"
)

// ServerTLS is the configuration of a server with the certificate in these PEM files. When the files change, the server
// shows the new certificate. While certificate and key do not fit, as in the middle of a change, it shows the previous one.
func ServerTLS(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	current, err := reload.Watch([]string{certFile, keyFile}, func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, fmt.Errorf("read certificate %s with key %s: %w", certFile, keyFile, err)
		}
		return &pair, nil
	}, log)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current.Get(), nil },
	}, nil
}

// Certificate says how a server proves who it is.
type Certificate struct {
	// CertFile and KeyFile are PEM files; both are empty for plain HTTP.
	CertFile, KeyFile string
	// PlainHTTP allows addresses that are not loopback without a certificate.
	PlainHTTP bool
}

// Listen listens on an address. Without a certificate the configuration is nil, and only loopback is allowed, or what PlainHTTP allows:
// secrets would cross the network.
func Listen(ctx context.Context, address string, c Certificate, log *slog.Logger) (net.Listener, *tls.Config, error) {
	var certificates *tls.Config
	if c.CertFile != "" {
		var err error
		if certificates, err = ServerTLS(c.CertFile, c.KeyFile, log); err != nil {
			return nil, nil, err
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	if certificates == nil && !c.PlainHTTP && !loopbackAlone(listener.Addr()) {
		return nil, nil, errors.Join(fmt.Errorf(
			"address %s: tokens would cross the network without TLS; give a certificate and its key, or allow plain HTTP behind a TLS proxy",
			address), listener.Close())
	}
	return listener, certificates, nil
}

func loopbackAlone(a net.Addr) bool {
	address, err := netip.ParseAddrPort(a.String())
	return err == nil && address.Addr().IsLoopback()
}
