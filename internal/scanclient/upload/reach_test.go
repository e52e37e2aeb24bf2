package upload_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/internal/scanclient/upload"
	"github.com/perceptor/perceptor/model"
)

func TestHubsThatCannotBeReached(t *testing.T) {
	_, server := newHub(t)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(noPEM, []byte("no certificate"), 0o600))
	cases := []struct {
		name    string
		change  func(*upload.Request)
		class   model.FailureClass
		message string
	}{
		{"no server listens", func(r *upload.Request) { r.URL = "https://" + closed.Addr().String() }, model.Transient, "connection refused"},
		{"a certificate not trusted", func(r *upload.Request) { r.CAFile = "" }, model.Invalid, "give its authority as the hub's CA file"},
		{"no TLS", func(r *upload.Request) { r.URL = strings.Replace(plain.URL, "http:", "https:", 1) }, model.Invalid, "does not speak TLS"},
		{"no authority", func(r *upload.Request) { r.CAFile = noPEM }, model.Invalid, "holds no PEM certificate"},
		{"no authority file", func(r *upload.Request) { r.CAFile = noPEM + ".gone" }, model.Invalid, "the hub's certificate file cannot be read"},
		{"no address", func(r *upload.Request) { r.URL = "hub" }, model.Invalid, "the hub's address is not one of the form"},
		{"a password in the address", func(r *upload.Request) { r.URL = "https://me:" + password + "@hub" }, model.Invalid, "is not one of the form"},
		{"no login", func(r *upload.Request) { r.Token = "" }, model.Unauthorized, "no credentials: set PERCEPTOR_HUB_TOKEN"},
		{"no SBOM", func(r *upload.Request) { r.SBOM += ".gone" }, model.NotFound, "there is no SBOM at"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req := request(t, server)
			c.change(&req)
			_, _, err := run(t, req)
			failure := requireFailure(t, err)
			require.Equal(t, c.class, failure.Class, failure)
			require.True(t, failure.Refused)
			require.Contains(t, failure.Message, c.message)
		})
	}
}

func TestTheLoginIsTakenOutOfTheEnvironment(t *testing.T) {
	t.Setenv(protocol.EnvToken, token)
	t.Setenv(protocol.EnvUsername, "sysadmin")
	t.Setenv(protocol.EnvPassword, password)
	var req upload.Request
	require.NoError(t, upload.TakeEnvironment(&req))
	require.Equal(t, upload.Request{Token: token, Username: "sysadmin", Password: password}, req)
	for _, variable := range []string{protocol.EnvToken, protocol.EnvUsername, protocol.EnvPassword} {
		_, left := os.LookupEnv(variable)
		require.False(t, left, variable)
	}
}
