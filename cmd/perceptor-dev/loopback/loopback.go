package loopback

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// AddressError says which flag holds an address that cannot be used, and why.
type AddressError struct {
	Flag    string // the flag with its dashes, "--ui" for instance
	Address string // what the user gave
	Advice  string // what is wrong and what to do
	Cause   error  // what the system said; nil where the address itself is at fault
}

// Error names the flag, the address, the fault and the way out.
func (e *AddressError) Error() string {
	return fmt.Sprintf("%s %s: %s", e.Flag, e.Address, e.Advice)
}

// Unwrap gives the system's own error.
func (e *AddressError) Unwrap() error { return e.Cause }

// Listen takes address, a host and a port, where port 0 means any free one.
// The host is an IP address or "localhost". Every error is an *AddressError.
func Listen(ctx context.Context, flag, address string) (net.Listener, error) {
	bindable, err := resolve(address)
	if err != nil {
		return nil, &AddressError{Flag: flag, Address: address, Advice: err.Error()}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", bindable.String())
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, &AddressError{
			Flag: flag, Address: address, Cause: err,
			Advice: fmt.Sprintf("port %d is taken by another process; stop it, or give %s another port (0 = any free one)", bindable.Port(), flag),
		}
	case err != nil:
		return nil, &AddressError{Flag: flag, Address: address, Cause: err, Advice: err.Error()}
	}
	return listener, nil
}

func resolve(address string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, errors.New("is not HOST:PORT; write it like 127.0.0.1:0")
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	parsed, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	if err != nil {
		return netip.AddrPort{}, errors.New("needs an IP address and a port between 0 and 65535, like 127.0.0.1:0")
	}
	if !parsed.Addr().IsLoopback() {
		return netip.AddrPort{}, errors.New("is not a loopback address; perceptor-dev is for one machine, so use 127.0.0.1")
	}
	return parsed, nil
}

// FreePorts gives n different loopback ports that were free a moment ago, for
// a server that insists on opening its listeners itself.
func FreePorts(ctx context.Context, n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range n {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("take a free loopback port: %w", err)
		}
		// All stay open until the last one is known, or the system may give one twice.
		defer func() { _ = listener.Close() }()
		address, err := netip.ParseAddrPort(listener.Addr().String())
		if err != nil {
			return nil, fmt.Errorf("read a free loopback port: %w", err)
		}
		ports = append(ports, int(address.Port()))
	}
	return ports, nil
}
