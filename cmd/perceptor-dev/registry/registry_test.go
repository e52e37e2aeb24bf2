package registry_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-dev/loopback"
	"github.com/perceptor/perceptor/cmd/perceptor-dev/registry"
)

// serve runs a registry over dir on address and gives the reference of one tag
// in it and a way to stop it.
func serve(t *testing.T, dir, address string, rate int64) (name.Tag, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	handler, err := registry.New(ctx, dir, rate)
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	server := loopback.Serve(listener, handler)
	tag, err := name.NewTag(listener.Addr().String() + "/team/app:1")
	require.NoError(t, err)
	return tag, func() {
		require.NoError(t, server.Stop(t.Context()))
		cancel()
	}
}

func TestAPushedImageOutlivesTheRegistry(t *testing.T) {
	dir := t.TempDir()
	pushed, err := random.Image(50_000, 3)
	require.NoError(t, err)

	tag, stop := serve(t, dir, "127.0.0.1:0", 0)
	require.NoError(t, remote.Write(tag, pushed, remote.WithContext(t.Context())))
	stop()

	tag, stop = serve(t, dir, "127.0.0.1:0", 0)
	defer stop()
	repositories, err := remote.Catalog(t.Context(), tag.Registry)
	require.NoError(t, err)
	require.Equal(t, []string{"team/app"}, repositories)
	pulled, err := remote.Image(tag, remote.WithContext(t.Context()))
	require.NoError(t, err)
	require.NoError(t, validate.Image(pulled), "every byte is what its digest says")
	require.Equal(t, digest(t, pushed), digest(t, pulled))

	require.NoError(t, remote.Delete(tag.Context().Digest(digest(t, pushed).String()), remote.WithContext(t.Context())))
	_, err = remote.Head(tag, remote.WithContext(t.Context()))
	var refused *transport.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 404, refused.StatusCode)
}

func TestTheBrakeHoldsBlobsOfAllPullsTogether(t *testing.T) {
	const layer, rate = 300_000, 400_000
	pushed, err := random.Image(layer, 2)
	require.NoError(t, err)
	tag, stop := serve(t, filepath.Join(t.TempDir(), "registry"), "127.0.0.1:0", rate)
	defer stop()
	require.NoError(t, remote.Write(tag, pushed, remote.WithContext(t.Context())))

	pulled, err := remote.Image(tag, remote.WithContext(t.Context()))
	require.NoError(t, err)
	began := time.Now()
	require.NoError(t, validate.Image(pulled))
	// 600 kB at 400 kB/s cannot arrive in less than about 1.4 s, however fast the
	// machine; no upper bound is asserted.
	require.Greater(t, time.Since(began), time.Second)
}

func digest(t *testing.T, image v1.Image) v1.Hash {
	t.Helper()
	hash, err := image.Digest()
	require.NoError(t, err)
	return hash
}
