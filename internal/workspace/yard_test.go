package workspace_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/workspace"
)

func open(t *testing.T, directory string, size int) *workspace.Pool {
	t.Helper()
	y, err := workspace.Open(directory, "host-1", size)
	require.NoError(t, err)
	return y
}

func take(t *testing.T, y *workspace.Pool, key string) string {
	t.Helper()
	require.NoError(t, y.Reserve(t.Context()))
	directory, settled, err := y.Take(key)
	require.NoError(t, err)
	settled()
	return directory
}

func TestPlacesAreNeverPromisedTwice(t *testing.T) {
	y := open(t, t.TempDir(), 2)
	take(t, y, "a.1")
	require.True(t, y.TryReserve(), "one place is left")
	require.False(t, y.TryReserve(), "it is promised")
	y.Cancel()
	require.True(t, y.TryReserve(), "the promise was taken back")
	_, _, err := y.Take("b.1")
	require.NoError(t, err)
	require.False(t, y.TryReserve(), "both berths are held")
	require.NoError(t, y.Free("a.1"))
	require.True(t, y.TryReserve())
}

func TestReserveWaitsForAPlace(t *testing.T) {
	y := open(t, t.TempDir(), 1)
	take(t, y, "a.1")
	got := make(chan error, 1)
	go func() { got <- y.Reserve(context.Background()) }()
	select {
	case err := <-got:
		require.Fail(t, "reserved a place that is taken", "error %v", err)
	default:
	}
	require.NoError(t, y.Free("a.1"))
	require.NoError(t, <-got)
}

func TestReserveEndsWithItsContext(t *testing.T) {
	y := open(t, t.TempDir(), 1)
	take(t, y, "a.1")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.ErrorIs(t, y.Reserve(ctx), context.Canceled)
}

func TestOnlyWholeBerthsOutliveTheProcess(t *testing.T) {
	directory := t.TempDir()
	y := open(t, directory, 3)
	whole := take(t, y, "whole.1")
	require.NoError(t, os.WriteFile(filepath.Join(whole, "image.tar"), []byte("x"), 0o600))
	require.NoError(t, y.Keep("whole.1"))
	half := take(t, y, "half.1")
	require.NoError(t, y.Close())

	y = open(t, directory, 3)
	found, ok := y.Find("whole.1")
	require.True(t, ok)
	require.FileExists(t, filepath.Join(found, "image.tar"))
	_, ok = y.Find("half.1")
	require.False(t, ok)
	require.NoDirExists(t, half)
	require.Len(t, y.List(), 1)
}

func TestOneProcessForEachDirectory(t *testing.T) {
	directory := t.TempDir()
	y := open(t, directory, 1)
	_, err := workspace.Open(directory, "host-2", 1)
	require.ErrorContains(t, err, "another scanner uses")
	require.NoError(t, y.Close())
	open(t, directory, 1)
}

func TestKeysCannotLeaveTheYard(t *testing.T) {
	y := open(t, t.TempDir(), 1)
	for _, key := range []string{"", "..", "../x", "a/b", ".hidden", "a\x00b"} {
		require.True(t, y.TryReserve())
		_, _, err := y.Take(key)
		require.ErrorContains(t, err, "berth key", "key %q", key)
	}
	require.True(t, y.TryReserve(), "a reservation is used up also by a key that is refused")
}
