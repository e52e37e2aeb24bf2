package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/perceptor/perceptor/internal/netguard"
)

// wire carries every request of a client: pings, token exchanges, manifests and layers. It holds the rules that do
// not depend on what is fetched: which certificates to trust, where plain HTTP is allowed, when to leave a host alone.
type wire struct {
	usual *http.Transport
	hosts map[string]*http.Transport
	rules map[string]Host
	// reach are the addresses that may be called, where the host has no own rule.
	reach netguard.Rules
	gate  *gate
}

// readBuffer is the size of the connections' buffers; the standard 4 KiB costs a system call for each.
const readBuffer = 64 << 10

// redirectLimit is how many redirects are followed, as by the standard client.
const redirectLimit = 10

// errPlainHTTP is a request that was not sent, since it would have gone without TLS.
var errPlainHTTP = errors.New("plain HTTP is not allowed for this host")

func newWire(hosts map[string]Host, reach netguard.Rules, p pace) (*wire, error) {
	w := &wire{
		usual: newTransport(&tls.Config{MinVersion: tls.VersionTLS12}, reach),
		hosts: map[string]*http.Transport{}, rules: maps.Clone(hosts), reach: reach, gate: newGate(p),
	}
	for host, rule := range hosts {
		if rule.CAFile == "" && !rule.Insecure && !rule.Internal {
			continue
		}
		trust, err := trustOf(rule)
		if err != nil {
			return nil, fmt.Errorf("registry client: host %s: %w", host, err)
		}
		w.hosts[host] = newTransport(trust, w.reachOf(host))
	}
	return w, nil
}

// reachOf are the addresses that a host may have.
func (w *wire) reachOf(host string) netguard.Rules {
	if w.rules[host].Internal {
		return netguard.Internal
	}
	return w.reach
}

func newTransport(trust *tls.Config, reach netguard.Rules) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           reach.DialContext(),
		TLSClientConfig:       trust,
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		ReadBufferSize:        readBuffer,
		// A layer must arrive as it is stored, not unpacked on the way.
		DisableCompression: true,
	}
}

// NewTransport calls one registry that an operator has named, which may be on this machine or in a private network.
func NewTransport(rule Host) (*http.Transport, error) {
	trust, err := trustOf(rule)
	if err != nil {
		return nil, err
	}
	return newTransport(trust, netguard.Internal), nil
}

func trustOf(rule Host) (*tls.Config, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: rule.Insecure} //nolint:gosec // The operator of this registry said so.
	if rule.CAFile == "" {
		return trust, nil
	}
	pem, err := os.ReadFile(rule.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read its CA file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("its CA file %s holds no PEM certificate", rule.CAFile)
	}
	trust.RootCAs = pool
	return trust, nil
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	host := req.URL.Host
	if err := w.admit(req); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	transport := w.usual
	if own, ok := w.hosts[host]; ok {
		transport = own
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	w.gate.note(host, accessOf(req.Context()), resp)
	return resp, nil
}

func (w *wire) admit(req *http.Request) error {
	if !w.allowed(req.URL) {
		return errPlainHTTP
	}
	// Logins have clients of their own in the library: their redirects show here alone.
	if from := req.Response; from != nil && from.Request != nil {
		if err := w.checkRedirect(req, []*http.Request{from.Request}); err != nil {
			return err
		}
	}
	if err := w.reachOf(req.URL.Host).CheckHost(req.URL.Hostname()); err != nil {
		return fmt.Errorf("call %s: %w", req.URL.Hostname(), err)
	}
	if carriesLogin(req) && !loginFor(req.Context()).mayReceive(req.URL) {
		return faultf(foreignRealm, "the registry asks for the login at another host, %s, which gets none; "+
			"if this is its token server, list it under realms of this registry", req.URL.Hostname())
	}
	return w.gate.wait(req.Context(), req.URL.Host)
}

// carriesLogin reports whether a request holds a login, or a token that a login got. No request of a pull has a body but the one
// that exchanges a refresh token.
func carriesLogin(req *http.Request) bool {
	return req.Header.Get("Authorization") != "" || req.Header.Get("Cookie") != "" || req.Body != nil && req.Body != http.NoBody
}

func (w *wire) allowed(address *url.URL) bool {
	return address.Scheme == "https" || loopback(address.Hostname()) || w.rules[address.Host].PlainHTTP
}

// plain reports whether a registry may be spoken to without TLS.
func plain(host string, hosts map[string]Host) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	return hosts[host].PlainHTTP || loopback(strings.Trim(name, "[]"))
}

func loopback(hostname string) bool {
	if addr, err := netip.ParseAddr(hostname); err == nil {
		return addr.IsLoopback()
	}
	return hostname == "localhost" || strings.HasSuffix(hostname, ".localhost")
}

// checkRedirect follows a registry to where it keeps its layers, but not from outside into this machine's own
// networks: a foreign registry must not make a scanner read a cloud's metadata service.
func (w *wire) checkRedirect(req *http.Request, via []*http.Request) error {
	from, to := via[0].URL.Hostname(), req.URL.Hostname()
	switch {
	case len(via) >= redirectLimit:
		return faultf(refusedRedirect, "the registry redirected more than %d times", redirectLimit)
	case !w.allowed(req.URL):
		return faultf(refusedRedirect, "the registry redirected to %s without TLS, which is not followed", to)
	case from != to && inside(to) && !inside(from):
		return faultf(refusedRedirect, "the registry redirected to the internal address %s, which is not followed", to)
	}
	return nil
}

func inside(hostname string) bool {
	if addr, err := netip.ParseAddr(hostname); err == nil {
		addr = addr.Unmap()
		return addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() || addr.IsUnspecified()
	}
	return loopback(hostname)
}
