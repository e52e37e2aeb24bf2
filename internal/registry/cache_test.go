package registry_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/registry"
	"github.com/perceptor/perceptor/model"
)

// kept are the layers in a host's cache.
func kept(t *testing.T, h host) []string {
	t.Helper()
	var names []string
	for _, path := range files(t, filepath.Join(h.cache, "sha256")) {
		names = append(names, filepath.Base(path))
	}
	return names
}

func hexes(t *testing.T, layers ...v1.Layer) []string {
	t.Helper()
	var names []string
	for _, layer := range layers {
		names = append(names, hashOf(t, layer).Hex)
	}
	return names
}

func TestTheLeastRecentlyUsedLayerGoesFirst(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{CacheLimit: 2500})
	a, b, c := layerOf(1, 1000), layerOf(2, 1000), layerOf(3, 1000)
	pull := func(layer v1.Layer) {
		t.Helper()
		_, err := h.pull(t.Context(), f.host()+"/app", f.push(t, "app", "v1", imageOf(t, layer)))
		require.NoError(t, err)
	}
	pull(a)
	pull(b)
	pull(a)
	require.ElementsMatch(t, hexes(t, a, b), kept(t, h))
	pull(c)
	require.ElementsMatch(t, hexes(t, a, c), kept(t, h))
}

func TestALayerInUseIsNotEvicted(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{CacheLimit: 1500})
	inUse, slow, other := layerOf(1, 1000), layerOf(2, 1000), layerOf(3, 1000)
	first, second := f.push(t, "one", "v1", imageOf(t, inUse, slow)), f.push(t, "two", "v1", imageOf(t, other))
	_, err := h.pull(t.Context(), f.host()+"/base", f.push(t, "base", "v1", imageOf(t, inUse)))
	require.NoError(t, err)

	begun, release := make(chan struct{}), make(chan struct{})
	f.misbehave(only(hashOf(t, slow).String(), func(http.ResponseWriter, *http.Request) bool {
		close(begun)
		<-release
		return false
	}))
	done := make(chan error, 1)
	ctx := context.WithoutCancel(t.Context())
	go func() {
		_, err := h.pull(ctx, f.host()+"/one", first)
		done <- err
	}()
	<-begun
	// Another process needs room for its own layer.
	neighbour := newHost(t, registry.Options{CacheDir: h.cache, CacheLimit: 1500})
	_, err = neighbour.pull(t.Context(), f.host()+"/two", second)
	require.NoError(t, err)
	require.Contains(t, kept(t, h), hashOf(t, inUse).Hex)
	close(release)
	require.NoError(t, <-done)
	sameLayers(t, h, inUse, slow)
	require.Len(t, kept(t, h), 1, "within the limit again when everybody is done")
}

func TestALayerDamagedOnDiskIsFetchedAgain(t *testing.T) {
	f := newFake(t)
	layer := layerOf(1, 5000)
	digest := f.push(t, "app", "v1", imageOf(t, layer))
	for name, damage := range map[string][]byte{"shorter": contentOf(t, layer)[:4000], "changed": make([]byte, 5000), "empty": nil} {
		t.Run(name, func(t *testing.T) {
			before := newHost(t, registry.Options{})
			_, err := before.pull(t.Context(), f.host()+"/app", digest)
			require.NoError(t, err)
			write(t, filepath.Join(before.cache, "sha256", hashOf(t, layer).Hex), string(damage))

			after := newHost(t, registry.Options{CacheDir: before.cache})
			pulled, err := after.pull(t.Context(), f.host()+"/app", digest)
			require.NoError(t, err)
			require.Equal(t, int64(5000), pulled.Bytes)
			sameLayers(t, after, layer)
		})
	}
}

func TestWhatAKilledProcessLeftIsRemoved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "partial"), 0o700))
	abandoned := write(t, filepath.Join(dir, "partial", "aa"), "half a layer")
	alive := write(t, filepath.Join(dir, "partial", "bb"), "half a layer")
	owner, err := os.Open(alive)
	require.NoError(t, err)
	defer func() { _ = owner.Close() }()
	require.NoError(t, syscall.Flock(int(owner.Fd()), syscall.LOCK_EX))

	f, h := newFake(t), newHost(t, registry.Options{CacheDir: dir})
	require.NoFileExists(t, abandoned)
	require.FileExists(t, alive, "another process is still at it")

	tar := write(t, h.tar()+".partial-1", "half a tar")
	_, err = h.pull(t.Context(), f.host()+"/app", f.push(t, "app", "v1", imageOf(t, layerOf(1, 1000))))
	require.NoError(t, err)
	require.NoFileExists(t, tar)
}

func TestAPullKilledHalfwayLeavesNothingThatCounts(t *testing.T) {
	f := newFake(t)
	layer := layerOf(1, 300_000)
	digest := f.push(t, "app", "v1", imageOf(t, layer))
	h := newHost(t, registry.Options{})
	halfway := make(chan struct{})
	f.misbehave(only(hashOf(t, layer).String(), func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = w.Write(contentOf(t, layer)[:200_000])
		_ = http.NewResponseController(w.(*counted).ResponseWriter).Flush()
		close(halfway)
		<-r.Context().Done()
		return true
	}))
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+strings.Join([]string{h.cache, f.host() + "/app", string(digest), h.tar()}, " "))
	require.NoError(t, child.Start())
	<-halfway
	partial := filepath.Join(h.cache, "partial")
	require.Eventually(t, func() bool { return len(files(t, partial)) == 1 }, waitLimit, waitStep)
	_, err := registry.NewHasty(registry.Options{CacheDir: h.cache})
	require.NoError(t, err)
	require.Len(t, files(t, partial), 1, "while the other process lives its layer is left alone")
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())

	f.misbehave(nil)
	_, err = registry.NewHasty(registry.Options{CacheDir: h.cache})
	require.NoError(t, err)
	require.Empty(t, files(t, h.cache))
	_, err = h.pull(t.Context(), f.host()+"/app", digest)
	require.NoError(t, err)
	sameLayers(t, h, layer)
	onlyTheTarIsLeft(t, h)
}

