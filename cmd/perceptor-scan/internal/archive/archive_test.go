package archive_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/archive"
	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/archivetest"
	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/model"
)

func quiet(int64, int64) {}

// contents opens an archive and reads every layer.
func contents(path string, quota int64) ([][]byte, error) {
	a, err := archive.Open(path, quota, quiet)
	if err != nil {
		return nil, err
	}
	defer func() { _ = a.Close() }()
	img, err := a.Image()
	if err != nil {
		return nil, err
	}
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, layer := range layers {
		stream, err := layer.Uncompressed()
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(stream)
		if err != nil {
			return nil, err
		}
		all = append(all, content)
	}
	return all, nil
}

func requireFailure(t *testing.T, err error, class model.FailureClass, reason string) {
	t.Helper()
	var failure protocol.Failure
	require.ErrorAs(t, err, &failure)
	require.Equal(t, class, failure.Class, failure)
	require.Contains(t, failure.Message, reason)
}

func TestLayersComeOutAsTheyWentIn(t *testing.T) {
	lower := archivetest.Layer(t, archivetest.Entry{Name: "a", Body: "lower"})
	upper := archivetest.Layer(t, archivetest.Entry{Name: "a", Body: "upper"})
	cases := []struct {
		name string
		pack func(testing.TB, []byte) []byte
	}{
		{"plain", archivetest.Plain},
		{"gzip", archivetest.Gzip},
		{"zstd", archivetest.Zstd},
		{"zstd after a skippable frame", skippable(0x50)},
		{"zstd after the last kind of skippable frame", skippable(0x5f)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := contents(archivetest.Write(t, archivetest.Docker(t, c.pack, lower, upper, lower)), 0)
			require.NoError(t, err)
			require.Equal(t, [][]byte{lower, upper, lower}, got)
		})
	}
}

// skippable packs a layer behind a frame that decoders pass over (RFC 8878 section 3.1.2).
func skippable(kind byte) func(testing.TB, []byte) []byte {
	return func(t testing.TB, layer []byte) []byte {
		return append([]byte{kind, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 'a', 'b', 'c', 'd'}, archivetest.Zstd(t, layer)...)
	}
}

func TestAConfigurationNeedsNoPlatform(t *testing.T) {
	layer := archivetest.Layer(t, archivetest.Entry{Name: "a", Body: "content"})
	for name, platform := range map[string]string{"absent": "", "null": `"architecture":null,"os":null,`, "empty": `"architecture":"","os":"",`} {
		t.Run(name, func(t *testing.T) {
			parts := archivetest.Docker(t, archivetest.Gzip, layer)
			parts[1].Body = strings.Replace(parts[1].Body, `"architecture":"amd64","os":"linux",`, platform, 1)
			require.NotContains(t, parts[1].Body, "amd64")
			got, err := contents(archivetest.Write(t, parts), 0)
			require.NoError(t, err)
			require.Equal(t, [][]byte{layer}, got)
		})
	}
}

func TestALayerMayBeALinkToAnother(t *testing.T) {
	layer := archivetest.Layer(t, archivetest.Entry{Name: "a", Body: "twice"})
	for name, link := range map[string]archivetest.Entry{
		"symbolic": {Name: "dir/1.tar.gz", Type: tar.TypeSymlink, Link: "../0.tar.gz"},
		"hard":     {Name: "dir/1.tar.gz", Type: tar.TypeLink, Link: "0.tar.gz"},
	} {
		t.Run(name, func(t *testing.T) {
			parts := archivetest.Docker(t, archivetest.Plain, layer, layer)
			parts[1] = link
			parts[3].Body = `[{"Config":"config.json","Layers":["0.tar.gz","dir/1.tar.gz"]}]`
			got, err := contents(archivetest.Write(t, parts), 0)
			require.NoError(t, err)
			require.Equal(t, [][]byte{layer, layer}, got)
		})
	}
}

func TestProgressReachesItsTotal(t *testing.T) {
	layer := archivetest.Layer(t, archivetest.Entry{Name: "a", Body: "content"})
	parts := archivetest.Docker(t, archivetest.Gzip, layer, layer)
	var read, total int64
	a, err := archive.Open(archivetest.Write(t, parts), 0, func(r, all int64) { read, total = r, all })
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Close()) }()
	img, err := a.Image()
	require.NoError(t, err)
	layers, err := img.Layers()
	require.NoError(t, err)
	for _, layer := range layers {
		stream, err := layer.Uncompressed()
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, stream)
		require.NoError(t, err)
		require.NoError(t, stream.Close())
	}
	require.Equal(t, int64(len(parts[0].Body)+len(parts[1].Body)), total)
	require.Equal(t, total, read)
}

