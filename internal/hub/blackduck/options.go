package blackduck

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"time"

	"github.com/perceptor/perceptor/internal/netguard"
)

// Generation says which form of the API a hub speaks.
type Generation string

// The generations. Auto reads the hub's version at each login and chooses.
const (
	GenerationAuto    Generation = "auto"
	GenerationCurrent Generation = "current"
	GenerationOld     Generation = "old"
)

// defaultTimeout is how long one request may take, reply included. The original waited 20 s; pages are larger here.
const defaultTimeout = 30 * time.Second

// Options is everything a Client needs to know of one hub.
type Options struct {
	// Name is the configured name of the hub; it appears in scans, verdicts and errors.
	Name string
	// URL is the hub's root, such as "https://hub.example:8443". Only https is accepted.
	URL string
	// TokenFile names a file with an API token. Either this or Username and PasswordFile.
	TokenFile string
	// Username and PasswordFile are the login of hubs that know no tokens.
	Username     string
	PasswordFile string
	// CAFile names a PEM file with the certificates to trust; empty means the system's.
	CAFile string
	// Insecure turns certificate verification off.
	Insecure bool
	// Generation is the API to speak; empty means auto.
	Generation Generation
	// RequestsPerSecond bounds the requests of this Client, logins included; 0 means no limit.
	RequestsPerSecond float64
	// Timeout bounds one request with its reply; 0 means 30 s.
	Timeout time.Duration
	// Transport carries the requests in place of one made from CAFile and Insecure; for tests and special proxies.
	Transport http.RoundTripper
}

// validate names every mistake at once, so that one look at the answer mends the configuration.
func (o Options) validate() (origin, error) {
	var mistakes []error
	wrong := func(format string, args ...any) { mistakes = append(mistakes, fmt.Errorf(format, args...)) }
	if o.Name == "" {
		wrong("name is empty: every hub needs a name of its own")
	}
	root, err := parseOrigin(o.URL)
	if err != nil {
		wrong("url: %w", err)
	}
	switch {
	case o.TokenFile != "" && (o.Username != "" || o.PasswordFile != ""):
		wrong("both a token file and a username or password file are set: choose one login")
	case o.TokenFile == "" && o.Username == "" && o.PasswordFile == "":
		wrong("no login: set a token file, or a username and a password file")
	case o.TokenFile == "" && o.Username == "":
		wrong("a password file without a username")
	case o.TokenFile == "" && o.PasswordFile == "":
		wrong("a username without a password file")
	}
	switch o.Generation {
	case "", GenerationAuto, GenerationCurrent:
	case GenerationOld:
		if o.TokenFile != "" {
			wrong("generation old knows no tokens: set a username and a password file")
		}
	default:
		wrong("generation %.40q: want auto, current or old", string(o.Generation))
	}
	if o.RequestsPerSecond < 0 || math.IsNaN(o.RequestsPerSecond) || math.IsInf(o.RequestsPerSecond, 0) {
		wrong("requests per second is %v: want 0 for no limit, or more", o.RequestsPerSecond)
	}
	if o.Timeout < 0 {
		wrong("timeout is %v: want 0 for %v, or more", o.Timeout, defaultTimeout)
	}
	if o.CAFile != "" && o.Insecure {
		wrong("both a CA file and insecure are set: the file would be ignored, choose one")
	}
	return root, errors.Join(mistakes...)
}

// transport trusts what the options say. Proxies come from the environment, as everywhere else.
func (o Options) transport() (http.RoundTripper, error) {
	if o.Transport != nil {
		return o.Transport, nil
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.Insecure} //nolint:gosec // the operator said so for this hub
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca file: %w", err)
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca file %s: no PEM certificate in it", o.CAFile)
		}
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		// The address is configured, but what its name resolves to is not: never a metadata service.
		DialContext:         netguard.Internal.DialContext(),
		TLSClientConfig:     settings,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: idleConnections,
		IdleConnTimeout:     idleTimeout,
	}
	return transport, nil
}

const (
	// idleConnections keeps as many connections open as one worker usually has calls under way.
	idleConnections = 16
	// idleTimeout is below the 65 to 75 s after which common proxies close a quiet connection from their side.
	idleTimeout = 60 * time.Second
)
