//go:build integration

package main_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

// here is the platform of this machine's images.
var here = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}

// assemble makes an image of layers.
func assemble(t *testing.T, platform v1.Platform, layers ...v1.Layer) v1.Image {
	t.Helper()
	made, err := mutate.AppendLayers(empty.Image, layers...)
	require.NoError(t, err)
	config, err := made.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = platform.OS, platform.Architecture
	made, err = mutate.ConfigFile(made, config)
	require.NoError(t, err)
	return made
}

// pushImage puts an image into the registry and answers with its reference and its one layer's digest.
func (d *dev) pushImage(t *testing.T, repository string, made v1.Image) (string, v1.Hash) {
	t.Helper()
	reference, err := name.ParseReference(d.Registry + "/" + repository + ":1")
	require.NoError(t, err)
	require.NoError(t, remote.Write(reference, made))
	layers, err := made.Layers()
	require.NoError(t, err)
	sum, err := layers[0].Digest()
	require.NoError(t, err)
	return reference.String(), sum
}

// layerOf packs a layer's tar as registries hold it.
func layerOf(t *testing.T, content []byte) v1.Layer {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil })
	require.NoError(t, err)
	return layer
}

// tarOf is a layer's own tar.
func tarOf(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, header := range entries {
		content := make([]byte, header.Size)
		copy(content, header.PAXRecords["PERCEPTOR.content"])
		header.Mode, header.PAXRecords, header.Format = 0o644, nil, tar.FormatPAX
		require.NoError(t, w.WriteHeader(&header))
		_, err := w.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

// file is an entry with content.
func file(path, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: path, Size: int64(len(content)), PAXRecords: map[string]string{"PERCEPTOR.content": content}}
}

// leftPad is one package for a scan client to find.
func leftPad() tar.Header {
	return file("app/node_modules/left-pad/package.json", `{"name":"left-pad","version":"1.3.0"}`)
}

// plain is a good image of its own; its name makes it differ from all others.
func plain(t *testing.T, name string) v1.Image {
	t.Helper()
	return assemble(t, here, layerOf(t, tarOf(t, file("name", name), leftPad())))
}

// pushBad puts images into the registry that are bad in themselves.
func (d *dev) pushBad(t *testing.T, outside string) {
	t.Helper()
	whole := tarOf(t, leftPad(), file("big", strings.Repeat("perceptor ", 10_000)))
	up := strings.Repeat("../", 20)
	link := tar.Header{Typeflag: tar.TypeSymlink, Name: "out", Linkname: outside}
	for repository, layer := range map[string][]byte{
		"bad/truncated-tar": whole[:len(whole)/2],
		"bad/bomb":          tarOf(t, leftPad(), tar.Header{Typeflag: tar.TypeReg, Name: "zeros", Size: 4 * badScratch}),
		"good/outside": tarOf(t, leftPad(), file(up+outside+"/up", "evil"), file("a/"+up+outside+"/upper", "evil"),
			file(outside+"/absolute", "evil"), link, file("out/linked", "evil")),
	} {
		d.pushImage(t, repository, assemble(t, here, layerOf(t, layer)))
	}
	for _, each := range badClients {
		d.pushImage(t, each.repository, plain(t, each.repository))
	}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add:        assemble(t, v1.Platform{OS: "linux", Architecture: "s390x"}, layerOf(t, whole)),
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}},
	})
	reference, err := name.ParseReference(d.Registry + "/bad/other-platform:1")
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(reference, index))
}

// strictRegistry is a registry that wants a login nobody has.
func strictRegistry(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="strict"`)
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}`, http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// spoiled are contents that a registry sends otherwise than it should, by the last part of their paths.
type spoiled map[string]func([]byte) []byte

func flip(content []byte) []byte { content[len(content)/2] ^= 1; return content }
func cut(content []byte) []byte  { return content[:len(content)/2] }

// spoilingRegistry is the registry behind a proxy that spoils some of its contents.
func (d *dev) spoilingRegistry(t *testing.T, what spoiled) string {
	t.Helper()
	behind, err := url.Parse("http://" + d.Registry)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(behind)
	proxy.ModifyResponse = func(r *http.Response) error {
		spoil, is := what[filepath.Base(r.Request.URL.Path)]
		if !is || r.Request.Method != http.MethodGet {
			return nil
		}
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return fmt.Errorf("read what is to be spoiled: %w", err)
		}
		content = spoil(content)
		r.Body = io.NopCloser(bytes.NewReader(content))
		r.ContentLength = int64(len(content))
		r.Header.Set("Content-Length", strconv.Itoa(len(content)))
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// What the children of misbehaving scan clients are known by.
const (
	floodMark = "PERCEPTOR-FLOOD"
	eatMark   = "8765432109"
	linesMark = `{"phase":"unpack","done":1,"total":2}`
)

// badClients are scan clients that misbehave, each for the images of one repository.
var badClients = []struct{ repository, script string }{
	{"bad/hangs", "exec sleep SLEEP"},
	{"bad/forks", "for i in 1 2 3 4 5 6 7 8; do setsid sleep SLEEP & sleep SLEEP & done; exec sleep SLEEP"},
	{"bad/floods", "exec yes '" + linesMark + "'"},
	{"bad/floods-log", "yes " + floodMark + " >&2; exit 3"},
	{"bad/eats", "head -c " + eatMark + " /dev/zero | tail >/dev/null"},
	{"bad/silent", "exit 0"},
	{"bad/no-document", `echo '{"result":{"components":1,"documentBytes":10}}'`},
	{"bad/crashes", "echo lost my mind >&2; kill -SEGV $$"},
}

// badClient is the true scan client, but for the repositories of badClients.
func badClient(t *testing.T, sleep string) string {
	t.Helper()
	client, err := filepath.Abs(filepath.Join(bin, "perceptor-scan"))
	require.NoError(t, err)
	script := "#!/bin/sh\ncase \"$*\" in\n"
	for _, each := range badClients {
		script += fmt.Sprintf("list*'/%s '*)\n%s\nexit ;;\n", each.repository, strings.ReplaceAll(each.script, "SLEEP", sleep))
	}
	script += fmt.Sprintf("esac\nexec %s \"$@\"\n", client)
	path := filepath.Join(t.TempDir(), "bad-client")
	require.NoError(t, os.WriteFile(path, []byte(script), 0o700))
	return path
}
