package main

import (
	"archive/tar"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

// inputs are programs for both architectures, and where the image goes.
func inputs(t *testing.T) options {
	t.Helper()
	folder := t.TempDir()
	o := options{
		programs: filepath.Join(folder, "programs"), out: filepath.Join(folder, "out"),
		licence: filepath.Join(folder, "LICENSE"), name: "registry.example/perceptor:1", revision: "abc",
	}
	require.NoError(t, os.Mkdir(o.out, 0o700))
	require.NoError(t, os.WriteFile(o.licence, []byte("licence"), 0o600))
	for _, architecture := range []string{"amd64", "arm64"} {
		for _, program := range programs {
			path := filepath.Join(o.programs, architecture, program)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			require.NoError(t, os.WriteFile(path, []byte(program+architecture), 0o600))
		}
	}
	return o
}

func digest(t *testing.T, o options) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(o.out, "digest"))
	require.NoError(t, err)
	return string(text)
}

func TestTheSameProgramsGiveTheSameDigest(t *testing.T) {
	o := inputs(t)
	require.NoError(t, run(o))
	first := digest(t, o)
	require.NoError(t, run(o), "the folder of the last run is replaced")
	require.Equal(t, first, digest(t, o))

	other := inputs(t)
	require.NoError(t, os.WriteFile(filepath.Join(other.programs, "arm64", "perceptor"), []byte("another"), 0o600))
	require.NoError(t, run(other))
	require.NotEqual(t, first, digest(t, other))
}

func TestTheLayoutHoldsBothArchitectures(t *testing.T) {
	o := inputs(t)
	require.NoError(t, run(o))
	path, err := layout.FromPath(filepath.Join(o.out, "oci"))
	require.NoError(t, err)
	outer, err := path.ImageIndex()
	require.NoError(t, err)
	named, err := outer.IndexManifest()
	require.NoError(t, err)
	require.Len(t, named.Manifests, 1)
	require.Equal(t, "1", named.Manifests[0].Annotations["org.opencontainers.image.ref.name"])
	index, err := outer.ImageIndex(named.Manifests[0].Digest)
	require.NoError(t, err)
	platforms, err := index.IndexManifest()
	require.NoError(t, err)
	require.Len(t, platforms.Manifests, 2)
	for i, architecture := range []string{"amd64", "arm64"} {
		require.Equal(t, architecture, platforms.Manifests[i].Platform.Architecture)
		made, err := index.Image(platforms.Manifests[i].Digest)
		require.NoError(t, err)
		requireImage(t, made, architecture)
	}
	loaded, err := tarball.ImageFromPath(filepath.Join(o.out, "perceptor-arm64.tar"), nil)
	require.NoError(t, err)
	requireImage(t, loaded, "arm64")
}

// requireImage looks at what an image holds and how it is started.
func requireImage(t *testing.T, made v1.Image, architecture string) {
	t.Helper()
	config, err := made.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, architecture, config.Architecture)
	require.Equal(t, "65532:65532", config.Config.User, "a number, so that Kubernetes knows that it is not root")
	require.Equal(t, "abc", config.Config.Labels["org.opencontainers.image.revision"])
	files := map[string]*tar.Header{}
	var authorities []byte
	read := tar.NewReader(mutate.Extract(made))
	for {
		header, err := read.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.True(t, header.ModTime.IsZero() || header.ModTime.Unix() == 0, "%s has a time", header.Name)
		files[header.Name] = header
		if header.Name == "etc/ssl/certs/ca-certificates.crt" {
			authorities, err = io.ReadAll(read)
			require.NoError(t, err)
		}
	}
	require.Contains(t, files, "usr/bin/perceptor-scan")
	require.EqualValues(t, 0o755, files["usr/bin/perceptor"].Mode)
	require.EqualValues(t, 0o1777, files["tmp"].Mode)
	require.Equal(t, 65532, files["var/lib/perceptor"].Uid)
	require.True(t, x509.NewCertPool().AppendCertsFromPEM(authorities))
}

func TestAMissingProgramIsNamed(t *testing.T) {
	o := inputs(t)
	require.NoError(t, os.Remove(filepath.Join(o.programs, "arm64", "perceptor-scan")))
	require.ErrorContains(t, run(o), "arm64/perceptor-scan")
	require.NoError(t, os.RemoveAll(o.programs))
	require.ErrorContains(t, run(o), "list programs")
	require.ErrorContains(t, run(options{}), "-programs and -out are needed")
}
