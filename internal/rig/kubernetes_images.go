package rig

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"sort"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

// contents are what images of the tests hold: packages of Python, some of which the hub's sample of records knows as vulnerable.
var contents = []map[string]string{
	{"requests": "2.19.1"},
	{"charset-normalizer": "3.4.0"},
	{"jinja2": "2.10", "idna": "3.6"},
	{"urllib3": "1.26.16", "certifi": "2022.5.18"},
	{"werkzeug": "2.2.2"},
	{"idna": "3.10"},
	{"pyyaml": "5.2", "requests": "2.30.0", "werkzeug": "2.0.0"},
}

// StoredImage is one image in the registry, of one platform or an index of two.
type StoredImage struct {
	// Repository and Tag are the name that pods use.
	Repository, Tag string
	// Index is the digest of the index; empty for an image of one platform.
	Index model.Digest
	// Manifests and Configs are its parts, by architecture.
	Manifests, Configs map[string]model.Digest
}

// Reference is the name with its tag.
func (s StoredImage) Reference() string { return s.Repository + ":" + s.Tag }

// storeImages puts that many images into a registry, every third an index of two platforms with different contents.
func storeImages(t testing.TB, registry string, number int) []StoredImage {
	t.Helper()
	var all []StoredImage
	for i := range number {
		s := StoredImage{
			Repository: fmt.Sprintf("%s/team-%d/app-%d", registry, i%4, i), Tag: fmt.Sprintf("1.%d", i),
			Manifests: map[string]model.Digest{}, Configs: map[string]model.Digest{},
		}
		reference, err := name.ParseReference(s.Reference())
		require.NoError(t, err)
		if i%3 != 2 {
			made := s.build(t, i, "amd64")
			require.NoError(t, remote.Write(reference, made))
			all = append(all, s)
			continue
		}
		index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
		for j, architecture := range []string{"amd64", "arm64"} {
			index = mutate.AppendManifests(index, mutate.IndexAddendum{
				Add:        s.build(t, i+j, architecture),
				Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}},
			})
		}
		require.NoError(t, remote.WriteIndex(reference, index))
		s.Index = DigestOf(t, index)
		all = append(all, s)
	}
	return all
}

// build makes the image of one platform and notes its digests.
func (s StoredImage) build(t testing.TB, content int, architecture string) v1.Image {
	t.Helper()
	packed := pythonLayer(t, s.Reference(), contents[content%len(contents)])
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil })
	require.NoError(t, err)
	made, err := mutate.AppendLayers(empty.Image, layer)
	require.NoError(t, err)
	config, err := made.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	made, err = mutate.ConfigFile(made, config)
	require.NoError(t, err)
	s.Manifests[architecture] = DigestOf(t, made)
	sum, err := made.ConfigName()
	require.NoError(t, err)
	s.Configs[architecture] = model.Digest(sum.String())
	return made
}

// pythonLayer is a layer with installed packages of Python and a file that makes it different from all others.
func pythonLayer(t testing.TB, marker string, packages map[string]string) []byte {
	t.Helper()
	files := map[string]string{"etc/marker": marker}
	for name, version := range packages {
		files[fmt.Sprintf("usr/lib/python3/dist-packages/%s-%s.dist-info/METADATA", name, version)] = fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version)
	}
	var paths []string
	for path := range files {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	for _, path := range paths {
		require.NoError(t, archive.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(files[path]))}))
		_, err := io.WriteString(archive, files[path])
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	return out.Bytes()
}

// DigestOf is the digest of an image or an index.
func DigestOf(t testing.TB, made interface{ Digest() (v1.Hash, error) }) model.Digest {
	t.Helper()
	sum, err := made.Digest()
	require.NoError(t, err)
	digest, err := model.ParseDigest(sum.String())
	require.NoError(t, err)
	return digest
}

// platforms are those the image has.
func (s StoredImage) platforms() []string {
	if s.Index == "" {
		return []string{"amd64"}
	}
	return []string{"amd64", "arm64"}
}

// form is how a runtime reports an image.
type form struct {
	name string
	// id is the imageID, reported the image as the status has it.
	id, reported func(s StoredImage, architecture string) string
}

// forms are the ways in which runtimes report the same image.
var forms = []form{
	{"containerd", func(s StoredImage, architecture string) string {
		return s.Repository + "@" + string(s.top(architecture))
	}, nil},
	{"docker", func(s StoredImage, architecture string) string {
		return "docker-pullable://" + s.Repository + "@" + string(s.top(architecture))
	}, nil},
	{"cri-o", func(s StoredImage, architecture string) string {
		return s.Repository + "@" + string(s.Manifests[architecture])
	}, nil},
	// Without a digest of the registry's, a runtime reports the config, which no registry can be asked for; the name has to do.
	{"containerd, loaded", func(s StoredImage, architecture string) string { return string(s.Configs[architecture]) }, nil},
	{"docker, built", func(s StoredImage, architecture string) string { return "docker://" + string(s.Configs[architecture]) }, nil},
	{"cri-o, id", func(s StoredImage, architecture string) string { return s.Configs[architecture].Hex() }, nil},
	{
		"containerd, nameless", func(s StoredImage, architecture string) string {
			return s.Repository + "@" + string(s.top(architecture))
		},
		func(s StoredImage, architecture string) string { return string(s.Configs[architecture]) },
	},
}

// top is the digest a pull by tag ends at: the index where there is one.
func (s StoredImage) top(architecture string) model.Digest {
	if s.Index != "" {
		return s.Index
	}
	return s.Manifests[architecture]
}
