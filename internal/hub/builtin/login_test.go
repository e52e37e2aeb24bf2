package builtin_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin"
)

// passwordForm is the body of the password login.
func (h *testHub) passwordForm(user string) string {
	raw, err := os.ReadFile(filepath.Join(h.dir, "hub-password"))
	require.NoError(h.t, err)
	return url.Values{"j_username": {user}, "j_password": {strings.TrimSpace(string(raw))}}.Encode()
}

const formType = "application/x-www-form-urlencoded"

func TestTokenLogin(t *testing.T) {
	h := open(t, t.TempDir())
	a := h.call(http.MethodPost, "/api/tokens/authenticate", "", "Authorization", "token "+h.token())
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "7.2e+06", a.text("expiresInMilliseconds"))
	require.NotEmpty(t, a.header.Get("X-CSRF-TOKEN"))
	h.bearer = a.text("bearerToken")
	h.get("/api/projects")
}

func TestPasswordLogin(t *testing.T) {
	h := open(t, t.TempDir())
	a := h.call(http.MethodPost, "/j_spring_security_check", h.passwordForm("sysadmin"), "Content-Type", formType, "Authorization", "")
	require.Equal(t, http.StatusNoContent, a.status)
	cookie := (&http.Response{Header: a.header}).Cookies()[0]
	require.Equal(t, "AUTHORIZATION_BEARER", cookie.Name)
	require.True(t, cookie.HttpOnly && cookie.Secure)

	pair := []string{"Authorization", "", "Cookie", cookie.Name + "=" + cookie.Value, "X-CSRF-TOKEN", a.header.Get("X-CSRF-TOKEN")}
	require.Equal(t, http.StatusOK, h.call(http.MethodGet, "/api/projects", "", pair...).status)
	require.Equal(t, http.StatusCreated, h.call(http.MethodPost, "/api/projects", `{"name":"by cookie"}`, pair...).status)
	require.Equal(t, http.StatusForbidden, h.call(http.MethodPost, "/api/projects", `{"name":"no csrf"}`, pair[:4]...).status)
	h.bearer = cookie.Value
	h.get("/api/projects")
}

// TestPasswordLoginsAreLimited: after ten wrong passwords even the right one is refused for a minute; the token is not.
func TestPasswordLoginsAreLimited(t *testing.T) {
	h := open(t, t.TempDir())
	login := func(form string) int {
		return h.call(http.MethodPost, "/j_spring_security_check", form, "Content-Type", formType, "Authorization", "").status
	}
	for range 10 {
		require.Equal(t, http.StatusUnauthorized, login("j_username=sysadmin&j_password=guess"))
	}
	require.Equal(t, http.StatusTooManyRequests, login(h.passwordForm("sysadmin")))
	require.Equal(t, http.StatusOK, h.call(http.MethodPost, "/api/tokens/authenticate", "", "Authorization", "token "+h.token()).status)
}

func TestWrongLogins(t *testing.T) {
	h := open(t, t.TempDir())
	for name, row := range map[string]struct {
		method, at, body string
		headers          []string
		status           int
		message          string
	}{
		"wrong token":          {"POST", "/api/tokens/authenticate", "", []string{"Authorization", "token wrong"}, 401, "API token"},
		"no token":             {"POST", "/api/tokens/authenticate", "", []string{"Authorization", ""}, 401, "API token"},
		"bearer is no token":   {"POST", "/api/tokens/authenticate", "", nil, 401, "API token"},
		"wrong user":           {"POST", "/j_spring_security_check", h.passwordForm("root"), []string{"Content-Type", formType}, 401, "wrong"},
		"wrong password":       {"POST", "/j_spring_security_check", "j_username=sysadmin&j_password=x", []string{"Content-Type", formType}, 401, "wrong"},
		"no bearer":            {"GET", "/api/projects", "", []string{"Authorization", ""}, 401, "log in first"},
		"made-up bearer":       {"GET", "/api/projects", "", []string{"Authorization", "Bearer 99999999999999.a.b"}, 401, "log in first"},
		"longer bearer":        {"GET", "/api/projects", "", []string{"Authorization", "Bearer 9" + h.bearer}, 401, "log in first"},
		"token where a bearer": {"GET", "/api/projects", "", []string{"Authorization", "token " + h.token()}, 401, "log in first"},
		"no CSRF token":        {"POST", "/api/projects", `{"name":"x"}`, []string{"X-CSRF-TOKEN", ""}, 403, "X-CSRF-TOKEN"},
		"wrong CSRF token":     {"DELETE", "/api/projects/x", "", []string{"X-CSRF-TOKEN", "wrong"}, 403, "X-CSRF-TOKEN"},
		"stats for everybody":  {"GET", "/internal/stats", "", []string{"Authorization", ""}, 401, "log in first"},
		"wrong token to stats": {"GET", "/internal/stats", "", []string{"Authorization", "token wrong"}, 401, "log in first"},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.call(row.method, row.at, row.body, row.headers...)
			require.Equal(t, row.status, a.status)
			require.Contains(t, a.text("errorMessage"), row.message)
		})
	}
}

