package diskcache_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/diskcache"
)

func open(t *testing.T, dir string) *diskcache.Dir {
	t.Helper()
	d, err := diskcache.Open(filepath.Join(dir, "whole"), filepath.Join(dir, "partial"))
	require.NoError(t, err)
	return d
}

// put keeps a file of some content, last used at a time of its own.
func put(t *testing.T, d *diskcache.Dir, name, content string, used time.Time) {
	t.Helper()
	file, err := d.Begin(t.Context(), name)
	require.NoError(t, err)
	_, err = file.WriteString(content)
	require.NoError(t, err)
	require.NoError(t, d.Publish(file, name))
	require.NoError(t, file.Close())
	require.NoError(t, os.Chtimes(d.Path(name), used, used))
}

func TestTheLeastRecentlyUsedGoesFirstAndOneInUseStays(t *testing.T) {
	d := open(t, t.TempDir())
	start := time.Now().Add(-time.Hour)
	for i, name := range []string{"held", "old", "used", "young"} {
		put(t, d, name, "1234", start.Add(time.Duration(i)*time.Minute))
	}
	held, err := d.Get("held")
	require.NoError(t, err)
	d.Used("used")
	var evicted []string
	require.NoError(t, d.Shrink(8, func(name string) { evicted = append(evicted, name) }))
	require.Equal(t, []string{"old", "young"}, evicted)
	size, err := d.Size()
	require.NoError(t, err)
	require.Equal(t, int64(8), size)
	require.NoError(t, held.Close())
	require.NoError(t, d.Shrink(0, nil))
	gone, err := d.Get("held")
	require.NoError(t, err)
	require.Nil(t, gone)
}

func TestASecondWriterWaitsForTheFirst(t *testing.T) {
	dir := t.TempDir()
	first, second := open(t, dir), open(t, dir)
	growing, err := first.Begin(t.Context(), "a")
	require.NoError(t, err)
	short, stop := context.WithTimeout(t.Context(), 2*diskcache.Poll)
	defer stop()
	_, err = second.Begin(short, "a")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	none, err := second.Get("a")
	require.NoError(t, err)
	require.Nil(t, none, "a growing file is not there yet")
	require.NoError(t, first.Publish(growing, "a"))
	became, err := second.Begin(t.Context(), "a")
	require.NoError(t, err)
	require.Nil(t, became, "it has become whole")
	require.NoError(t, growing.Close())
}

func TestADiscardedFileIsBegunAgain(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	growing, err := d.Begin(t.Context(), "a")
	require.NoError(t, err)
	_, err = growing.WriteString("half")
	require.NoError(t, err)
	diskcache.Discard(growing)
	again, err := d.Begin(t.Context(), "a")
	require.NoError(t, err)
	info, err := again.Stat()
	require.NoError(t, err)
	require.Zero(t, info.Size())
	diskcache.Discard(again)
}

func TestWhatKilledProcessesLeftIsRemovedAndWhatLivingOnesWriteStays(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	growing, err := d.Begin(t.Context(), "living")
	require.NoError(t, err)
	defer diskcache.Discard(growing)
	left := filepath.Join(dir, "partial", "left")
	require.NoError(t, os.WriteFile(left, []byte("half"), 0o600))
	open(t, dir)
	require.NoFileExists(t, left)
	require.FileExists(t, growing.Name())
}
