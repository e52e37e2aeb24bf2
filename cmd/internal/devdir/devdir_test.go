package devdir_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/internal/devdir"
)

func TestRead(t *testing.T) {
	directory := t.TempDir()
	_, err := devdir.Read(directory)
	require.ErrorIs(t, err, devdir.ErrNotRunning)
	file := filepath.Join(directory, "addresses.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"temporal":"127.0.0.1:1","hub":"127.0.0.1:2"}`), 0o600))
	a, err := devdir.Read(directory)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:1", a.Temporal)
	hub := devdir.Hub(directory, a.Hub)
	require.Equal(t, "https://127.0.0.1:2", hub.URL)
	require.Positive(t, hub.Limit)
	require.NoError(t, os.WriteFile(file, []byte(`{`), 0o600))
	_, err = devdir.Read(directory)
	require.ErrorContains(t, err, "read addresses")
}
