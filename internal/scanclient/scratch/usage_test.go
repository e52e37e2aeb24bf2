package scratch_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/scanclient/scratch"
)

const mebibyte = 1 << 20

func fill(t *testing.T, path string, mebibytes int) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("x"), mebibytes*mebibyte), 0o600))
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "nested"), 0o700))
	fill(t, filepath.Join(dir, "nested", "file"), 2)
	sparse, err := os.Create(filepath.Join(dir, "sparse"))
	require.NoError(t, err)
	require.NoError(t, sparse.Truncate(1<<30))
	require.NoError(t, sparse.Close())
	require.NoError(t, os.Symlink("/", filepath.Join(dir, "link")))
	used, err := scratch.Usage(dir)
	require.NoError(t, err)
	require.GreaterOrEqual(t, used, int64(2*mebibyte))
	require.Less(t, used, int64(3*mebibyte))
}

func TestUsageOfNothing(t *testing.T) {
	used, err := scratch.Usage(filepath.Join(t.TempDir(), "missing"))
	require.NoError(t, err)
	require.Zero(t, used)
}

func TestWatchTellsOnce(t *testing.T) {
	dir := t.TempDir()
	notified := make(chan int64, 2)
	done := make(chan struct{})
	go func() {
		defer close(done)
		scratch.Watch(t.Context(), dir, mebibyte, time.Millisecond, func(used int64) { notified <- used })
	}()
	fill(t, filepath.Join(dir, "file"), 2)
	<-done
	require.Len(t, notified, 1)
	require.Greater(t, <-notified, int64(mebibyte))
}

func TestWatchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	scratch.Watch(ctx, t.TempDir(), mebibyte, time.Hour, func(int64) { t.Error("notified of a quota that holds") })
}
