package netguard

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// Rules say which addresses may be called besides public ones. The zero value allows public addresses only.
type Rules struct {
	// Loopback allows this machine.
	Loopback bool
	// Private allows private networks.
	Private bool
	// Networks are loopback or private networks that are allowed besides. They open no other class.
	Networks []netip.Prefix
}

// Internal allows this machine and private networks: for hosts that the configuration itself names.
var Internal = Rules{Loopback: true, Private: true}

// RefusedError is an address that the rules do not allow.
type RefusedError struct {
	Class Class
	// Addr is for logs: an answer that shows it would show what an internal name leads to.
	Addr netip.Addr
}

// Error names the class alone.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("a %s address, which may not be called from here", e.Class)
}

// Configurable reports whether rules can allow the address.
func (e *RefusedError) Configurable() bool { return e.Class == Private || e.Class == Loopback }

// Check returns a RefusedError for an address that may not be called.
func (r Rules) Check(addr netip.Addr) error {
	class := ClassOf(addr)
	switch {
	case class == Public, class == Private && r.Private, class == Loopback && r.Loopback:
		return nil
	case class == Private || class == Loopback:
		for _, each := range r.Networks {
			if each.Contains(addr.WithZone("").Unmap()) {
				return nil
			}
		}
	}
	return &RefusedError{Class: class, Addr: addr}
}

// CheckHost checks a host that is an address in place of a name, and the names of this machine. Other names are checked when
// they are resolved.
func (r Rules) CheckHost(hostname string) error {
	name := strings.ToLower(strings.TrimSuffix(strings.Trim(hostname, "[]"), "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return r.Check(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	addr, err := netip.ParseAddr(name)
	if err != nil {
		return nil // a name
	}
	return r.Check(addr)
}

// Control refuses a connection to an address that the rules do not allow. It is for net.Dialer.
func (r Rules) Control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("check the address %.80q: %w", address, err)
	}
	return r.Check(at.Addr())
}

// dialTime bounds the connection to one host, all its addresses together.
const dialTime = 15 * time.Second

// DialContext connects under the rules. A proxy that the environment names is called without them.
func (r Rules) DialContext() func(ctx context.Context, network, address string) (net.Conn, error) {
	guarded := &net.Dialer{Timeout: dialTime, KeepAlive: 30 * time.Second, Control: r.Control}
	free := &net.Dialer{Timeout: dialTime, KeepAlive: 30 * time.Second}
	proxies := proxiesOf(httpproxy.FromEnvironment())
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if proxies[strings.ToLower(address)] {
			return free.DialContext(ctx, network, address)
		}
		return guarded.DialContext(ctx, network, address)
	}
}

// ports are those of proxies whose address names none.
var ports = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

// proxiesOf are the addresses of the environment's proxies, as a transport dials them.
func proxiesOf(env *httpproxy.Config) map[string]bool {
	found := map[string]bool{}
	for _, text := range []string{env.HTTPProxy, env.HTTPSProxy} {
		if text == "" {
			continue
		}
		if !strings.Contains(text, "://") {
			text = "http://" + text
		}
		parsed, err := url.Parse(text)
		if err != nil || parsed.Hostname() == "" {
			continue
		}
		port := parsed.Port()
		if port == "" {
			port = ports[parsed.Scheme]
		}
		found[strings.ToLower(net.JoinHostPort(parsed.Hostname(), port))] = true
	}
	return found
}
