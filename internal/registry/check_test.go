package registry_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/netguard"
	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/model"
)

// Conditions are awaited this long before a test gives up, and looked at this often.
const (
	waitLimit = 20 * time.Second
	waitStep  = 2 * time.Millisecond
)

// childVariable makes this test program pull once, for tests that need another process.
const childVariable = "PERCEPTOR_TEST_PULL"

func TestMain(m *testing.M) {
	if order := strings.Fields(os.Getenv(childVariable)); len(order) == 4 {
		os.Exit(child(order[0], order[1], order[2], order[3]))
	}
	os.Exit(m.Run())
}

func child(cache, repository, digest, tar string) int {
	client, err := registry.New(registry.Options{CacheDir: cache, Reach: netguard.Rules{Loopback: true}})
	if err == nil {
		_, err = client.Pull(context.Background(), registry.PullRequest{
			Digest: model.Digest(digest), Names: []model.Name{{Repository: repository}}, Tar: tar,
		}, nil)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func classOf(t *testing.T, err error) model.FailureClass {
	t.Helper()
	return errorOf(t, err).FailureClass()
}

func errorOf(t *testing.T, err error) *registry.Error {
	t.Helper()
	var typed *registry.Error
	require.True(t, errors.As(err, &typed), "%v", err)
	return typed
}

// files are all files below a directory.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !entry.IsDir() {
			found = append(found, path)
		}
		return err
	}))
	return found
}

// onlyTheTarIsLeft checks that neither a partial layer nor a partial tar is there.
func onlyTheTarIsLeft(t *testing.T, h host) {
	t.Helper()
	require.Empty(t, files(t, filepath.Join(h.cache, "partial")))
	require.Equal(t, []string{h.tar()}, files(t, h.tars))
}

// nothingIsLeft checks that a failed pull left neither a tar nor half a layer.
func nothingIsLeft(t *testing.T, h host) {
	t.Helper()
	require.Empty(t, files(t, filepath.Join(h.cache, "partial")))
	require.Empty(t, files(t, h.tars))
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// layersIn are the layers of a tar as they are stored in it.
func layersIn(t *testing.T, path string) [][]byte {
	t.Helper()
	index, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(path) })
	require.NoError(t, err)
	stored := map[string][]byte{}
	file, err := os.Open(path)
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	for reader := tar.NewReader(file); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		stored[header.Name], err = io.ReadAll(reader)
		require.NoError(t, err)
	}
	var layers [][]byte
	for _, name := range index[0].Layers {
		require.Contains(t, stored, name)
		layers = append(layers, stored[name])
	}
	return layers
}

// sameLayers compares the tar with the layers that were pushed.
func sameLayers(t *testing.T, h host, layers ...v1.Layer) {
	t.Helper()
	for i, got := range layersIn(t, h.tar()) {
		require.Equal(t, contentOf(t, layers[i]), got)
	}
}
