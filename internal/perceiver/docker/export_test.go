package docker

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

// entry is one file of an archive; link is where it leads to, if it is a link.
type entry struct {
	name string
	text []byte
	link string
}

func archiveOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var packed bytes.Buffer
	out := tar.NewWriter(&packed)
	for _, e := range entries {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: 0o644, Size: int64(len(e.text))}
		if e.link != "" {
			header.Typeflag, header.Linkname = tar.TypeSymlink, e.link
		}
		require.NoError(t, out.WriteHeader(header))
		_, err := out.Write(e.text)
		require.NoError(t, err)
	}
	require.NoError(t, out.Close())
	return packed.Bytes()
}

func hexSum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func asJSON(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return text
}

// saved are the files of an image with two layers as engines write them, and its ID.
func saved(t testing.TB) ([]entry, model.Digest) {
	t.Helper()
	one, two := []byte("layer one"), []byte("layer two")
	config := asJSON(t, map[string]any{"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hexSum(one), "sha256:" + hexSum(two)}}})
	manifest := asJSON(t, []any{map[string]any{"Config": hexSum(config) + ".json", "Layers": []string{"a/layer.tar", "b/layer.tar"}}})
	return []entry{
		{"a/layer.tar", one, ""}, {"b/layer.tar", two, ""}, {hexSum(config) + ".json", config, ""}, {"manifest.json", manifest, ""},
	}, model.Digest("sha256:" + hexSum(config))
}

// savedByContainerd is an image with one compressed layer, known by its manifest.
func savedByContainerd(t testing.TB) ([]entry, model.Digest) {
	t.Helper()
	layer := []byte("compressed")
	config := asJSON(t, map[string]any{"rootfs": map[string]any{"diff_ids": []string{"sha256:" + hexSum([]byte("inflated"))}}})
	manifest := asJSON(t, map[string]any{"config": map[string]string{"digest": "sha256:" + hexSum(config)}})
	index := asJSON(t, map[string]any{"manifests": []any{map[string]string{"digest": "sha256:" + hexSum(manifest)}}})
	blob := func(text []byte) entry { return entry{"blobs/sha256/" + hexSum(text), text, ""} }
	list := asJSON(t, []any{map[string]any{"Config": blob(config).name, "Layers": []string{blob(layer).name}}})
	return []entry{blob(layer), blob(config), blob(manifest), blob(index), {"manifest.json", list, ""}}, model.Digest("sha256:" + hexSum(index))
}

func TestAnArchiveIsTheImageThatWasAskedFor(t *testing.T) {
	plain, id := saved(t)
	stored, index := savedByContainerd(t)
	manifest := model.Digest("sha256:" + hexSum(stored[2].text))
	linked := slices.Clone(plain)
	linked[1] = entry{"b/layer.tar", nil, "../c/layer.tar"}
	linked = append([]entry{{"c/layer.tar", plain[1].text, ""}}, linked...)
	for what, row := range map[string]struct {
		entries []entry
		id      model.Digest
		wrong   string
	}{
		"an engine's own store":                 {plain, id, ""},
		"containerd's store, by index":          {stored, index, ""},
		"containerd's store, by manifest":       {stored, manifest, ""},
		"a layer that is a link":                {linked, id, ""},
		"another image":                         {plain, index, "it has another ID"},
		"another image of containerd":           {stored, id, "it has another ID"},
		"a layer that is not there":             {plain[1:], id, "layer 1 of 2 is missing"},
		"a layer with other content":            {replaced(plain, 0, "other"), id, "layer 1 of 2 is damaged"},
		"a compressed layer with other content": {replaced(stored, 0, "other"), index, "layer 1 of 1 is damaged"},
		"a configuration with other content":    {replaced(plain, 2, `{"rootfs":{"diff_ids":[]}}`), id, "it has another ID"},
		"a layer under the name of another":     {underName(t, hexSum([]byte("another"))), id, "layer 1 of 2 has the name of another"},
		"a layer under its own name":            {underName(t, hexSum([]byte("layer one"))), id, ""},
		"a link to itself":                      {append([]entry{{"a/layer.tar", nil, "layer.tar"}}, plain[1:]...), id, "layer 1 of 2 is missing"},
		"no manifest":                           {plain[:3], id, "it has no manifest.json"},
		"two images":                            {replaced(plain, 3, `[{"Config":"a"},{"Config":"b"}]`), id, "does not name one image"},
		"nothing":                               {nil, id, "it has no manifest.json"},
		"no configuration":                      {replaced(plain, 3, `[{"Config":"a","Layers":[]}]`), id, "its configuration cannot be read"},
	} {
		t.Run(what, func(t *testing.T) {
			err := checkArchive(bytes.NewReader(archiveOf(t, row.entries...)), row.id)
			if row.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, row.wrong)
			class := model.Invalid
			if errors.Is(err, errCutOff) {
				class = model.Transient
			}
			require.Equal(t, class, exportClass(t, err))
		})
	}
}

func replaced(entries []entry, at int, text string) []entry {
	entries = slices.Clone(entries)
	entries[at].text = []byte(text)
	return entries
}

// underName is the image of saved, whose first layer is a file of the root with a digest as its name.
func underName(t *testing.T, digest string) []entry {
	t.Helper()
	entries, _ := saved(t)
	manifest := bytes.ReplaceAll(entries[3].text, []byte("a/layer.tar"), []byte(digest+".tar"))
	return append([]entry{{digest + ".tar", entries[0].text, ""}}, append(entries[1:3:3], entry{"manifest.json", manifest, ""})...)
}

func exportClass(t *testing.T, err error) model.FailureClass {
	t.Helper()
	var failure *ExportError
	require.ErrorAs(t, exportError(t.Context(), err), &failure)
	return failure.FailureClass()
}

func TestAnArchiveThatIsCutOffIsTakenAgain(t *testing.T) {
	plain, id := saved(t)
	whole := archiveOf(t, plain...)
	for _, cut := range []int{1, 300, 600, len(whole) / 2} {
		err := checkArchive(io.LimitReader(bytes.NewReader(whole), int64(cut)), id)
		require.Equal(t, model.Transient, exportClass(t, err), "%d bytes: %v", cut, err)
	}
	many := make([]entry, filesAtMost+1)
	for i := range many {
		many[i] = entry{name: fmt.Sprint(i)}
	}
	require.ErrorIs(t, checkArchive(bytes.NewReader(archiveOf(t, many...)), id), errNotThisImage)
}

func FuzzArchive(f *testing.F) {
	for _, make := range []func(testing.TB) ([]entry, model.Digest){saved, savedByContainerd} {
		entries, id := make(f)
		f.Add(archiveOf(f, entries...), string(id))
	}
	f.Fuzz(func(_ *testing.T, archive []byte, id string) {
		digest, err := model.ParseDigest(id)
		if err != nil {
			return
		}
		_ = checkArchive(bytes.NewReader(archive), digest)
	})
}
