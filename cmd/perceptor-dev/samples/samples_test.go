package samples_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-dev/loopback"
	"github.com/perceptor/perceptor/cmd/perceptor-dev/registry"
	"github.com/perceptor/perceptor/cmd/perceptor-dev/samples"
)

// shop is a registry that counts what is written to it.
type shop struct {
	address string
	writes  atomic.Int64
}

func newShop(t *testing.T) *shop {
	t.Helper()
	handler, err := registry.New(t.Context(), t.TempDir(), 0)
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	shop := &shop{address: listener.Addr().String()}
	server := loopback.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			shop.writes.Add(1)
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { require.NoError(t, server.Stop(t.Context())) })
	return shop
}

// programs builds one real Linux program and gives it the names of all; the
// last is built for another machine.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := func(out, arch string) {
		command := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", filepath.Join(dir, out), ".")
		command.Dir = filepath.Join("programs", "vulnerable")
		command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=-mod=readonly", "GOWORK=off")
		said, err := command.CombinedOutput()
		require.NoError(t, err, string(said))
	}
	build("vulnerable", "amd64")
	build("vulnerable-arm64", "arm64")
	for _, copied := range []string{"patched", "perceptor", "perceptor-scan"} {
		content, err := os.ReadFile(filepath.Join(dir, "vulnerable"))
		require.NoError(t, err)
		// A byte more makes another file and the same program.
		require.NoError(t, os.WriteFile(filepath.Join(dir, copied), append(content, copied[0]), 0o700))
	}
	return dir
}

func publish(t *testing.T, shop *shop, programs string) []string {
	t.Helper()
	// No tool that makes a Debian is in reach, so that no test needs a network.
	t.Setenv("PATH", t.TempDir())
	var said []string
	references, err := samples.Publish(t.Context(), samples.Options{
		Registry: shop.address, Programs: programs, Samples: programs, Cache: t.TempDir(),
		Say: func(line string) { said = append(said, line) },
	})
	require.NoError(t, err)
	require.Equal(t, []string{"samples/debian:12 is left out: neither mmdebstrap nor debootstrap is installed"}, said)
	return references
}

func TestTheSameInputsGiveTheSameDigestsAndAreWrittenOnce(t *testing.T) {
	built := programs(t)
	here, there := newShop(t), newShop(t)
	first, second := publish(t, here, built), publish(t, there, built)
	require.Len(t, first, 4)
	for i := range first {
		require.Equal(t, digest(t, first[i]), digest(t, second[i]), first[i])
	}
	written := here.writes.Load()
	require.Positive(t, written)
	require.Equal(t, first, publish(t, here, built))
	require.Equal(t, written, here.writes.Load(), "a second time writes nothing")

	vulnerable := filepath.Join(built, "vulnerable")
	content, err := os.ReadFile(vulnerable)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(vulnerable, append(content, 'x'), 0o700))
	before := digest(t, first[0])
	publish(t, here, built)
	require.NotEqual(t, before, digest(t, first[0]), "a program built again makes a new image")
}

func TestSamplesAreWholeAndShareTheirBase(t *testing.T) {
	shop := newShop(t)
	references := publish(t, shop, programs(t))
	vulnerable, patched := pull(t, references[0]), pull(t, references[1])
	require.Equal(t, layers(t, vulnerable)[0], layers(t, patched)[0], "one base layer")
	require.NotEqual(t, layers(t, vulnerable)[1], layers(t, patched)[1])

	tag, err := name.NewTag(references[2])
	require.NoError(t, err)
	index, err := remote.Index(tag, remote.WithContext(t.Context()))
	require.NoError(t, err)
	require.NoError(t, validate.Index(index))
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	var platforms []string
	for _, image := range manifest.Manifests {
		platforms = append(platforms, image.Platform.String())
	}
	require.Equal(t, []string{"linux/amd64", "linux/arm64"}, platforms)
}

func TestAProgramThatWasNotBuiltIsNamed(t *testing.T) {
	_, err := samples.Publish(t.Context(), samples.Options{Programs: t.TempDir(), Samples: "/nowhere", Say: func(string) {}})
	var missing *samples.MissingError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, "/nowhere/vulnerable", missing.Program)
	require.ErrorContains(t, err, "make build")
}

func TestAProgramOfAnotherSystemIsLeftOutWithALine(t *testing.T) {
	built := programs(t)
	require.NoError(t, os.WriteFile(filepath.Join(built, "perceptor-scan"), []byte("MZ not for Linux"), 0o700))
	t.Setenv("PATH", t.TempDir())
	var said []string
	references, err := samples.Publish(t.Context(), samples.Options{
		Registry: newShop(t).address, Programs: built, Samples: built, Cache: t.TempDir(),
		Say: func(line string) { said = append(said, line) },
	})
	require.NoError(t, err)
	require.Len(t, references, 3)
	require.Contains(t, said[0], "samples/scanner:dev is left out")
	require.Contains(t, said[0], "is not a Linux program")
}

func pull(t *testing.T, reference string) v1.Image {
	t.Helper()
	tag, err := name.NewTag(reference)
	require.NoError(t, err)
	image, err := remote.Image(tag, remote.WithContext(t.Context()))
	require.NoError(t, err)
	require.NoError(t, validate.Image(image))
	return image
}

func layers(t *testing.T, image v1.Image) []v1.Hash {
	t.Helper()
	manifest, err := image.Manifest()
	require.NoError(t, err)
	hashes := make([]v1.Hash, 0, len(manifest.Layers))
	for _, layer := range manifest.Layers {
		hashes = append(hashes, layer.Digest)
	}
	return hashes
}

func digest(t *testing.T, reference string) string {
	t.Helper()
	tag, err := name.NewTag(reference)
	require.NoError(t, err)
	described, err := remote.Head(tag, remote.WithContext(t.Context()))
	require.NoError(t, err)
	return described.Digest.String()
}