func TestOpenToEverybody(t *testing.T) {
	h := open(t, t.TempDir())
	for _, at := range []string{"/api/current-version", "/api/health-checks/readiness", "/api/health-checks/liveness"} {
		require.Equal(t, http.StatusOK, h.call(http.MethodGet, at, "", "Authorization", "").status, at)
	}
}

func TestInternalTakesTheTokenItself(t *testing.T) {
	h := open(t, t.TempDir())
	require.Equal(t, http.StatusOK, h.call(http.MethodGet, "/internal/stats", "", "Authorization", "token "+h.token()).status)
	a := h.call(http.MethodPut, "/internal/vulnerability-data", record("TEST-1", "npm", "a", "1.0.0", ""), "Authorization", "token "+h.token(), "X-CSRF-TOKEN", "")
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
}

func TestBearerEndsAndOutlivesARestart(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir)
	bearer := h.bearer
	h.stop()

	h = open(t, dir)
	h.bearer = bearer
	h.get("/api/projects")
	h.clock.Advance(2*time.Hour - time.Millisecond)
	h.get("/api/projects")
	h.clock.Advance(time.Millisecond)
	require.Equal(t, http.StatusUnauthorized, h.call(http.MethodGet, "/api/projects", "").status)
	h.stop()

	require.NoError(t, os.WriteFile(filepath.Join(dir, "hub-token"), []byte("another"), 0o600))
	h = open(t, dir)
	h.bearer = bearer
	require.Equal(t, http.StatusUnauthorized, h.call(http.MethodGet, "/api/projects", "").status)
}

func TestSecretsAreTheirOwnersAlone(t *testing.T) {
	h := open(t, t.TempDir())
	for _, name := range []string{"hub-token", "hub-password", "hub-ca-key.pem", "hub-server-key.pem", "hub-ca.pem", "hub.db"} {
		info, err := os.Stat(filepath.Join(h.dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
	require.NotContains(t, h.log.String(), h.token())
}

func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	leaf := func(h *testHub, name string) *tls.ConnectionState {
		config := h.client.Transport.(*http.Transport).TLSClientConfig.Clone()
		config.ServerName = name
		connection, err := tls.Dial("tcp", strings.TrimPrefix(h.base, "https://"), config)
		require.NoError(t, err)
		defer func() { _ = connection.Close() }()
		state := connection.ConnectionState()
		return &state
	}
	h := open(t, dir)
	first := leaf(h, "localhost").PeerCertificates[0]
	for _, name := range []string{"127.0.0.1", "::1", "localhost"} {
		require.NoError(t, first.VerifyHostname(name))
	}
	h.stop()

	h = open(t, dir)
	require.Equal(t, first.SerialNumber, leaf(h, "localhost").PeerCertificates[0].SerialNumber, "a good certificate is kept")
	h.stop()

	// The client of the first hub still trusts the one made for a new host name: the authority is the same.
	before := h.client
	h = open(t, dir, func(o *builtin.Options) { o.Hosts = []string{"hub.example"} })
	h.client = before
	require.NoError(t, leaf(h, "hub.example").PeerCertificates[0].VerifyHostname("hub.example"))
	h.stop()

	require.NoError(t, os.WriteFile(filepath.Join(dir, "hub-server-key.pem"), []byte("broken"), 0o600))
	h = open(t, dir)
	require.NoError(t, leaf(h, "localhost").PeerCertificates[0].VerifyHostname("localhost"), "a broken pair is made again")
}

// TestHandlerNeedsNoCertificate: behind a foreign listener, the hub answers with that listener's address in its links.
func TestHandlerNeedsNoCertificate(t *testing.T) {
	options := optionsIn(t.TempDir())
	options.CertDir = ""
	hub, err := builtin.Open(options)
	require.NoError(t, err)
	defer func() { require.NoError(t, hub.Close()) }()
	server := httptest.NewServer(hub.Handler())
	defer server.Close()
	answer, err := http.Get(server.URL + "/api/current-version")
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Contains(t, string(raw), server.URL+"/api/current-version")

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.ErrorContains(t, hub.Serve(t.Context(), listener), "CertDir is empty")
}
