package registry_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/model"
)

func TestPullWritesWhatTheRegistryHas(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{})
	a, b := layerOf(1, 300_000), layerOf(2, 1000)
	img := imageOf(t, a, b, a)
	digest := f.push(t, "team/app", "v1", img)

	var steps []registry.Progress
	pulled, err := h.Pull(t.Context(), registry.PullRequest{
		Digest: digest, Names: []model.Name{{Repository: f.host() + "/team/app", Tag: "v1"}}, Tar: h.tar(),
	}, func(p registry.Progress) { steps = append(steps, p) })
	require.NoError(t, err)
	require.Equal(t, 3, pulled.Layers)
	require.Equal(t, int64(301_000), pulled.Bytes, "a layer that occurs twice is fetched once")
	require.Equal(t, f.host()+"/team/app", pulled.Name.Repository)

	read, err := tarball.ImageFromPath(h.tar(), nil)
	require.NoError(t, err)
	wantConfig, err := img.ConfigName()
	require.NoError(t, err)
	gotConfig, err := read.ConfigName()
	require.NoError(t, err)
	require.Equal(t, wantConfig, gotConfig)
	layers, err := read.Layers()
	require.NoError(t, err)
	require.Len(t, layers, 3)
	for i, want := range []v1.Layer{a, b, a} {
		require.Equal(t, contentOf(t, want), contentOf(t, layers[i]))
	}
	index, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(h.tar()) })
	require.NoError(t, err)
	require.Equal(t, []string{f.host() + "/team/app:v1"}, index[0].RepoTags)

	require.Equal(t, registry.Progress{Done: 301_000, Total: 301_000}, steps[len(steps)-1])
	for i := 1; i < len(steps); i++ {
		require.Greater(t, steps[i].Done, steps[i-1].Done)
	}
	onlyTheTarIsLeft(t, h)
}

func TestSecondImageOnTheSameBaseFetchesOnlyItsOwnLayers(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{})
	base, one, two := layerOf(1, 500_000), layerOf(2, 2000), layerOf(3, 3000)
	first, second := f.push(t, "one", "v1", imageOf(t, base, one)), f.push(t, "two", "v1", imageOf(t, base, two))

	pulled, err := h.pull(t.Context(), f.host()+"/one", first)
	require.NoError(t, err)
	require.Equal(t, int64(502_000), pulled.Bytes)
	pulled, err = h.pull(t.Context(), f.host()+"/two", second)
	require.NoError(t, err)
	require.Equal(t, int64(3000), pulled.Bytes)
	require.Equal(t, int64(500_000), f.sentOf(hashOf(t, base)))
}

func TestTwoPullsAtOnceShareTheirBase(t *testing.T) {
	f := newFake(t)
	base, one, two := layerOf(1, 900_000), layerOf(2, 2000), layerOf(3, 3000)
	first, second := f.push(t, "one", "v1", imageOf(t, base, one)), f.push(t, "two", "v1", imageOf(t, base, two))

	for name, sameProcess := range map[string]bool{"in one process": true, "in two processes that share a cache": false} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, registry.Options{})
			other := host{Client: h.Client, tars: t.TempDir()}
			if !sameProcess {
				other = newHost(t, registry.Options{CacheDir: h.cache})
			}
			// The base is held back until both have asked for all they need besides.
			begun, release := make(chan struct{}, 2), make(chan struct{})
			f.misbehave(func(_ http.ResponseWriter, r *http.Request) bool {
				switch filepath.Base(r.URL.Path) {
				case hashOf(t, base).String():
					<-release
				case hashOf(t, one).String(), hashOf(t, two).String():
					begun <- struct{}{}
				}
				return false
			})
			var group sync.WaitGroup
			var bytes [2]int64
			for i, pull := range []func() (registry.Pulled, error){
				func() (registry.Pulled, error) {
					return h.pull(context.WithoutCancel(t.Context()), f.host()+"/one", first)
				},
				func() (registry.Pulled, error) {
					return other.pull(context.WithoutCancel(t.Context()), f.host()+"/two", second)
				},
			} {
				group.Go(func() {
					pulled, err := pull()
					require.NoError(t, err)
					bytes[i] = pulled.Bytes
				})
			}
			<-begun
			<-begun
			close(release)
			group.Wait()
			require.Equal(t, int64(905_000), bytes[0]+bytes[1])
			require.Equal(t, int64(900_000), f.sentOf(hashOf(t, base)))
			onlyTheTarIsLeft(t, h)
			onlyTheTarIsLeft(t, host{cache: h.cache, tars: other.tars})
		})
	}
}

