package osv_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestReadURL(t *testing.T) {
	packed := archive(t, "A-1.json", recordText("A-1"))
	var asked []string
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		_, _ = w.Write(packed)
	})
	t.Run("one archive", func(t *testing.T) {
		asked = nil
		got, err := read(t, base+"/mine/all.zip?token=hidden", osv.Options{})
		require.NoError(t, err)
		require.Equal(t, []string{"A-1"}, got.ids)
		require.Equal(t, []string{"/mine/all.zip"}, asked)
		first := got.progress[0]
		require.True(t, first.Downloading)
		require.Equal(t, int64(len(packed)), first.Total)
		require.Equal(t, base+"/mine/all.zip", first.Name)
	})
	t.Run("every ecosystem below a base", func(t *testing.T) {
		asked = nil
		got, err := read(t, base+"/mirror/", osv.Options{})
		require.NoError(t, err)
		var all []string
		for _, ecosystem := range osv.Ecosystems() {
			all = append(all, "/mirror/"+ecosystem+"/all.zip")
		}
		require.Equal(t, all, asked)
		require.Equal(t, len(all), got.summary.Records)
	})
	t.Run("some ecosystems", func(t *testing.T) {
		asked = nil
		_, err := read(t, base, osv.Options{Ecosystems: []string{"Go"}})
		require.NoError(t, err)
		require.Equal(t, []string{"/Go/all.zip"}, asked)
	})
}

func TestReadURLRefuses(t *testing.T) {
	packed := archive(t, "A-1.json", recordText("A-1"))
	base := serveFaults(t, packed)
	for _, row := range []struct {
		name, from, says string
		class            model.FailureClass
		retry            time.Duration
	}{
		{"not found", base + "/404/all.zip", "the server answered 404 Not Found", model.NotFound, 0},
		{"unauthorized", base + "/401/all.zip", "the server answered 401 Unauthorized", model.Unauthorized, 0},
		{"throttled", base + "/429/all.zip", "the server answered 429 Too Many Requests", model.Throttled, 7 * time.Second},
		{"unavailable", base + "/503/all.zip", "the server answered 503 Service Unavailable", model.Transient, 7 * time.Second},
		{"odd", base + "/418/all.zip", "the server answered 418", model.Invalid, 7 * time.Second},
		{"cut off", base + "/cut/all.zip", "not fetched: after", model.Transient, 0},
		{"cut off unseen", base + "/short/all.zip", "not a whole zip archive", model.Invalid, 0},
		{"standing still", base + "/stuck/all.zip", "cancelled or standing still for too long", model.Transient, 0},
		{"no one there", "http://127.0.0.1:1/all.zip", "not fetched", model.Transient, 0},
		{"redirected to where anybody may answer", base + "/away/all.zip", "only https is trusted", model.Invalid, 0},
		{"redirected for ever", base + "/round/all.zip", "more than 10 redirects", model.Invalid, 0},
		{"plain http", "http://osv.example/all.zip", "only https is trusted", model.Invalid, 0},
		{"another scheme", "ftp://osv.example/all.zip", "only https is trusted", model.Invalid, 0},
		{"no host", "https:///all.zip", "has no host", model.Invalid, 0},
		{"login in the address", "https://me:hidden@osv.example/all.zip", "has a login in the address", model.Invalid, 0},
		{"no address", "https://a b/%zz", "not readable", model.Invalid, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			opts := osv.Options{}
			if strings.HasSuffix(row.from, "/stuck/all.zip") {
				opts.Stall = 100 * time.Millisecond
			}
			_, err := read(t, row.from+"?token=hidden", opts)
			require.ErrorContains(t, err, row.says)
			require.NotContains(t, err.Error(), "hidden")
			var typed *osv.Error
			require.ErrorAs(t, err, &typed)
			require.Equal(t, row.class, typed.FailureClass())
			require.Equal(t, row.retry, typed.RetryAfter())
		})
	}
}

// serveFaults is a server with one fault for each first part of the path.
func serveFaults(t *testing.T, packed []byte) string {
	t.Helper()
	stuck := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		switch fault {
		case "cut":
			w.Header().Set("Content-Length", fmt.Sprint(len(packed)))
			_, _ = w.Write(packed[:20])
		case "short":
			_, _ = w.Write(packed[:len(packed)-9])
		case "stuck":
			_, _ = w.Write(packed[:20])
			w.(http.Flusher).Flush()
			<-stuck
		case "away":
			http.Redirect(w, r, "http://osv.example/all.zip?token=hidden", http.StatusFound)
		case "round":
			http.Redirect(w, r, r.URL.String(), http.StatusFound)
		case "401", "404":
			http.Error(w, "hidden", map[string]int{"401": 401, "404": 404}[fault])
		default:
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(map[string]int{"418": 418, "429": 429, "503": 503}[fault])
		}
	}))
	t.Cleanup(func() {
		// First, since closing waits for the answer that is stuck.
		close(stuck)
		server.Close()
	})
	return server.URL
}
