package scanclient_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/scanclient"
	"github.com/perceptor/perceptor/model"
)

// smallHub takes a login and an upload, which the test answers.
func smallHub(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/api/tokens/authenticate", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-CSRF-TOKEN", "c")
		_, _ = io.WriteString(w, `{"bearerToken":"b"}`)
	})
	mux.HandleFunc("/api/scan/data", answer)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// here is a runner whose program could upload nothing: this process does it.
func here(t *testing.T, change func(*scanclient.Options)) *scanclient.Runner {
	t.Helper()
	return runner(t, "hang", func(o *scanclient.Options) {
		o.UploadHere = true
		if change != nil {
			change(o)
		}
	})
}

func TestUploadWithoutAProcessOfItsOwn(t *testing.T) {
	req := uploadRequest(t)
	var attempt string
	var sent []byte
	req.Target.URL = smallHub(t, func(w http.ResponseWriter, r *http.Request) {
		attempt = r.Header.Get("X-Perceptor-Attempt")
		file, _, err := r.FormFile("file")
		if err == nil {
			sent, _ = io.ReadAll(file)
		}
		w.Header().Set("Location", "/api/scans/17")
		w.WriteHeader(http.StatusCreated)
	})
	var last scanclient.Progress
	uploaded, err := here(t, nil).Upload(t.Context(), req, func(p scanclient.Progress) { last = p })
	require.NoError(t, err)
	require.Equal(t, "17", uploaded.ScanID)
	require.Equal(t, "12-3", attempt)
	require.Equal(t, goodSBOM, string(sent))
	require.Equal(t, scanclient.Progress{Phase: "upload", Done: int64(len(goodSBOM)), Total: int64(len(goodSBOM))}, last)
}

// TestUploadWithoutAProcessSaysWhatTheHubHas: as a client in a process of its own does.
func TestUploadWithoutAProcessSaysWhatTheHubHas(t *testing.T) {
	for name, each := range map[string]struct {
		answer  http.HandlerFunc
		class   model.FailureClass
		refused bool
	}{
		"the hub refuses": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, model.Unauthorized, true},
		"the connection breaks": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}, model.Transient, false},
		"the hub hangs": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
		}, model.Transient, false},
	} {
		t.Run(name, func(t *testing.T) {
			req := uploadRequest(t)
			req.Target.URL = smallHub(t, each.answer)
			_, err := here(t, func(o *scanclient.Options) { o.UploadTimeout = time.Second }).Upload(t.Context(), req, nil)
			var failed *scanclient.Error
			require.ErrorAs(t, err, &failed)
			require.Equal(t, each.class, failed.Class, failed.Reason)
			require.Equal(t, each.refused, failed.Refused, failed.Reason)
			require.NotContains(t, err.Error(), secretToken)
		})
	}
}

// TestLinkIsNotUploaded: a scan client may leave a link to a secret of this process in place of its SBOM.
func TestLinkIsNotUploaded(t *testing.T) {
	req := uploadRequest(t)
	req.Target.URL = smallHub(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte(secretPassword), 0o600))
	require.NoError(t, os.Remove(req.SBOM))
	require.NoError(t, os.Symlink(secret, req.SBOM))
	_, err := here(t, nil).Upload(t.Context(), req, nil)
	var failed *scanclient.Error
	require.ErrorAs(t, err, &failed)
	require.True(t, failed.Refused)
}
