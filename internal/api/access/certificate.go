package access

import (
	"crypto/tls"
	"fmt"
	"log/slog"

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