func TestSpaceIsLookedAtBefore(t *testing.T) {
	f := newFake(t)
	layer := layerOf(1, 5000)
	digest := f.push(t, "app", "v1", imageOf(t, layer))
	h := newHost(t, registry.Options{MinFree: 1 << 60})
	_, err := h.pull(t.Context(), f.host()+"/app", digest)
	require.Equal(t, model.OutOfSpace, classOf(t, err))
	require.Regexp(t, `^pull .*: out-of-space: it needs 7\d\.\d KiB in .* beside 1\.0 EiB to be left free, .* too much; make room or lower the limits$`, err.Error())
	require.Zero(t, f.askedFor(hashOf(t, layer).String()), "nothing is fetched for nothing")
	nothingIsLeft(t, h)
}

func TestOldLayersMakeRoom(t *testing.T) {
	f, h := newFake(t), newHost(t, registry.Options{})
	old := layerOf(1, 1000)
	_, err := h.pull(t.Context(), f.host()+"/app", f.push(t, "app", "v1", imageOf(t, old)))
	require.NoError(t, err)
	tight := newHost(t, registry.Options{CacheDir: h.cache, MinFree: 1 << 60})
	_, err = tight.pull(t.Context(), f.host()+"/app", f.push(t, "app", "v2", imageOf(t, layerOf(2, 1000))))
	require.Equal(t, model.OutOfSpace, classOf(t, err))
	require.Empty(t, kept(t, h), "unused layers went before the pull was refused")
}

func TestAMissingFolderIsSaid(t *testing.T) {
	f := newFake(t)
	digest := f.push(t, "app", "v1", imageOf(t, layerOf(1, 1000)))
	h := newHost(t, registry.Options{})
	_, err := h.Pull(t.Context(), registry.PullRequest{
		Digest: digest, Names: []model.Name{{Repository: f.host() + "/app"}}, Tar: filepath.Join(h.tars, "no", "such", "image.tar"),
	}, nil)
	require.Equal(t, model.Transient, classOf(t, err))
	require.ErrorContains(t, err, "this machine's disk: ")
	require.ErrorContains(t, err, "no such file or directory")
}

func TestOptionsAreChecked(t *testing.T) {
	for name, row := range map[string]struct {
		options registry.Options
		want    string
	}{
		"no cache":       {registry.Options{}, "registry client: no cache directory given"},
		"negative limit": {registry.Options{CacheDir: t.TempDir(), CacheLimit: -1}, "registry client: cache limit -1 and free space 0 must not be negative"},
		"not a host": {
			registry.Options{CacheDir: t.TempDir(), Hosts: map[string]registry.Host{"https://r.example/": {}}},
			`registry client: "https://r.example/" is not a host; write it as in references, such as registry.example:5000`,
		},
		"no CA file": {
			registry.Options{CacheDir: t.TempDir(), Hosts: map[string]registry.Host{"r.example": {CAFile: "/no/such/file"}}},
			"registry client: host r.example: read its CA file: open /no/such/file: no such file or directory",
		},
		"empty CA file": {
			registry.Options{CacheDir: t.TempDir(), Hosts: map[string]registry.Host{"r.example": {CAFile: "/dev/null"}}},
			"registry client: host r.example: its CA file /dev/null holds no PEM certificate",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := registry.New(row.options)
			require.EqualError(t, err, row.want)
		})
	}
}

func TestRequestsAreChecked(t *testing.T) {
	h := newHost(t, registry.Options{})
	const digest = model.Digest("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")
	names := []model.Name{{Repository: "registry.example/app"}}
	for name, row := range map[string]struct {
		request registry.PullRequest
		want    string
	}{
		"digest": {registry.PullRequest{Digest: "v1", Names: names, Tar: "/tmp/x"}, `pull registry.example/app@v1: invalid: "v1" is not a digest; write sha256:<64 hexadecimal digits>`},
		"names":  {registry.PullRequest{Digest: digest, Tar: "/tmp/x"}, "pull " + string(digest) + ": invalid: no name is known to pull it from"},
		"tar":    {registry.PullRequest{Digest: digest, Names: names, Tar: "x"}, "pull registry.example/app@" + string(digest) + `: invalid: the tar's path "x" is not absolute`},
		"name": {
			registry.PullRequest{Digest: digest, Names: []model.Name{{Repository: "A B"}}, Tar: "/tmp/x"},
			"pull A B@" + string(digest) + `: invalid: "A B" is not a repository; write registry/repository`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.Pull(t.Context(), row.request, nil)
			require.EqualError(t, err, row.want)
		})
	}
}

func TestWhatOthersKeepGivesWayFirst(t *testing.T) {
	beside := t.TempDir()
	f, h := newFake(t), newHost(t, registry.Options{Beside: beside})
	layer := layerOf(1, 1000)
	_, err := h.pull(t.Context(), f.host()+"/app", f.push(t, "app", "v1", imageOf(t, layer)))
	require.NoError(t, err)
	inflated := write(t, filepath.Join(beside, "whole", "aa"), strings.Repeat("x", 3000))
	require.NoError(t, h.Evict(2500))
	require.NoFileExists(t, inflated)
	require.Equal(t, hexes(t, layer), kept(t, h), "that was enough")
	write(t, inflated, "x")
	require.NoError(t, h.Evict(2))
	require.NoFileExists(t, inflated)
	require.Empty(t, kept(t, h))
}
