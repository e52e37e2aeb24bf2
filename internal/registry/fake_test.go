package registry_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/model"
)

// fake is a real registry on loopback that counts what it sends and can be made to misbehave.
type fake struct {
	*httptest.Server
	// inner is the registry without faults and counts.
	inner http.Handler

	mu    sync.Mutex
	fault func(http.ResponseWriter, *http.Request) bool
	sent  map[string]int64
	asked map[string]int
}

func newFake(t testing.TB) *fake {
	t.Helper()
	f := unstarted()
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func unstarted() *fake {
	quiet := log.New(io.Discard, "", 0)
	return &fake{inner: ggcr.New(ggcr.Logger(quiet)), sent: map[string]int64{}, asked: map[string]int{}}
}

// host is the registry's name in references.
func (f *fake) host() string {
	u, err := url.Parse(f.URL)
	if err != nil {
		panic(err)
	}
	return u.Host
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	f.mu.Lock()
	fault := f.fault
	if r.Method == http.MethodGet {
		f.asked[last]++
	}
	f.mu.Unlock()
	counting := &counted{ResponseWriter: w, add: func(n int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.sent[last] += int64(n)
	}}
	if fault != nil && r.Method == http.MethodGet && fault(counting, r) {
		return
	}
	f.inner.ServeHTTP(counting, r)
}

// misbehave makes requests go to fault first; they are served when it returns false.
func (f *fake) misbehave(fault func(http.ResponseWriter, *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
	f.sent, f.asked = map[string]int64{}, map[string]int{}
}

// sentOf is how many bytes of a blob or manifest were sent.
func (f *fake) sentOf(h v1.Hash) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent[h.String()]
}

func (f *fake) askedFor(last string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[last]
}

type counted struct {
	http.ResponseWriter
	add func(int)
}

func (c *counted) Write(p []byte) (int, error) {
	// Counted before, since the reader may look at the count before Write returns.
	c.add(len(p))
	return c.ResponseWriter.Write(p)
}

// push stores an image, around the faults, under repository:tag and returns its digest.
func (f *fake) push(t testing.TB, repository, tag string, img v1.Image) model.Digest {
	t.Helper()
	ref, err := name.NewTag(f.host() + "/" + repository + ":" + tag)
	require.NoError(t, err)
	require.NoError(t, remote.Write(ref, img, remote.WithTransport(direct{f.inner})))
	return digestOf(t, img)
}

func (f *fake) pushIndex(t testing.TB, repository, tag string, index v1.ImageIndex) v1.Hash {
	t.Helper()
	ref, err := name.NewTag(f.host() + "/" + repository + ":" + tag)
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(ref, index, remote.WithTransport(direct{f.inner})))
	digest, err := index.Digest()
	require.NoError(t, err)
	return digest
}

// direct calls a handler without a network.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "http" {
		return nil, errors.New("this way there is no TLS")
	}
	served := r.Clone(r.Context())
	if served.Body == nil {
		served.Body = http.NoBody
	}
	recorder := httptest.NewRecorder()
	d.handler.ServeHTTP(recorder, served)
	resp := recorder.Result()
	resp.Request = r
	return resp, nil
}

// layerOf is a layer of random bytes, the same for the same seed.
func layerOf(seed uint64, size int) v1.Layer {
	content := make([]byte, size)
	source := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = source.Read(content)
	// The beginning of a gzip stream: it distinguishes layers.
	copy(content, []byte{0x1f, 0x8b})
	return static.NewLayer(content, types.DockerLayer)
}

// imageOf is an image for linux/amd64 of these layers.
func imageOf(t testing.TB, layers ...v1.Layer) v1.Image {
	t.Helper()
	return imageFor(t, v1.Platform{OS: "linux", Architecture: "amd64"}, layers...)
}

func imageFor(t testing.TB, platform v1.Platform, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant, RootFS: v1.RootFS{Type: "layers"},
	})
	require.NoError(t, err)
	for _, layer := range layers {
		img, err = mutate.Append(img, mutate.Addendum{Layer: layer})
		require.NoError(t, err)
	}
	return img
}

func digestOf(t testing.TB, img interface{ Digest() (v1.Hash, error) }) model.Digest {
	t.Helper()
	digest, err := img.Digest()
	require.NoError(t, err)
	return model.Digest(digest.String())
}

func hashOf(t testing.TB, layer v1.Layer) v1.Hash {
	t.Helper()
	digest, err := layer.Digest()
	require.NoError(t, err)
	return digest
}

func contentOf(t testing.TB, layer v1.Layer) []byte {
	t.Helper()
	stream, err := layer.Compressed()
	require.NoError(t, err)
	content, err := io.ReadAll(stream)
	require.NoError(t, err)
	return content
}

// host is a client with a cache of its own and a place for tars.
type host struct {
	*registry.Client
	cache string
	tars  string
}

func newHost(t testing.TB, options registry.Options) host {
	t.Helper()
	// The tests' logins must not depend on who runs them.
	if t, ok := t.(*testing.T); ok {
		t.Setenv("HOME", t.TempDir())
		t.Setenv("DOCKER_CONFIG", t.TempDir())
	}
	h := host{cache: options.CacheDir, tars: t.TempDir()}
	if h.cache == "" {
		h.cache = filepath.Join(t.TempDir(), "cache")
		options.CacheDir = h.cache
	}
	client, err := registry.NewHasty(options)
	require.NoError(t, err)
	h.Client = client
	return h
}

// Resolve asks as a person does who names no machine.
func (h host) Resolve(ctx context.Context, reference string, platform model.Platform, credential string) (registry.Resolved, error) {
	return h.Client.Resolve(ctx, registry.Question{Reference: reference, Platform: platform, ScannerPlatform: true, Credential: credential})
}

func (h host) tar() string { return filepath.Join(h.tars, "image.tar") }

// pull pulls by digest from one repository.
func (h host) pull(ctx context.Context, repository string, digest model.Digest) (registry.Pulled, error) {
	return h.Pull(ctx, registry.PullRequest{
		Digest: digest, Names: []model.Name{{Repository: repository, Tag: "v1"}}, Tar: h.tar(),
	}, nil)
}

// answer replies to blobs and manifests, not to the greeting.
func answer(status int, headers map[string]string, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/" {
			return false
		}
		for key, value := range headers {
			w.Header().Set(key, value)
		}
		w.WriteHeader(status)
		_, _ = io.Copy(w, bytes.NewBufferString(body))
		return true
	}
}
