package upload_test

import (
	"bytes"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/internal/scanclient/upload"
)

const (
	token    = "token-4711"
	password = "password-4711"
	sbom     = `{"bomFormat":"CycloneDX","specVersion":"1.6"}`
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
	require.NoError(t, os.WriteFile(path, []byte(sbom), 0o600))
	return upload.Request{
		SBOM: path, URL: server.URL + "/", CAFile: ca, Token: token,
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
				require.Equal(t, sbom, string(got))
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
