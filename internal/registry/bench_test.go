package registry_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/netguard"
	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/model"
)

const mib = 1 << 20

// shelf serves one image from files, without the checks that a test registry makes at every request: they would cost
// both sides of a comparison the same and hide the difference.
type shelf struct {
	*httptest.Server
	dir    string
	bodies map[string][]byte
	kinds  map[string]string
	digest model.Digest
	layers int64
}

// newShelf makes an image with gzip layers of random bytes, as large as images of binaries are after compression.
func newShelf(b *testing.B, layers, mibEach int) *shelf {
	b.Helper()
	s := &shelf{dir: b.TempDir(), bodies: map[string][]byte{}, kinds: map[string]string{}}
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: types.DockerManifestSchema2}
	config := v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}}
	for i := range layers {
		layer, diffID := s.layer(b, byte(i), mibEach)
		manifest.Layers = append(manifest.Layers, layer)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diffID)
		s.layers += layer.Size
	}
	manifest.Config = s.document(b, config, types.DockerConfigJSON)
	s.digest = model.Digest(s.document(b, manifest, types.DockerManifestSchema2).Digest.String())
	s.Server = httptest.NewServer(s)
	b.Cleanup(s.Close)
	return s
}

func (s *shelf) layer(b *testing.B, seed byte, size int) (v1.Descriptor, v1.Hash) {
	b.Helper()
	file, err := os.CreateTemp(s.dir, "layer")
	require.NoError(b, err)
	defer func() { _ = file.Close() }()
	stored, contents := sha256.New(), sha256.New()
	packer, err := gzip.NewWriterLevel(io.MultiWriter(file, stored), gzip.BestSpeed)
	require.NoError(b, err)
	_, err = io.CopyN(io.MultiWriter(packer, contents), rand.NewChaCha8([32]byte{seed}), int64(size)*mib)
	require.NoError(b, err)
	require.NoError(b, packer.Close())
	info, err := file.Stat()
	require.NoError(b, err)
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(stored.Sum(nil))}
	require.NoError(b, os.Rename(file.Name(), filepath.Join(s.dir, digest.Hex)))
	return v1.Descriptor{MediaType: types.DockerLayer, Size: info.Size(), Digest: digest},
		v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(contents.Sum(nil))}
}

func (s *shelf) document(b *testing.B, content any, kind types.MediaType) v1.Descriptor {
	b.Helper()
	body, err := json.Marshal(content)
	require.NoError(b, err)
	sum := sha256.Sum256(body)
	digest := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
	s.bodies[digest.String()], s.kinds[digest.String()] = body, string(kind)
	return v1.Descriptor{MediaType: kind, Size: int64(len(body)), Digest: digest}
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	last := filepath.Base(r.URL.Path)
	if body, ok := s.bodies[last]; ok {
		w.Header().Set("Content-Type", s.kinds[last])
		_, _ = w.Write(body)
		return
	}
	if strings.Contains(r.URL.Path, "/blobs/") {
		http.ServeFile(w, r, filepath.Join(s.dir, strings.TrimPrefix(last, "sha256:")))
	}
}

func (s *shelf) repository() string { return s.Listener.Addr().String() + "/bench/app" }

// pullCold pulls with an empty cache and returns how long that took.
func (s *shelf) pullCold(b *testing.B) time.Duration {
	b.Helper()
	dir := b.TempDir()
	client, err := registry.New(registry.Options{CacheDir: filepath.Join(dir, "cache"), Reach: netguard.Rules{Loopback: true}})
	require.NoError(b, err)
	start := time.Now()
	pulled, err := client.Pull(b.Context(), registry.PullRequest{
		Digest: s.digest, Names: []model.Name{{Repository: s.repository(), Tag: "v1"}}, Tar: filepath.Join(dir, "image.tar"),
	}, func(registry.Progress) {})
	took := time.Since(start)
	require.NoError(b, err)
	require.Equal(b, s.layers, pulled.Bytes)
	require.NoError(b, os.RemoveAll(dir))
	return took
}

// skopeo copies the same image into the same kind of tar.
func (s *shelf) skopeo(b *testing.B, program string) time.Duration {
	b.Helper()
	dir := b.TempDir()
	command := exec.CommandContext(b.Context(), program, "copy", "--quiet", "--insecure-policy", "--src-tls-verify=false",
		"docker://"+s.repository()+"@"+string(s.digest), "docker-archive:"+filepath.Join(dir, "image.tar"))
	command.Env = append(os.Environ(), "TMPDIR="+dir)
	start := time.Now()
	output, err := command.CombinedOutput()
	took := time.Since(start)
	require.NoError(b, err, string(output))
	require.NoError(b, os.RemoveAll(dir))
	return took
}

// BenchmarkPullCold pulls 320 MiB with nothing cached. Where skopeo is installed it copies the same image to a
// docker-archive in turn with each pull, and x_skopeo is the pulls' time over that: below 1 is faster.
func BenchmarkPullCold(b *testing.B) {
	for _, layers := range []int{1, 8} {
		b.Run(fmt.Sprintf("layers=%d", layers), func(b *testing.B) { benchmarkCold(b, newShelf(b, layers, 320/layers)) })
	}
}

func benchmarkCold(b *testing.B, s *shelf) {
	program, missing := exec.LookPath("skopeo")
	b.SetBytes(s.layers)
	var ours, theirs time.Duration
	for b.Loop() {
		ours += s.pullCold(b)
		if missing == nil {
			b.StopTimer()
			theirs += s.skopeo(b, program)
			b.StartTimer()
		}
	}
	if missing == nil {
		b.ReportMetric(ours.Seconds()/theirs.Seconds(), "x_skopeo")
	}
}

// BenchmarkPullMemory pulls 2 GiB in four layers and reports by how many MiB the process, the serving side included,
// grew at most beyond what it had before.
func BenchmarkPullMemory(b *testing.B) {
	layers, each := 4, 512
	if testing.Short() {
		layers, each = 2, 32
	}
	s := newShelf(b, layers, each)
	b.SetBytes(s.layers)
	var most int64
	for b.Loop() {
		before, stop := watchMemory(b)
		s.pullCold(b)
		most = max(most, stop()-before)
	}
	b.ReportMetric(float64(most)/mib, "MiB_grown")
}

// watchMemory returns the resident size of this process and a function that ends the watch and tells its peak.
func watchMemory(b *testing.B) (before int64, stop func() int64) {
	b.Helper()
	// What earlier work left on the heap would hide growth.
	debug.FreeOSMemory()
	before = resident(b)
	quit, peak := make(chan struct{}), make(chan int64)
	go func() {
		most := before
		ticker := time.NewTicker(2 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				peak <- most
				return
			case <-ticker.C:
				most = max(most, resident(b))
			}
		}
	}()
	return before, func() int64 {
		close(quit)
		return <-peak
	}
}

func resident(b *testing.B) int64 {
	status, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Error(err)
		return 0
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(status), &size, &pages); err != nil {
		b.Error(err)
	}
	return pages * int64(os.Getpagesize())
}
