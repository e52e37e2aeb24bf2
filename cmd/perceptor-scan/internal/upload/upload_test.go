package upload_test

import (
	"bytes"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/upload"
	"github.com/perceptor/perceptor/internal/image"
	"github.com/perceptor/perceptor/internal/scanclient/protocol"
)

const (
	token    = "token-4711"
	password = "password-4711"
	document = `{"bomFormat":"CycloneDX","specVersion":"1.6"}`
)

// hub speaks the part of the API that an upload uses. Login and upload can be replaced.
type hub struct {
	t      *testing.T
	login  http.HandlerFunc
	upload http.HandlerFunc
	// uploads counts the calls of upload.
	uploads atomic.Int32
}

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "POST /api/tokens/authenticate", "POST /j_spring_security_check":
		h.login(w, r)
	case "POST /api/scan/data":
		h.uploads.Add(1)
		h.upload(w, r)
	default:
		h.t.Errorf("unexpected call %s %s", r.Method, r.URL)
		w.WriteHeader(http.StatusNotFound)
	}
}

func newHub(t *testing.T) (*hub, *httptest.Server) {
	t.Helper()
	h := &hub{t: t}
	h.login, h.upload = h.goodLogin, h.goodUpload
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return h, server
}

func (h *hub) goodLogin(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-CSRF-TOKEN", "csrf-1")
	if strings.HasSuffix(r.URL.Path, "/authenticate") {
		if r.Header.Get("Authorization") != "token "+token || r.ContentLength != 0 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"bearerToken":"bearer-1","expiresInMilliseconds":7199999}`)
		return
	}
	if r.FormValue("j_username") != "sysadmin" || r.FormValue("j_password") != password {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "AUTHORIZATION_BEARER", Value: "bearer-1", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.WriteHeader(http.StatusNoContent)
}

func (h *hub) goodUpload(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer bearer-1" || r.Header.Get("X-CSRF-TOKEN") != "csrf-1" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Location", "/api/scans/0a1b")
	w.WriteHeader(http.StatusCreated)
}

func request(t *testing.T, server *httptest.Server) upload.Request {
	t.Helper()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.WriteFile(ca, certificate, 0o600))
	path := filepath.Join(dir, "image.cdx.json")
	require.NoError(t, os.WriteFile(path, []byte(document), 0o600))
	return upload.Request{
		Document: path, URL: server.URL + "/", CAFile: ca, Token: token,
		Project: "example.com/äpp", Version: `1.0-"x"`, ScanName: "0123", Attempt: "1700000000000-7",
	}
}

func run(t *testing.T, req upload.Request) (protocol.Result, string, error) {
	t.Helper()
	var lines bytes.Buffer
	result, err := upload.Run(t.Context(), req, protocol.NewWriter(&lines, time.Now))
	return result, lines.String(), err
}

func requireFailure(t *testing.T, err error) protocol.Failure {
	t.Helper()
	var failure protocol.Failure
	require.ErrorAs(t, err, &failure)
	require.NotContains(t, failure.Message, token)
	require.NotContains(t, failure.Message, password)
	return failure
}

func TestUploadSendsTheForm(t *testing.T) {
	logins := map[string]func(*upload.Request){
		"token":    func(*upload.Request) {},
		"password": func(r *upload.Request) { r.Token, r.Username, r.Password = "", "sysadmin", password },
		"insecure": func(r *upload.Request) { r.CAFile, r.Insecure = "", true },
	}
	for name, change := range logins {
		t.Run(name, func(t *testing.T) {
			h, server := newHub(t)
			req := request(t, server)
			change(&req)
			h.upload = func(w http.ResponseWriter, r *http.Request) {
				require.Positive(t, r.ContentLength)
				require.Equal(t, "1700000000000-7", r.Header.Get("X-Perceptor-Attempt"))
				require.Equal(t, "100-continue", r.Header.Get("Expect"))
				require.NoError(t, r.ParseMultipartForm(1<<20))
				require.Equal(t, map[string][]string{
					"projectName": {"example.com/äpp"}, "versionName": {`1.0-"x"`}, "codeLocationName": {"0123"},
				}, r.MultipartForm.Value)
				part := r.MultipartForm.File["file"][0]
				require.Equal(t, "application/vnd.cyclonedx", part.Header.Get("Content-Type"))
				file, err := part.Open()
				require.NoError(t, err)
				got, err := io.ReadAll(file)
				require.NoError(t, err)
				require.Equal(t, document, string(got))
				h.goodUpload(w, r)
			}
			result, lines, err := run(t, req)
			require.NoError(t, err)
			require.Equal(t, protocol.Result{ScanID: "0a1b", ScanURL: server.URL + "/api/scans/0a1b"}, result)
			// The phase must be said before the first byte is sent, so its first line tells of none.
			require.Contains(t, lines, `{"phase":"upload","done":0,"total":45}`)
		})
	}
}

// TestAnswers is the table of what a hub's answers mean, and whether they leave the outcome open.
func TestAnswers(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	throttled := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "17")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	explained := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"errorMessage":"an upload\u001b[31m newer than this was seen","errorCode":"attempt"}`)
	}
	page := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html;charset=utf-8")
		_, _ = io.WriteString(w, "<html>Welcome</html>")
	}
	cut := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}
	noCSRF := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"bearerToken":"b"}`) }
	wrongShape := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-CSRF-TOKEN", "c")
		_, _ = io.WriteString(w, `{"bearerToken":["b"]}`)
	}
	cases := []struct {
		name          string
		login, upload http.HandlerFunc
		class         image.FailureClass
		refused       bool
		wait          int64
		message       string
	}{
		{"login refused", status(401), nil, image.Unauthorized, true, 0, "answered the login with 401: check the hub's token or password"},
		{"login throttled", throttled, nil, image.Throttled, true, 17, "answered the login with 429"},
		{"login breaks", status(502), nil, image.Transient, true, 0, "answered the login with 502"},
		{"login cut off", cut, nil, image.Transient, true, 0, "cannot be reached"},
		{"login is a page", page, nil, image.Invalid, true, 0, "answered the login in no way a hub does"},
		{"login without its token", noCSRF, nil, image.Invalid, true, 0, "answered the login in no way a hub does"},
		{"login of the wrong shape", wrongShape, nil, image.Invalid, true, 0, "answered the login in no way a hub does"},
		{"login is elsewhere", status(302), nil, image.Invalid, true, 0, "with 302: is the address exactly the hub's own?"},
		{"upload refused", nil, status(403), image.Unauthorized, true, 0, "the user lacks the role"},
		{"upload not known again", nil, status(401), image.Unauthorized, true, 0, "answered the upload with 401"},
		{"no licence", nil, status(402), image.Unsupported, true, 0, "licence"},
		{"no such call", nil, status(404), image.Unsupported, true, 0, "does this hub take documents?"},
		{"an older attempt", nil, explained, image.Invalid, true, 0, "with 409: an upload[31m newer than this was seen"},
		{"too large", nil, status(413), image.Invalid, true, 0, "larger than the hub"},
		{"not understood", nil, status(400), image.Invalid, true, 0, "the hub did not accept it"},
		{"upload throttled", nil, throttled, image.Throttled, true, 17, "the hub has enough to do"},
		{"not available", nil, status(503), image.Transient, true, 0, "the hub is not available"},
		{"in trouble", nil, status(500), image.Transient, false, 0, "the hub is in trouble"},
		{"a front door in trouble", nil, status(504), image.Transient, false, 0, "the hub is in trouble"},
		{"upload cut off", nil, cut, image.Transient, false, 0, "whether the hub has it is not known"},
		{"upload answered by a page", nil, page, image.Invalid, false, 0, "answered the upload with a web page"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h, server := newHub(t)
			if c.login != nil {
				h.login = c.login
			}
			if c.upload != nil {
				h.upload = c.upload
			}
			result, _, err := run(t, request(t, server))
			failure := requireFailure(t, err)
			require.Zero(t, result)
			require.Equal(t, c.class, failure.Class, failure)
			require.Equal(t, c.refused, failure.Refused, failure)
			require.Equal(t, c.wait, failure.RetryAfterSeconds)
			require.Contains(t, failure.Message, c.message)
		})
	}
}

func TestAForgottenLoginIsMended(t *testing.T) {
	h, server := newHub(t)
	h.upload = func(w http.ResponseWriter, r *http.Request) {
		if h.uploads.Load() == 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.goodUpload(w, r)
	}
	result, _, err := run(t, request(t, server))
	require.NoError(t, err)
	require.Equal(t, "0a1b", result.ScanID)
	require.Equal(t, int32(2), h.uploads.Load())
}

func TestAnAnswerWithoutAPlaceIsBelieved(t *testing.T) {
	h, server := newHub(t)
	h.upload = func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
	}
	result, _, err := run(t, request(t, server))
	require.NoError(t, err)
	require.Zero(t, result)
}

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
		class   image.FailureClass
		message string
	}{
		{"nobody listens", func(r *upload.Request) { r.URL = "https://" + closed.Addr().String() }, image.Transient, "connection refused"},
		{"a certificate not trusted", func(r *upload.Request) { r.CAFile = "" }, image.Invalid, "give its authority as the hub's CA file"},
		{"no TLS", func(r *upload.Request) { r.URL = strings.Replace(plain.URL, "http:", "https:", 1) }, image.Invalid, "does not speak TLS"},
		{"no authority", func(r *upload.Request) { r.CAFile = noPEM }, image.Invalid, "holds no PEM certificate"},
		{"no authority file", func(r *upload.Request) { r.CAFile = noPEM + ".gone" }, image.Invalid, "the hub's certificate file cannot be read"},
		{"no address", func(r *upload.Request) { r.URL = "hub" }, image.Invalid, "the hub's address is not one of the form"},
		{"a password in the address", func(r *upload.Request) { r.URL = "https://me:" + password + "@hub" }, image.Invalid, "the hub's address is not one of the form"},
		{"no login", func(r *upload.Request) { r.Token = "" }, image.Unauthorized, "no credentials: set PERCEPTOR_HUB_TOKEN"},
		{"no document", func(r *upload.Request) { r.Document += ".gone" }, image.NotFound, "there is no document at"},
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
	for _, variable := range os.Environ() {
		require.NotContains(t, variable, "PERCEPTOR_HUB_")
	}
}
