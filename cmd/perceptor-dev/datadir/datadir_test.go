package datadir_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/internal/devdir"
	"github.com/perceptor/perceptor/cmd/perceptor-dev/datadir"
)

func TestOneProcessPerDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dev")
	first, err := datadir.Open(path)
	require.NoError(t, err)

	_, err = datadir.Open(path)
	var busy *datadir.BusyError
	require.ErrorAs(t, err, &busy)
	require.Equal(t, path, busy.Dir)
	require.ErrorContains(t, err, "--data")

	require.NoError(t, first.Close())
	second, err := datadir.Open(path)
	require.NoError(t, err, "a closed directory is free again")
	require.NoError(t, second.Close())
}

func TestEverythingIsReadableByTheOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dev")
	dir, err := datadir.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, dir.Close()) }()
	require.NoError(t, dir.Write("hub-token", []byte("secret")))

	for file, mode := range map[string]os.FileMode{path: 0o700, dir.File("hub-token"): 0o600, dir.File("lock"): 0o600} {
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), file)
	}
	entries, err := os.ReadDir(path)
	require.NoError(t, err)
	require.Len(t, entries, 2, "no scratch file stays behind")
}

func TestAddressesAreThereOnlyWhileItRuns(t *testing.T) {
	path := t.TempDir()
	file := filepath.Join(path, "addresses.json")
	require.NoError(t, os.WriteFile(file, []byte("left by a killed process"), 0o600))

	dir, err := datadir.Open(path)
	require.NoError(t, err)
	require.NoFileExists(t, file)

	require.NoError(t, dir.PublishAddresses(devdir.Addresses{
		Temporal: "127.0.0.1:1", UI: "127.0.0.1:2", Hub: "127.0.0.1:3", Registry: "127.0.0.1:4", API: "127.0.0.1:5",
	}))
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	read, err := devdir.Read(path)
	require.NoError(t, err, "the commands can read it")
	require.Equal(t, "127.0.0.1:3", read.Hub)
	require.JSONEq(t, `{"temporal":"127.0.0.1:1","ui":"127.0.0.1:2","hub":"127.0.0.1:3","registry":"127.0.0.1:4","api":"127.0.0.1:5"}`, string(content))

	require.NoError(t, dir.Close())
	require.NoFileExists(t, file)
}
