package scanclient_test

import (
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/scanclient"
)

// keeping is a runner whose client serves, and plays the part that the name of each image says.
func keeping(t *testing.T, change func(*scanclient.Options)) *scanclient.Runner {
	t.Helper()
	r := runner(t, "serve", func(o *scanclient.Options) {
		o.Keep = true
		if change != nil {
			change(o)
		}
	})
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// served lists an image well and answers with the process that has done it.
func served(t *testing.T, r *scanclient.Runner) int {
	t.Helper()
	req := request(t)
	req.Name = "good"
	sbom, err := r.GenerateSBOM(t.Context(), req, nil)
	require.NoError(t, err)
	require.Equal(t, 2, sbom.Components)
	require.NoDirExists(t, req.Scratch)
	found := pids(filepath.Dir(req.SBOM))
	require.Len(t, found, 1)
	return found[0]
}

func TestOneClientServesManyImages(t *testing.T) {
	r := keeping(t, nil)
	first := served(t, r)
	require.Equal(t, first, served(t, r))
	require.True(t, alive(first))
	require.NoError(t, r.Close())
	require.False(t, alive(first))
	last := served(t, r)
	require.False(t, alive(last), "a closed runner keeps none")
}

func TestAClientIsReplacedInTime(t *testing.T) {
	r := keeping(t, nil)
	first := served(t, r)
	for range scanclient.KeptRuns - 1 {
		require.Equal(t, first, served(t, r))
	}
	require.False(t, alive(first))
	require.NotEqual(t, first, served(t, r))
}

func TestAClientThatDiedWithoutWorkIsReplaced(t *testing.T) {
	r := keeping(t, nil)
	first := served(t, r)
	require.NoError(t, syscall.Kill(first, syscall.SIGKILL))
	require.NotEqual(t, first, served(t, r))
}

func TestAClientThatHoldsMuchMemoryIsReplaced(t *testing.T) {
	r := keeping(t, func(o *scanclient.Options) { o.MemoryLimit = 8 << 20 }) // this program takes more than half of that
	require.False(t, alive(served(t, r)))
}

func TestAClientThatLeavesProcessesIsReplaced(t *testing.T) {
	r := keeping(t, nil)
	req := request(t)
	req.Name = "orphan"
	_, err := r.GenerateSBOM(t.Context(), req, nil)
	require.NoError(t, err)
	require.Len(t, pids(filepath.Dir(req.SBOM)), 2)
	requireNothingLeft(t, req)
}

func TestEachRunHasALogOfItsOwn(t *testing.T) {
	r := keeping(t, nil)
	served(t, r)
	req := request(t)
	req.Name = "dies"
	_, err := r.GenerateSBOM(t.Context(), req, nil)
	failure := requireError(t, err)
	require.Contains(t, failure.Log, "image 2")
	require.NotContains(t, failure.Log, "image 1")
}

func TestImagesAtOneTimeHaveClientsOfTheirOwn(t *testing.T) {
	r := keeping(t, nil)
	var all sync.Map
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { all.Store(served(t, r), true) })
	}
	group.Wait()
	all.Range(func(pid, _ any) bool {
		require.True(t, alive(pid.(int)))
		return true
	})
	require.NoError(t, r.Close())
	all.Range(func(pid, _ any) bool {
		require.False(t, alive(pid.(int)))
		return true
	})
}
