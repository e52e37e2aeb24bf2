package registry_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/model"
)

// packed is a layer with some content in one of the forms in use; readers look only at its first bytes.
func packed(t *testing.T, form types.MediaType, content string) v1.Layer {
	t.Helper()
	var stored bytes.Buffer
	var err error
	switch form {
	case types.OCIUncompressedLayer:
		stored.WriteString(content)
	case types.OCILayerZStd:
		var w *zstd.Encoder
		w, err = zstd.NewWriter(&stored)
		require.NoError(t, err)
		_, err = io.WriteString(w, content)
		require.NoError(t, err)
		err = w.Close()
	default:
		w := gzip.NewWriter(&stored)
		_, err = io.WriteString(w, content)
		require.NoError(t, err)
		err = w.Close()
	}
	require.NoError(t, err)
	return static.NewLayer(stored.Bytes(), form)
}

func TestEveryMixOfCompressionsCanBeRead(t *testing.T) {
	const plain, gzipped, zstandard = types.OCIUncompressedLayer, types.OCILayer, types.OCILayerZStd
	for name, forms := range map[string][]types.MediaType{
		"none":              {},
		"gzip":              {gzipped, gzipped},
		"zstd":              {zstandard, zstandard},
		"plain":             {plain, plain},
		"gzip then plain":   {gzipped, plain},
		"plain then gzip":   {plain, gzipped, plain},
		"plain then zstd":   {plain, zstandard},
		"all three":         {gzipped, zstandard, plain},
		"plain at the last": {zstandard, gzipped, plain},
	} {
		t.Run(name, func(t *testing.T) {
			f, h := newFake(t), newHost(t, registry.Options{})
			var layers []v1.Layer
			for i, form := range forms {
				layers = append(layers, packed(t, form, string(rune('a'+i))+string(make([]byte, 70_000))))
			}
			_, err := h.pull(t.Context(), f.host()+"/app", f.push(t, "app", "v1", imageOf(t, layers...)))
			require.NoError(t, err)
			img, err := tarball.ImageFromPath(h.tar(), nil)
			require.NoError(t, err)
			read, err := img.Layers()
			require.NoError(t, err)
			require.Len(t, read, len(forms))
			for i, layer := range read {
				stream, err := layer.Uncompressed()
				require.NoError(t, err)
				content, err := io.ReadAll(stream)
				require.NoError(t, err)
				require.Equal(t, string(rune('a'+i))+string(make([]byte, 70_000)), string(content))
			}
		})
	}
}

func TestTheTarIsNamedAsTheImageWas(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{})
	digest := f.push(t, "team/app", "v1", imageOf(t, layerOf(1, 1000)))
	tagged, untagged := model.Name{Repository: f.host() + "/team/app", Tag: "v1"}, model.Name{Repository: f.host() + "/team/app"}
	tag, err := name.NewTag(tagged.Reference())
	require.NoError(t, err)

	_, err = h.Pull(t.Context(), registry.PullRequest{Digest: digest, Names: []model.Name{tagged}, Tar: h.tar()}, nil)
	require.NoError(t, err)
	_, err = tarball.ImageFromPath(h.tar(), &tag)
	require.NoError(t, err)

	_, err = h.Pull(t.Context(), registry.PullRequest{Digest: digest, Names: []model.Name{untagged}, Tar: h.tar()}, nil)
	require.NoError(t, err)
	_, err = tarball.ImageFromPath(h.tar(), &tag)
	require.ErrorContains(t, err, "not found in tarball")
	_, err = tarball.ImageFromPath(h.tar(), nil)
	require.NoError(t, err)
}
