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
	p, err := workspace.Open(directory, "host-1", size)
	require.NoError(t, err)
	return p
}

func acquire(t *testing.T, p *workspace.Pool, key string) string {
	t.Helper()
	require.NoError(t, p.Reserve(t.Context()))
	directory, markIdle, err := p.Acquire(key)
	require.NoError(t, err)
	markIdle()
	return directory
}

func TestSlotsAreNeverPromisedTwice(t *testing.T) {
	p := open(t, t.TempDir(), 2)
	acquire(t, p, "a.1")
	require.True(t, p.TryReserve(), "one slot is left")
	require.False(t, p.TryReserve(), "it is promised")
	p.CancelReservation()
	require.True(t, p.TryReserve(), "the promise was taken back")
	_, _, err := p.Acquire("b.1")
	require.NoError(t, err)
	require.False(t, p.TryReserve(), "both workspaces are used")
	require.NoError(t, p.Release("a.1"))
	require.True(t, p.TryReserve())
}

func TestReserveWaitsForASlot(t *testing.T) {
	p := open(t, t.TempDir(), 1)
	acquire(t, p, "a.1")
	got := make(chan error, 1)
	go func() { got <- p.Reserve(context.Background()) }()
	select {
	case err := <-got:
		require.Fail(t, "reserved a slot that is used", "error %v", err)
	default:
	}
	require.NoError(t, p.Release("a.1"))
	require.NoError(t, <-got)
}

func TestReserveEndsWithItsContext(t *testing.T) {
	p := open(t, t.TempDir(), 1)
	acquire(t, p, "a.1")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	require.ErrorIs(t, p.Reserve(ctx), context.Canceled)
}

func TestOnlyCompleteWorkspacesOutliveTheProcess(t *testing.T) {
	directory := t.TempDir()
	p := open(t, directory, 3)
	complete := acquire(t, p, "complete.1")
	require.NoError(t, os.WriteFile(filepath.Join(complete, "image.tar"), []byte("x"), 0o600))
	require.NoError(t, p.MarkComplete("complete.1"))
	require.NoError(t, p.MarkFinished("complete.1"))
	half := acquire(t, p, "half.1")
	require.NoError(t, p.Close())

	p = open(t, directory, 3)
	found, ok := p.Find("complete.1")
	require.True(t, ok)
	require.FileExists(t, filepath.Join(found, "image.tar"))
	_, ok = p.Find("half.1")
	require.False(t, ok)
	require.NoDirExists(t, half)
	require.Len(t, p.List(), 1)
}

func TestOneProcessForEachDirectory(t *testing.T) {
	directory := t.TempDir()
	p := open(t, directory, 1)
	_, err := workspace.Open(directory, "host-2", 1)
	require.ErrorContains(t, err, "another scanner uses")
	require.NoError(t, p.Close())
	open(t, directory, 1)
}

func TestKeysCannotLeaveTheDirectory(t *testing.T) {
	p := open(t, t.TempDir(), 1)
	for _, key := range []string{"", "..", "../x", "a/b", ".hidden", "a\x00b"} {
		require.True(t, p.TryReserve())
		_, _, err := p.Acquire(key)
		require.ErrorContains(t, err, "workspace key", "key %q", key)
	}
	require.True(t, p.TryReserve(), "a reservation is used up also by a key that is refused")
}

// TestWorkspaceThatWasLeftIsResumedOrGivesWay: a host whose only slot held it would never get the attempt that resumes it.
func TestWorkspaceThatWasLeftIsResumedOrGivesWay(t *testing.T) {
	directory := t.TempDir()
	p := open(t, directory, 1)
	left := acquire(t, p, "left.1")
	require.NoError(t, os.WriteFile(filepath.Join(left, "image.tar"), []byte("x"), 0o600))
	require.False(t, p.TryReserve(), "its image is not complete yet")
	require.NoError(t, p.MarkComplete("left.1"))
	require.NoError(t, p.Close())

	p = open(t, directory, 1)
	require.True(t, p.TryReserve(), "a workspace that was left takes no slot")
	_, _, found := p.Resume([]string{"other.1"})
	require.False(t, found)
	key, markIdle, found := p.Resume([]string{"left.1", "left.2"})
	require.True(t, found)
	require.Equal(t, "left.1", key)
	require.FileExists(t, filepath.Join(p.Directory(key), "image.tar"))
	require.False(t, p.TryReserve(), "it is in use again")
	_, _, found = p.Resume([]string{"left.1"})
	require.False(t, found, "two attempts must not share it")
	markIdle()

	acquire(t, p, "next.1")
	require.NoDirExists(t, left, "it gives way")
	require.Len(t, p.List(), 1)
	require.NoError(t, p.MarkComplete("next.1"))
	require.NoError(t, p.MarkFinished("next.1"))
	require.False(t, p.TryReserve(), "one that is finished keeps its slot")
}
