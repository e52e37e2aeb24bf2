package blackduck_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// fakeHub is a hub that knows logins and leaves everything else to the test.
type fakeHub struct {
	*httptest.Server
	// serve answers what is no login; the session was checked.
	serve http.HandlerFunc

	mu      sync.Mutex
	logins  int
	valid   string
	secret  string
	version string
	life    int
	// atLogin runs before a login is answered; returning true means that it answered itself.
	atLogin func(w http.ResponseWriter, r *http.Request) bool
}

func newFakeHub(t *testing.T, serve http.HandlerFunc) *fakeHub {
	t.Helper()
	f := &fakeHub{serve: serve, secret: testToken, version: "2025.10.1", life: 7199999}
	f.Server = httptest.NewUnstartedServer(f)
	f.Config.ErrorLog = log.New(io.Discard, "", 0) // refused certificates are a case here
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

func (f *fakeHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/api/tokens/authenticate":
		if f.atLogin == nil || !f.atLogin(w, r) {
			f.login(w, r)
		}
	case "/api/current-version":
		writeJSON(w, fmt.Sprintf(`{"version": %q}`, f.version))
	default:
		if !f.knows(r) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		f.serve(w, r)
	}
}

func (f *fakeHub) login(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.logins++
	if r.Header.Get("Authorization") != "token "+f.secret {
		w.WriteHeader(http.StatusUnauthorized)
		writeJSON(w, `{"errorMessage": "bad token `+r.Header.Get("Authorization")+`"}`)
		return
	}
	f.valid = fmt.Sprintf("bearer-%d", f.logins)
	w.Header().Set("X-CSRF-TOKEN", "csrf")
	writeJSON(w, fmt.Sprintf(`{"bearerToken": %q, "expiresInMilliseconds": %d}`, f.valid, f.life))
}

func (f *fakeHub) knows(r *http.Request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return r.Header.Get("Authorization") == "Bearer "+f.valid
}

// forget ends every session, as a restart of the hub does.
func (f *fakeHub) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.valid = "no user"
}

// change sets the secret that the hub accepts.
func (f *fakeHub) change(secret string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.secret, f.valid = secret, "no user"
}

func (f *fakeHub) loginCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.logins
}

func writeJSON(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(body)) // a client that went away is the test's business
}

// insecureTransport trusts every test server, so that only the driver's own rules keep credentials at home.
func insecureTransport(t *testing.T) http.RoundTripper {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}
