//go:build integration

package main_test

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/internal/console"
	"github.com/perceptor/perceptor/model"
)

// middleman stands between the worker and the hub and gives other replies than the hub's for a while.
type middleman struct {
	url  string
	lock sync.Mutex
	// wrong is the fault at work, nil for none.
	wrong *wrongReplies
	// uploads counts uploads the hub has accepted.
	uploads int
}

// wrongReplies is a fault that ends by itself.
type wrongReplies struct {
	reply http.HandlerFunc
	// afterUpload lets it begin when the hub has accepted an upload; otherwise it begins at once.
	afterUpload bool
	// toUpload lets it hit the answer to an upload, which the hub has accepted, and nothing else.
	toUpload bool
	// lasts is for how long after the first reply others are given.
	lasts time.Duration

	began time.Time
	hits  int
}

// standBetween starts a middleman that lets everything pass.
func (d *dev) standBetween(t *testing.T) *middleman {
	t.Helper()
	hub, err := url.Parse("https://" + d.Hub)
	require.NoError(t, err)
	m := &middleman{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(hub)
			r.Out.Host = r.In.Host // the hub's links must lead here
			r.Out.Header.Del("Expect")
		},
		Transport: d.hub.Transport,
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(proxy, w, r) }))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	m.url = server.URL
	return m
}

func (m *middleman) serve(hub http.Handler, w http.ResponseWriter, r *http.Request) {
	upload := r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/api/scan/data")
	if !upload {
		if wrong := m.instead(r); wrong != nil {
			wrong(w, r)
			return
		}
		hub.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	hub.ServeHTTP(answer, r)
	if wrong := m.uploaded(answer.Code); wrong != nil {
		wrong(w, r)
		return
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// instead is the reply to give in place of the hub's, nil for the hub's own. Logins are left alone.
func (m *middleman) instead(r *http.Request) http.HandlerFunc {
	m.lock.Lock()
	defer m.lock.Unlock()
	f := m.wrong
	if f == nil || f.toUpload || f.afterUpload && m.uploads == 0 || strings.HasPrefix(r.URL.Path, "/api/tokens") {
		return nil
	}
	if f.began.IsZero() {
		f.began = time.Now()
	}
	if time.Since(f.began) > f.lasts {
		return nil
	}
	f.hits++
	return f.reply
}

// uploaded counts an upload, and says what to answer in place of the hub.
func (m *middleman) uploaded(status int) http.HandlerFunc {
	m.lock.Lock()
	defer m.lock.Unlock()
	if status/100 != 2 {
		return nil
	}
	m.uploads++
	if f := m.wrong; f != nil && f.toUpload && f.hits == 0 {
		f.hits++
		return f.reply
	}
	return nil
}

// misbehave puts a fault to work, nil for none.
func (m *middleman) misbehave(f *wrongReplies) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.wrong, m.uploads = f, 0
}

func (m *middleman) hits() int {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.wrong.hits
}

// says answers every request alike.
func says(status int, kind, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}
}

const (
	someJSON = "application/json"
	somePage = "<!DOCTYPE html><html><body><h1>Starting</h1></body></html>"
	// briefly is longer than one step's own retries, which take three seconds.
	briefly = 4 * time.Second
)

// badReplies lets the hub's replies be wrong for a while, image by image. Each is complete when that is over, or fails
// with the class and reason on the list; the hub has in any case scanned each exactly once.
func (d *dev) badReplies(t *testing.T, golden *reasons, between *middleman) {
	for _, row := range []struct {
		name  string
		fault wrongReplies
		// class is empty where the scan just takes longer.
		class model.FailureClass
	}{
		{"empty at first", wrongReplies{reply: says(200, someJSON, ""), lasts: briefly}, ""},
		{"page in the middle", wrongReplies{reply: says(200, "text/html", somePage), afterUpload: true, lasts: briefly}, ""},
		{"401 in the middle", wrongReplies{reply: says(401, someJSON, `{"errorCode":"unauthorized"}`), afterUpload: true, lasts: briefly}, ""},
		{"429 in the middle", wrongReplies{reply: says(429, someJSON, "{}", "Retry-After", "1"), afterUpload: true, lasts: briefly}, ""},
		{"429 at first", wrongReplies{reply: says(429, someJSON, "{}"), lasts: briefly}, ""},
		{"wrong shape at first", wrongReplies{reply: says(200, someJSON, `{"items":"many","totalCount":[]}`), lasts: briefly}, ""},
		{"wrong shape in the middle", wrongReplies{reply: says(200, someJSON, `["scan"]`), afterUpload: true, lasts: briefly}, model.Invalid},
		{"no answer to the upload", wrongReplies{reply: says(200, "text/html", somePage), toUpload: true}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			reference, _ := d.pushImage(t, "replies/"+strings.ReplaceAll(row.name, " ", "-"), plain(t, row.name))
			between.misbehave(&row.fault)
			result, code := d.scan(t, reference)
			require.NotZero(t, between.hits(), "the fault has hit")
			if row.class != "" {
				require.Equal(t, exitTrouble, code)
				require.Equal(t, row.class, result.Class, result.Error)
				golden.compare(t, "hub reply, "+row.name, result.Class, d.normal(result.Error))
				between.misbehave(nil)
				result, code = d.scan(t, reference)
			}
			d.scannedOnce(t, result, code)
			between.misbehave(nil)
		})
	}
}

func (d *dev) scannedOnce(t *testing.T, result console.Result, code int) {
	t.Helper()
	require.Equal(t, exitOK, code, result.Error)
	require.Len(t, result.Verdicts, 1)
	require.Equal(t, 1, result.Verdicts[0].Components)
	require.Equal(t, 1, d.stats(t).ScansByName[result.Digest.Hex()], "successful scans at the hub")
}

// badRecords loads records of which some are none: they are named, counted and left out, and the others are loaded.
func (d *dev) badRecords(t *testing.T) {
	directory := t.TempDir()
	good := record{id: invented + "00001", ecosystem: "Debian:12", source: "perceptor-sample", introduced: "0"}
	for file, text := range map[string]string{
		"good.json": string(good.text(t)), "not-json.json": `{"id":`, "no-id.json": `{"modified":"2026-01-01T00:00:00Z"}`,
		"bad-date.json": `{"id":"X-1","modified":"yesterday"}`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(directory, file), []byte(text), 0o600))
	}
	var before, after struct {
		Records int `json:"records"`
	}
	d.internal(t, "/internal/vulnerability-data", &before)
	done := d.perceptor(t, "hub", "update", "--from", directory, "--mode", "merge")
	require.Zero(t, done.code, done.stderr)
	require.Contains(t, done.stdout, "1 records loaded, 3 malformed records skipped")
	for _, file := range []string{"not-json.json", "no-id.json", "bad-date.json"} {
		require.Contains(t, done.stderr, file)
	}
	d.internal(t, "/internal/vulnerability-data", &after)
	require.Equal(t, before.Records+1, after.Records)

	require.NoError(t, os.Remove(filepath.Join(directory, "good.json")))
	done = d.perceptor(t, "hub", "update", "--from", directory, "--mode", "replace")
	require.Equal(t, exitTrouble, done.code, done.stdout)
	require.Contains(t, done.stderr, "holds no OSV record (3 malformed)")
	d.internal(t, "/internal/vulnerability-data", &after)
	require.Equal(t, before.Records+1, after.Records, "what was there stays")
}
