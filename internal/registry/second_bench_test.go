package registry_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/netguard"
	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/model"
)

// counter counts the bytes of layers that a shelf sends.
type counter struct {
	http.Handler
	sent atomic.Int64
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "/blobs/") {
		w = &countingWriter{ResponseWriter: w, sent: &c.sent}
	}
	c.Handler.ServeHTTP(w, r)
}

type countingWriter struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.sent.Add(int64(n))
	return n, err
}

// sibling makes a second image on all the shelf's layers with one more of its own, and says how many bytes only it has.
func (s *shelf) sibling(b *testing.B, mibOwn int) (model.Digest, int64) {
	b.Helper()
	var manifest v1.Manifest
	var config v1.ConfigFile
	require.NoError(b, json.Unmarshal(s.bodies[string(s.digest)], &manifest))
	require.NoError(b, json.Unmarshal(s.bodies[manifest.Config.Digest.String()], &config))
	layer, diffID := s.layer(b, 255, mibOwn)
	manifest.Layers = append(manifest.Layers, layer)
	config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diffID)
	manifest.Config = s.document(b, config, types.DockerConfigJSON)
	return model.Digest(s.document(b, manifest, types.DockerManifestSchema2).Digest.String()), layer.Size + manifest.Config.Size
}

// BenchmarkPullSecond pulls an image whose base an image before it had, and reports the bytes the registry sent over those
// that only the second image has.
func BenchmarkPullSecond(b *testing.B) {
	s := newShelf(b, 4, 32)
	second, own := s.sibling(b, 16)
	wire := &counter{Handler: s.Config.Handler}
	s.Config.Handler = wire
	var sent int64
	turns := 0
	for b.Loop() {
		turns++
		dir := b.TempDir()
		client, err := registry.New(registry.Options{CacheDir: filepath.Join(dir, "cache"), Reach: netguard.Rules{Loopback: true}})
		require.NoError(b, err)
		for _, digest := range []model.Digest{s.digest, second} {
			wire.sent.Store(0)
			_, err := client.Pull(b.Context(), registry.PullRequest{
				Digest: digest, Names: []model.Name{{Repository: s.repository()}}, Tar: filepath.Join(dir, "image.tar"),
			}, func(registry.Progress) {})
			require.NoError(b, err)
		}
		sent += wire.sent.Load()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(sent)/float64(own)/float64(turns), "x_unique")
	if wanted := own * int64(turns); sent != wanted {
		b.Errorf("the registry sent %d bytes of layers and configurations, %d are the second image's own", sent, wanted)
	}
}
