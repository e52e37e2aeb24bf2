package workers

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/model"
)

// TestAScannerWithoutAnEnginePullsFromRegistries: an image may be in an engine's storage and in a registry under one digest.
func TestAScannerWithoutAnEnginePullsFromRegistries(t *testing.T) {
	client, err := registry.New(registry.Options{CacheDir: t.TempDir(), CacheLimit: 1 << 20})
	require.NoError(t, err)
	digest := model.Digest("sha256:" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	local, remote := model.Name{Repository: "local/tool", Tag: "1", Engine: "E:1"}, model.Name{Repository: "127.0.0.1:1/tool", Tag: "1"}
	pull := func(names ...model.Name) error {
		_, err := puller{Client: client}.Pull(t.Context(), names, digest, t.TempDir()+"/image.tar", func(_, _ int64) {})
		return err
	}
	require.ErrorIs(t, pull(local), errNoEngine)
	err = pull(local, remote)
	require.NotErrorIs(t, err, errNoEngine)
	require.ErrorContains(t, err, "127.0.0.1:1")
	require.NotContains(t, err.Error(), "other names tried", "no registry is asked for what an engine has")
}

func TestExportsAndPullsShareTheirRoom(t *testing.T) {
	client, err := registry.New(registry.Options{CacheDir: t.TempDir(), CacheLimit: 1 << 20})
	require.NoError(t, err)
	release, err := client.Claim(t.Context(), t.TempDir()+"/image.tar", 1<<20)
	require.NoError(t, err)
	_, err = client.Claim(t.Context(), t.TempDir()+"/image.tar", 1<<60)
	var full *registry.Error
	require.ErrorAs(t, err, &full)
	require.Equal(t, model.OutOfSpace, full.FailureClass())
	release()
}
