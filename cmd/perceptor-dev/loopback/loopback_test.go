package loopback_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-dev/loopback"
)

func TestListenRefusesWithTheFlagAndTheWayOut(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()

	for _, row := range []struct{ name, address, says string }{
		{"taken port", taken.Addr().String(), "is taken by another process"},
		{"no port", "127.0.0.1", "is not HOST:PORT"},
		{"port out of range", "127.0.0.1:70000", "port between 0 and 65535"},
		{"a host name", "example.com:80", "needs an IP address"},
		{"all interfaces", "0.0.0.0:0", "is not a loopback address"},
		{"no host", ":7233", "needs an IP address"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := loopback.Listen(t.Context(), "--ui", row.address)
			var wrong *loopback.AddressError
			require.ErrorAs(t, err, &wrong)
			require.ErrorContains(t, err, "--ui "+row.address)
			require.ErrorContains(t, err, row.says)
		})
	}
}

func TestListenTakesAnyFreePort(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "localhost:0"} {
		listener, err := loopback.Listen(t.Context(), "--hub", address)
		require.NoError(t, err)
		require.True(t, listener.Addr().(*net.TCPAddr).IP.IsLoopback())
		require.NotZero(t, listener.Addr().(*net.TCPAddr).Port)
		require.NoError(t, listener.Close())
	}
}

func TestFreePortsDiffer(t *testing.T) {
	ports, err := loopback.FreePorts(t.Context(), 8)
	require.NoError(t, err)
	seen := map[int]bool{}
	for _, port := range ports {
		require.False(t, seen[port], "port %d was given twice", port)
		seen[port] = true
	}
}
