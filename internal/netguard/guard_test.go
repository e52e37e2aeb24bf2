package netguard_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/netguard"
)

func TestClasses(t *testing.T) {
	for text, want := range map[string]netguard.Class{
		"8.8.8.8": netguard.Public, "2606:4700::1": netguard.Public, "100.63.255.255": netguard.Public, "172.32.0.1": netguard.Public,
		"127.0.0.1": netguard.Loopback, "127.255.0.9": netguard.Loopback, "::1": netguard.Loopback, "::ffff:127.0.0.1": netguard.Loopback,
		"::127.0.0.1": netguard.Loopback, "64:ff9b::7f00:1": netguard.Loopback, "2002:7f00:1::": netguard.Loopback,
		"10.1.2.3": netguard.Private, "172.31.9.9": netguard.Private, "192.168.0.1": netguard.Private, "100.64.0.1": netguard.Private,
		"fd12::1": netguard.Private, "fec0::1": netguard.Private, "::ffff:10.0.0.1": netguard.Private, "64:ff9b::a00:1": netguard.Private,
		"64:ff9b:1::808:808": netguard.Private, "2002:a00:1::5": netguard.Private, "2001:0:a00:1:0:0:f7f7:f7f7": netguard.Private,
		"2001:0:808:808:0:0:f5ff:fffe": netguard.Private, "2606::5efe:10.0.0.1": netguard.Private, "2606::200:5efe:10.0.0.1": netguard.Private,
		"169.254.1.1": netguard.LinkLocal, "fe80::1": netguard.LinkLocal, "fe80::1%eth0": netguard.LinkLocal, "::ffff:169.254.1.1": netguard.LinkLocal,
		"169.254.169.254": netguard.Metadata, "::ffff:169.254.169.254": netguard.Metadata, "64:ff9b::a9fe:a9fe": netguard.Metadata,
		"64:ff9b:1::a9fe:a9fe": netguard.Metadata, "2002:a9fe:a9fe::": netguard.Metadata, "::169.254.169.254": netguard.Metadata,
		"::ffff:0:169.254.169.254": netguard.Metadata, "2001:0:808:808::5601:5601": netguard.Metadata, "fe80::5efe:169.254.169.254": netguard.Metadata,
		"fd00:ec2::254": netguard.Metadata, "fd20:ce::254": netguard.Metadata, "100.100.100.200": netguard.Metadata,
		"192.0.0.192": netguard.Metadata, "168.63.129.16": netguard.Metadata,
		"0.0.0.0": netguard.Reserved, "0.1.2.3": netguard.Reserved, "::": netguard.Reserved, "224.0.0.1": netguard.Reserved, "ff02::1": netguard.Reserved,
		"255.255.255.255": netguard.Reserved, "240.0.0.1": netguard.Reserved, "::ffff:0.0.0.0": netguard.Reserved, "192.0.2.1": netguard.Reserved,
	} {
		require.Equal(t, want, netguard.ClassOf(netip.MustParseAddr(text)), text)
	}
	require.Equal(t, netguard.Reserved, netguard.ClassOf(netip.Addr{}))
}

func TestRules(t *testing.T) {
	networks := netguard.Rules{Networks: []netip.Prefix{
		netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("fd00::/8"),
	}}
	narrow := netguard.Rules{Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	for _, row := range []struct {
		rules netguard.Rules
		addr  string
		good  bool
	}{
		{netguard.Rules{}, "8.8.8.8", true},
		{netguard.Rules{}, "127.0.0.1", false},
		{netguard.Rules{}, "10.0.0.1", false},
		{netguard.Rules{Loopback: true}, "::1", true},
		{netguard.Rules{Loopback: true}, "::ffff:127.0.0.1", true},
		{netguard.Rules{Loopback: true}, "10.0.0.1", false},
		{netguard.Rules{Private: true}, "10.0.0.1", true},
		{netguard.Rules{Private: true}, "127.0.0.1", false},
		{netguard.Internal, "169.254.169.254", false},
		{netguard.Internal, "fd00:ec2::254", false},
		{netguard.Internal, "0.0.0.0", false},
		{narrow, "10.1.2.3", true},
		{narrow, "::ffff:10.1.2.3", true},
		{narrow, "10.2.0.1", false},
		{networks, "169.254.169.254", false},
		{networks, "169.254.0.1", false},
		{networks, "fd00:ec2::254", false},
		{networks, "127.0.0.1", true},
	} {
		err := row.rules.Check(netip.MustParseAddr(row.addr))
		if row.good {
			require.NoError(t, err, row.addr)
			continue
		}
		refused, is := errors.AsType[*netguard.RefusedError](err)
		require.True(t, is, row.addr)
		require.NotContains(t, refused.Error(), row.addr)
	}
}

func TestHosts(t *testing.T) {
	for _, host := range []string{"localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "[::1]", "::1", "169.254.169.254", "[fe80::1%25eth0]", "fe80::1%eth0"} {
		require.Error(t, netguard.Rules{}.CheckHost(host), host)
	}
	for _, host := range []string{"registry.example", "localhost.example", "8.8.8.8", "[2606:4700::1]", ""} {
		require.NoError(t, netguard.Rules{}.CheckHost(host), host)
	}
}

// TestDialAfterResolution resolves a name that leads to this machine: the connection is refused when it is made.
func TestDialAfterResolution(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close() //nolint:errcheck // the end of the test
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	for _, host := range []string{"localhost", "127.0.0.1", "::ffff:127.0.0.1"} {
		_, err := netguard.Rules{Private: true}.DialContext()(context.Background(), "tcp", net.JoinHostPort(host, port))
		refused, is := errors.AsType[*netguard.RefusedError](err)
		require.True(t, is, "%s: %v", host, err)
		require.Equal(t, netguard.Loopback, refused.Class)
		require.True(t, refused.Configurable())
		connection, err := netguard.Rules{Loopback: true}.DialContext()(context.Background(), "tcp", net.JoinHostPort(host, port))
		require.NoError(t, err, host)
		require.NoError(t, connection.Close())
	}
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:"+port)
	connection, err := netguard.Rules{}.DialContext()(context.Background(), "tcp", "127.0.0.1:"+port)
	require.NoError(t, err, "the operator named the proxy")
	require.NoError(t, connection.Close())
}
