package kubetest

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Front is a way to the API server that notes the writes to pods, and that can be closed for a while.
type Front struct {
	server *httptest.Server
	direct string
	closed atomic.Bool

	lock   sync.Mutex
	writes []Write
}

// Write is a patch of a pod that came through a Front.
type Write struct {
	// At is when it arrived, Pod the namespace and the name, Body what was sent, and Status what the API server answered.
	At     time.Time
	Pod    string
	Body   []byte
	Status int
}

// Accepted reports whether the API server took the write.
func (w Write) Accepted() bool { return w.Status >= 200 && w.Status < 300 }

// NewFront opens a way that ends with the test.
func (c *Cluster) NewFront(t testing.TB) *Front {
	t.Helper()
	target, err := url.Parse(c.url)
	if err != nil {
		t.Fatalf("address of the API server: %v", err)
	}
	f := &Front{direct: c.url}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     c.http.Transport,
		FlushInterval: -1, // a watch is an answer that never ends
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { hangUp(w) },
	}
	// Without TLS a client sends no token.
	certificate, err := tls.LoadX509KeyPair(filepath.Join(c.Directory, servingCertificate), filepath.Join(c.Directory, servingKey))
	if err != nil {
		t.Fatalf("certificate of the API server: %v", err)
	}
	f.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.closed.Load() {
			hangUp(w)
			return
		}
		f.pass(proxy, w, r)
	}))
	f.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	f.server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	f.server.StartTLS()
	t.Cleanup(func() {
		f.server.CloseClientConnections()
		f.server.Close()
	})
	return f
}

// Kubeconfig writes a copy of a kubeconfig of the cluster that leads through the Front.
func (f *Front) Kubeconfig(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	text = bytes.ReplaceAll(text, []byte(f.direct), []byte(f.server.URL))
	written, err := os.CreateTemp(filepath.Dir(file), "front-*.kubeconfig")
	if err != nil {
		return "", err
	}
	if _, err := written.Write(text); err != nil {
		return "", err
	}
	return written.Name(), written.Close()
}

// Close cuts all connections and refuses new ones until Open is called.
func (f *Front) Close() {
	f.closed.Store(true)
	f.Cut()
}

// Open lets connections in again.
func (f *Front) Open() { f.closed.Store(false) }

// Cut ends all connections; new ones are let in.
func (f *Front) Cut() { f.server.CloseClientConnections() }

// Writes are the patches of pods that arrived at or after a time, in the order in which they were answered.
func (f *Front) Writes(since time.Time) []Write {
	f.lock.Lock()
	defer f.lock.Unlock()
	return slices.DeleteFunc(slices.Clone(f.writes), func(w Write) bool { return w.At.Before(since) })
}

func hangUp(w http.ResponseWriter) {
	if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = connection.Close()
	}
}

// pass passes a request on, and notes it where it is a patch of a pod.
func (f *Front) pass(proxy http.Handler, w http.ResponseWriter, r *http.Request) {
	pod, isPod := podOf(r)
	if !isPod {
		proxy.ServeHTTP(w, r)
		return
	}
	at := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		hangUp(w)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer := &noted{ResponseWriter: w}
	proxy.ServeHTTP(answer, r)
	f.lock.Lock()
	defer f.lock.Unlock()
	f.writes = append(f.writes, Write{At: at, Pod: pod, Body: body, Status: answer.status})
}

// podOf is the pod that a request patches; false for every other request.
func podOf(r *http.Request) (string, bool) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/"), "/")
	if r.Method != http.MethodPatch || len(parts) != 3 || parts[1] != "pods" {
		return "", false
	}
	return parts[0] + "/" + parts[2], true
}

// noted notes the status of an answer.
type noted struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes and passes on the status.
func (n *noted) WriteHeader(status int) {
	n.status = status
	n.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (n *noted) Unwrap() http.ResponseWriter { return n.ResponseWriter }