func TestTheQuotaCountsAllLayers(t *testing.T) {
	bomb := archivetest.Layer(t, archivetest.Entry{Name: "zeros", Body: string(make([]byte, 1<<20))})
	path := archivetest.Write(t, archivetest.Docker(t, archivetest.Gzip, bomb, bomb, bomb))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(64<<10))
	_, err = contents(path, int64(2*len(bomb)))
	requireFailure(t, err, model.Invalid, "the image unpacks to more than")
	_, err = contents(path, int64(3*len(bomb)))
	require.NoError(t, err)
}

func TestBadArchives(t *testing.T) {
	layer := archivetest.Layer(t, archivetest.Entry{Name: "a", Body: "content"})
	good := archivetest.Docker(t, archivetest.Gzip, layer)
	whole := archivetest.Layer(t, good...)
	change := func(at int, body string) []byte {
		parts := append(archivetest.Parts{}, good...)
		parts[at].Body = body
		return archivetest.Layer(t, parts...)
	}
	packed := good[0].Body
	cases := []struct {
		name   string
		tar    []byte
		reason string
	}{
		{"empty", nil, `it has no manifest.json; want the form of "docker save"`},
		{"no tar", bytes.Repeat([]byte("<html>"), 1000), "it is no tar file, or a damaged one"},
		{"cut off in a header", whole[:200], "it ends in the middle; pull it again"},
		{"cut off in a layer", whole[:512+20], "it ends in the middle; pull it again"},
		{"cut off after a layer", whole[:1024], "it has no manifest.json"},
		{"another form", archivetest.Layer(t, archivetest.Entry{Name: "oci-layout", Body: "{}"}), "it has no manifest.json"},
		{"a manifest that is no JSON", change(2, "<html>"), `its entry "manifest.json" is not what it should be`},
		{"no image", change(2, "[]"), "it holds 0 images, want exactly one"},
		{"two images", change(2, `[{"Config":"config.json"},{"Config":"config.json"}]`), "it holds 2 images"},
		{"a missing configuration", change(2, `[{"Config":"gone.json"}]`), `its entry "gone.json" is missing`},
		{"too many layers", change(2, `[{"Config":"config.json","Layers":[`+strings.Repeat(`"0.tar.gz",`, 1000)+`"0.tar.gz"]}]`), "it has 1001 layers, want at most 1000"},
		{"a missing layer", change(2, `[{"Config":"config.json","Layers":["gone.tar"]}]`), `its entry "gone.tar" is missing`},
		{"a layer outside", change(2, `[{"Config":"config.json","Layers":["../../etc/passwd"]}]`), `its entry "../../etc/passwd" is missing`},
		{"too few layers", change(2, `[{"Config":"config.json","Layers":[]}]`), "its manifest names 0 layers and its configuration 1"},
		{"a configuration of the wrong shape", change(1, `{"rootfs":7}`), `its entry "config.json" is not what it should be`},
		{"a layer cut off", change(0, packed[:len(packed)-12]), "its layer 1 of 1 cannot be unpacked: unexpected EOF"},
		{"a damaged layer", change(0, packed[:12]+"xxxxxxxx"+packed[20:]), "its layer 1 of 1 cannot be unpacked"},
		{"a layer that is hardly begun", change(0, packed[:6]), "its layer 1 of 1 cannot be unpacked"},
		{
			"links in a circle", archivetest.Layer(t,
				archivetest.Entry{Name: "manifest.json", Type: tar.TypeSymlink, Link: "b"},
				archivetest.Entry{Name: "b", Type: tar.TypeSymlink, Link: "manifest.json"}), "is a link without an end",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "image.tar")
			require.NoError(t, os.WriteFile(path, c.tar, 0o600))
			_, err := contents(path, 0)
			requireFailure(t, err, model.Invalid, c.reason)
		})
	}
}

func TestAMissingTar(t *testing.T) {
	_, err := contents("/no/such/image.tar", 0)
	requireFailure(t, err, model.NotFound, "there is no image tar at /no/such/image.tar")
}

// FuzzOpen feeds archives of any content: each is read, or refused with a reason.
func FuzzOpen(f *testing.F) {
	var seed bytes.Buffer
	w := tar.NewWriter(&seed)
	for name, body := range map[string]string{"manifest.json": `[{"Config":"c","Layers":["l"]}]`, "c": `{"rootfs":{"diff_ids":["sha256:00"]}}`, "l": "x"} {
		_ = w.WriteHeader(&tar.Header{Name: name, Size: int64(len(body)), Typeflag: tar.TypeReg})
		_, _ = w.Write([]byte(body))
	}
	_ = w.Close()
	f.Add(seed.Bytes())
	f.Add([]byte("no tar"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "image.tar")
		require.NoError(t, os.WriteFile(path, content, 0o600))
		const quota = 1 << 20
		layers, err := contents(path, quota)
		if err != nil {
			var failure protocol.Failure
			require.ErrorAs(t, err, &failure)
			require.NotEmpty(t, failure.Message)
			return
		}
		require.LessOrEqual(t, len(bytes.Join(layers, nil)), quota)
	})
}
