// Package feedtest serves a bucket of vulnerability records on loopback, as OSV's own does, with faults.
package feedtest

import (
	"archive/zip"
	"bytes"
	"crypto/md5" //nolint:gosec // what the real bucket sends
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Bucket is a bucket whose files a test changes while it is served.
type Bucket struct {
	URL string

	lock  sync.Mutex
	files map[string]*file
	// requests are what was asked since the last look.
	requests []Request
	faults   map[string]http.HandlerFunc
	all      http.HandlerFunc
}

type file struct{ text []byte }

// Request is one request and its status.
type Request struct {
	Path, Range string
	Status      int
	// Conditional says that it named a tag.
	Conditional bool
}

// New serves an empty bucket until the test ends.
func New(t testing.TB) *Bucket {
	t.Helper()
	b := &Bucket{files: map[string]*file{}, faults: map[string]http.HandlerFunc{}}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.URL = server.URL
	return b
}

// Record is a record for a bucket.
type Record struct {
	ID, Text string
	Modified time.Time
}

// Publish replaces all files of an ecosystem: the archive, the list of changes (oldest first, which no one may rely on), and the
// single records.
func (b *Bucket) Publish(t testing.TB, ecosystem string, records ...Record) {
	t.Helper()
	var packed, list bytes.Buffer
	archive := zip.NewWriter(&packed)
	b.lock.Lock()
	defer b.lock.Unlock()
	for path := range b.files {
		if strings.HasPrefix(path, "/"+ecosystem+"/") {
			delete(b.files, path)
		}
	}
	for _, r := range records {
		w, err := archive.Create(r.ID + ".json")
		if err == nil {
			_, err = w.Write([]byte(r.Text))
		}
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(&list, "%s,%s\n", r.Modified.UTC().Format(time.RFC3339), r.ID)
		b.put(ecosystem+"/"+r.ID+".json", []byte(r.Text))
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	b.put(ecosystem+"/all.zip", packed.Bytes())
	b.put(ecosystem+"/modified_id.csv", list.Bytes())
}

func (b *Bucket) put(path string, text []byte) { b.files["/"+path] = &file{text: text} }

// Put replaces one file.
func (b *Bucket) Put(path string, text []byte) {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.put(path, text)
}

// Remove deletes one file.
func (b *Bucket) Remove(path string) {
	b.lock.Lock()
	defer b.lock.Unlock()
	delete(b.files, "/"+path)
}

// File is the text of one file.
func (b *Bucket) File(path string) []byte {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.files["/"+path].text
}

// Break answers a path in another way, or every path when it is empty; nil repairs it.
func (b *Bucket) Break(path string, answer http.HandlerFunc) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if path == "" {
		b.all = answer
		return
	}
	b.faults["/"+path] = answer
}

// Requests are those since the last call.
func (b *Bucket) Requests() []Request {
	b.lock.Lock()
	defer b.lock.Unlock()
	seen := b.requests
	b.requests = nil
	return seen
}

// Status answers with a status alone.
func Status(status int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
	}
}

// ServeHTTP answers as Google Cloud Storage does: with tags, checksums and ranges.
func (b *Bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.lock.Lock()
	found, fault := b.files[r.URL.Path], b.faults[r.URL.Path]
	if b.all != nil {
		fault = b.all
	}
	b.lock.Unlock()
	noted := &noting{ResponseWriter: w}
	defer func() {
		b.lock.Lock()
		defer b.lock.Unlock()
		b.requests = append(b.requests, Request{
			Path: r.URL.Path, Range: r.Header.Get("Range"), Status: noted.status, Conditional: r.Header.Get("If-None-Match") != "",
		})
	}()
	switch {
	case fault != nil:
		fault(noted, r)
	case found == nil:
		http.NotFound(noted, r)
	default:
		Serve(noted, r, found.text)
	}
}

// Serve answers with a text.
func Serve(w http.ResponseWriter, r *http.Request, text []byte) {
	sum := md5.Sum(text) //nolint:gosec // see the import
	w.Header().Set("ETag", fmt.Sprintf("%q", fmt.Sprintf("%x", sum)))
	w.Header().Set("X-Goog-Hash", "md5="+base64.StdEncoding.EncodeToString(sum[:]))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
}

// Cut answers with the whole length and the first bytes only, as a connection that breaks.
func Cut(text []byte, after int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		sum := md5.Sum(text) //nolint:gosec // see the import
		w.Header().Set("ETag", fmt.Sprintf("%q", fmt.Sprintf("%x", sum)))
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		_, _ = w.Write(text[:after])
		if flush, can := w.(http.Flusher); can {
			flush.Flush()
		}
		panic(http.ErrAbortHandler)
	}
}

type noting struct {
	http.ResponseWriter
	status int
}

func (n *noting) WriteHeader(status int) {
	n.status = status
	n.ResponseWriter.WriteHeader(status)
}

func (n *noting) Write(p []byte) (int, error) {
	if n.status == 0 {
		n.status = http.StatusOK
	}
	return n.ResponseWriter.Write(p)
}

func (n *noting) Flush() {
	if f, can := n.ResponseWriter.(http.Flusher); can {
		f.Flush()
	}
}
