package upload

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/perceptor/perceptor/model"
)

// The times a hub gets: to let in, and to say that it wants the SBOM. The whole upload is limited by the runner.
const (
	dialTimeout     = 30 * time.Second
	continueTimeout = 5 * time.Second
)

// newClient makes a client that follows no redirect: one would send the login, or the SBOM, somewhere else.
func newClient(caFile string, insecure bool) (*http.Client, error) {
	// #nosec G402 -- verification is off only for a hub whose operator said so
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, refused(model.Invalid, fmt.Sprintf("the hub's certificate file cannot be read: %s", err))
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, refused(model.Invalid, fmt.Sprintf("the hub's certificate file %s holds no PEM certificate", caFile))
		}
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   dialTimeout,
		ExpectContinueTimeout: continueTimeout,
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
