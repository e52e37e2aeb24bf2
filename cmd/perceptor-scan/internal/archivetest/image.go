package archivetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// Entry is one entry of a layer; the zero type is a regular file.
type Entry struct {
	Name string
	Body string
	Type byte
	Link string
}

// Layer is a layer's own tar.
func Layer(t testing.TB, entries ...Entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		header := &tar.Header{Name: e.Name, Typeflag: e.Type, Linkname: e.Link, Mode: 0o644, Size: int64(len(e.Body)), Format: tar.FormatPAX}
		if e.Type == 0 {
			header.Typeflag = tar.TypeReg
		}
		require.NoError(t, w.WriteHeader(header))
		_, err := w.Write([]byte(e.Body))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

// Gzip compresses a layer, as registries hold it.
func Gzip(t testing.TB, layer []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(layer)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// Zstd compresses a layer, as newer builders do.
func Zstd(t testing.TB, layer []byte) []byte {
	t.Helper()
	encoder, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return encoder.EncodeAll(layer, nil)
}

// Plain leaves a layer as it is, as "docker save" does.
func Plain(_ testing.TB, layer []byte) []byte { return layer }

// Parts are the entries of a docker archive, in order.
type Parts []Entry

// Docker makes the parts of an archive with these layers, each compressed by pack.
func Docker(t testing.TB, pack func(testing.TB, []byte) []byte, layers ...[]byte) Parts {
	t.Helper()
	return docker(t, pack, func(at int, _ string) string { return fmt.Sprintf("%d.tar.gz", at) }, layers...)
}

// Pulled makes the parts of an archive as our own puller writes them: layers are named by their digests.
func Pulled(t testing.TB, pack func(testing.TB, []byte) []byte, layers ...[]byte) Parts {
	t.Helper()
	return docker(t, pack, func(_ int, packed string) string {
		sum := sha256.Sum256([]byte(packed))
		return hex.EncodeToString(sum[:]) + ".tar"
	}, layers...)
}

func docker(t testing.TB, pack func(testing.TB, []byte) []byte, call func(at int, packed string) string, layers ...[]byte) Parts {
	t.Helper()
	type rootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
	config := struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
		RootFS       rootFS `json:"rootfs"`
	}{"amd64", "linux", rootFS{Type: "layers", DiffIDs: []string{}}}
	var parts Parts
	var names []string
	for i, layer := range layers {
		sum := sha256.Sum256(layer)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, "sha256:"+hex.EncodeToString(sum[:]))
		packed := string(pack(t, layer))
		names = append(names, call(i, packed))
		parts = append(parts, Entry{Name: names[i], Body: packed})
	}
	rawConfig, err := json.Marshal(config)
	require.NoError(t, err)
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{"example.com/app:1"}, "Layers": names}})
	require.NoError(t, err)
	return append(parts, Entry{Name: "config.json", Body: string(rawConfig)}, Entry{Name: "manifest.json", Body: string(manifest)})
}

// Write writes parts as a tar and answers with its path.
func Write(t testing.TB, parts Parts) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, os.WriteFile(path, Layer(t, parts...), 0o600))
	return path
}

// Random is an archive as go-containerregistry writes it, which is what our puller uses: random files in gzip layers.
func Random(t testing.TB, layers int64) string {
	t.Helper()
	img, err := random.Image(4096, layers)
	require.NoError(t, err)
	reference, err := name.NewTag("example.com/random:1")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, tarball.WriteToFile(path, reference, img))
	return path
}
