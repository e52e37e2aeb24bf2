package fetch_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/fetch"
)

// serve answers the first request by one handler and the later ones by another.
func serve(t *testing.T, first, then http.HandlerFunc) (string, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			first(w, r)
			return
		}
		then(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/file", &asked
}

func content(tag, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
	}
}

func cut(tag, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", tag)
		w.Header().Set("Content-Length", "10")
		_, _ = w.Write([]byte(text))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

// TestABrokenDownload goes on only with the rest of the very same file.
func TestABrokenDownload(t *testing.T) {
	const whole = "0123456789"
	for name, row := range map[string]struct {
		first, then http.HandlerFunc
		want        string
		resumed     int64
		fails       bool // the second try fails, and the third one begins again
	}{
		"the rest":            {cut(`"a"`, "01234"), content(`"a"`, whole), whole, 5, false},
		"a file that changed": {cut(`"a"`, "01234"), content(`"b"`, "abcdefghij"), "abcdefghij", 0, false},
		"weak tags":           {cut(`W/"a"`, "01234"), content(`W/"a"`, whole), whole, 0, false},
		"no ranges":           {cut(`"a"`, "01234"), func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(whole)) }, whole, 0, false},
		"another part": {cut(`"a"`, "01234"), func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" {
				_, _ = w.Write([]byte(whole))
				return
			}
			w.Header().Set("Content-Range", "bytes 2-9/10")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write([]byte(whole[2:]))
		}, whole, 0, true},
		"not satisfiable": {cut(`"a"`, "01234"), func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" {
				_, _ = w.Write([]byte(whole))
				return
			}
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		}, whole, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := serve(t, row.first, row.then)
			path := filepath.Join(t.TempDir(), "file")
			get := func() (fetch.Answer, error) {
				return fetch.New(fetch.Options{}).File(t.Context(), address, path, fetch.Tag{}, 100, nil)
			}
			_, err := get()
			require.ErrorContains(t, err, "not fetched: after 5 bytes")
			require.NoFileExists(t, path)
			answer, err := get()
			if row.fails {
				require.Error(t, err)
				answer, err = get()
			}
			require.NoError(t, err)
			require.Equal(t, row.resumed, answer.Resumed)
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, row.want, string(got))
			left, err := os.ReadDir(filepath.Dir(path))
			require.NoError(t, err)
			require.Len(t, left, 1)
		})
	}
}

func TestBoundsAndConditions(t *testing.T) {
	address, asked := serve(t, content(`"a"`, "0123456789"), content(`"a"`, "0123456789"))
	client := fetch.New(fetch.Options{})
	_, _, err := client.Bytes(t.Context(), address, fetch.Tag{}, 9)
	require.ErrorContains(t, err, "10 bytes are more than 9")
	text, answer, err := client.Bytes(t.Context(), address, fetch.Tag{}, 10)
	require.NoError(t, err)
	require.Equal(t, "0123456789", string(text))
	_, answer, err = client.Bytes(t.Context(), address, answer.Tag, 10)
	require.NoError(t, err)
	require.True(t, answer.Unchanged)
	require.Equal(t, int64(3), asked.Load())

	endless, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 100 {
			_, _ = w.Write(bytes.Repeat([]byte("x"), 1000))
			w.(http.Flusher).Flush()
		}
	}, nil)
	_, _, err = client.Bytes(t.Context(), endless, fetch.Tag{}, 5000)
	require.ErrorContains(t, err, "longer than 5000 bytes")

	packed, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		_, _ = w.Write([]byte("x"))
	}, nil)
	_, _, err = client.Bytes(t.Context(), packed, fetch.Tag{}, 5000)
	require.ErrorContains(t, err, "which was not asked for")
}

func TestRedirectsStayAtTheirHost(t *testing.T) {
	other := httptest.NewServer(content(`"a"`, "text"))
	t.Cleanup(other.Close)
	address, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) },
		func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	_, _, err := fetch.New(fetch.Options{OwnHost: true}).Bytes(t.Context(), address, fetch.Tag{}, 100)
	require.ErrorContains(t, err, "is another host")
	text, _, err := fetch.New(fetch.Options{OwnHost: true, Hosts: []string{strings.TrimPrefix(other.URL, "http://")}}).Bytes(t.Context(), address, fetch.Tag{}, 100)
	require.NoError(t, err)
	require.Equal(t, "text", string(text))
}