func TestOnePullGoesOnWhenTheOtherIsCancelled(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{})
	base := layerOf(1, 400_000)
	digest := f.push(t, "app", "v1", imageOf(t, base))
	begun, release := make(chan struct{}), make(chan struct{})
	f.misbehave(func(_ http.ResponseWriter, r *http.Request) bool {
		if filepath.Base(r.URL.Path) == hashOf(t, base).String() {
			close(begun)
			<-release
		}
		return false
	})
	ctx, cancel := context.WithCancel(t.Context())
	firstDone, secondDone := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := h.pull(ctx, f.host()+"/app", digest)
		firstDone <- err
	}()
	<-begun
	tars := t.TempDir()
	go func() {
		_, err := host{Client: h.Client, tars: tars}.pull(context.WithoutCancel(t.Context()), f.host()+"/app", digest)
		secondDone <- err
	}()
	require.Eventually(t, func() bool { return h.Waiting(hashOf(t, base)) == 2 }, waitLimit, waitStep)
	cancel()
	require.ErrorIs(t, <-firstDone, context.Canceled)
	close(release)
	require.NoError(t, <-secondDone)
	require.Equal(t, int64(400_000), f.sentOf(hashOf(t, base)))
	require.NoFileExists(t, h.tar())
	onlyTheTarIsLeft(t, host{cache: h.cache, tars: tars})
}

func TestACancelledPullLeavesNothingBehind(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{})
	layer := layerOf(1, 400_000)
	digest := f.push(t, "app", "v1", imageOf(t, layer))
	ctx, cancel := context.WithCancel(t.Context())
	f.misbehave(func(w http.ResponseWriter, r *http.Request) bool {
		if filepath.Base(r.URL.Path) != hashOf(t, layer).String() {
			return false
		}
		_, _ = w.Write(contentOf(t, layer)[:1000])
		cancel()
		<-r.Context().Done()
		return true
	})
	_, err := h.pull(ctx, f.host()+"/app", digest)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, model.Transient, classOf(t, err))
	require.Eventually(t, func() bool { return len(files(t, h.cache)) == 0 }, waitLimit, waitStep)
	require.Empty(t, files(t, h.tars))
}

func TestNamesAreTriedInOrder(t *testing.T) {
	f, g, h := newFake(t), newFake(t), newHost(t, registry.Options{})
	img := imageOf(t, layerOf(1, 1000))
	digest := f.push(t, "app", "v1", img)
	pull := func(names ...string) (registry.Pulled, error) {
		var tried []model.Name
		for _, n := range names {
			tried = append(tried, model.Name{Repository: n})
		}
		return h.Pull(t.Context(), registry.PullRequest{Digest: digest, Names: tried, Tar: h.tar()}, nil)
	}
	g.misbehave(answer(http.StatusUnauthorized, nil, ""))
	pulled, err := pull(g.host()+"/app", f.host()+"/gone", f.host()+"/app")
	require.NoError(t, err)
	require.Equal(t, f.host()+"/app", pulled.Name.Repository)

	_, err = pull(f.host()+"/gone", g.host()+"/app")
	require.Equal(t, model.Unauthorized, classOf(t, err), "what a person can change is said first")
	require.Contains(t, err.Error(), "other names tried without success: 1")

	gone := newFake(t)
	gone.Close()
	for what, failing := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"an odd answer": answer(http.StatusTeapot, nil, ""), "a server error": answer(http.StatusBadGateway, nil, ""),
		"a long wait": answer(http.StatusTooManyRequests, map[string]string{"Retry-After": "7200"}, ""),
	} {
		g.misbehave(failing)
		pulled, err = pull(gone.host()+"/app", g.host()+"/app", f.host()+"/app")
		require.NoError(t, err, what)
		require.Equal(t, f.host()+"/app", pulled.Name.Repository, what)
	}
	_, err = pull(gone.host()+"/app", f.host()+"/gone")
	require.Equal(t, model.Transient, classOf(t, err), "what may pass by itself is tried again")
}
