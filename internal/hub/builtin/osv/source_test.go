package osv_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

func recordText(id string) string {
	return fmt.Sprintf(`{"id":%q,"modified":"2024-01-02T03:04:05Z","affected":[{"package":{"ecosystem":"npm","name":"p"},"versions":["1.0.0"]}]}`, id)
}

// archive is a zip of the files, given as name and text in turn.
func archive(t testing.TB, files ...string) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for i := 0; i < len(files); i += 2 {
		f, err := w.Create(files[i])
		require.NoError(t, err)
		_, err = f.Write([]byte(files[i+1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return packed.Bytes()
}

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
	require.NoError(t, os.WriteFile(name, data, 0o600))
	return name
}

type reading struct {
	ids       []string
	malformed []string
	progress  []osv.Progress
	summary   osv.Summary
}

func read(t testing.TB, from string, opts osv.Options) (reading, error) {
	t.Helper()
	var got reading
	opts.TempDir = t.TempDir()
	opts.Malformed = func(err error) { got.malformed = append(got.malformed, err.Error()) }
	opts.Progress = func(p osv.Progress) { got.progress = append(got.progress, p) }
	s, err := osv.Open(t.Context(), from, opts)
	if err != nil {
		return got, err
	}
	got.summary, err = s.Each(t.Context(), func(r osv.Record) error {
		got.ids = append(got.ids, r.ID)
		return nil
	})
	left, readErr := os.ReadDir(opts.TempDir)
	require.NoError(t, readErr)
	require.Empty(t, left, "no temporary file stays behind")
	return got, err
}

func TestReadZip(t *testing.T) {
	name := write(t, filepath.Join(t.TempDir(), "all.zip"), archive(t,
		"A-1.json", recordText("A-1"), "broken.json", `{"modified":"2024-01-02T03:04:05Z"}`, "notes.txt", "no record", "../../outside.json", recordText("A-2"),
		"deep/er/A-3.json", recordText("A-3"), "__MACOSX/._A-1.json", "junk", "folder.json/", ""))
	got, err := read(t, name, osv.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"A-1", "A-2", "A-3"}, got.ids)
	require.Equal(t, []string{"broken.json: id: is missing"}, got.malformed)
	require.Equal(t, osv.Summary{Records: 3, Malformed: 1}, got.summary)
	last := got.progress[len(got.progress)-1]
	require.Equal(t, last.Total, last.Done)
	require.Equal(t, got.summary, last.Summary)
	require.False(t, last.Downloading)
	for i := 1; i < len(got.progress); i++ {
		require.GreaterOrEqual(t, got.progress[i].Done, got.progress[i-1].Done)
	}
}

func TestReadFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a", "A-1.json"), []byte(recordText("A-1")))
	write(t, filepath.Join(dir, "b", "all.zip"), archive(t, "A-2.json", recordText("A-2")))
	write(t, filepath.Join(dir, "b", "bad.json"), []byte("no"))
	write(t, filepath.Join(dir, "README.md"), []byte("no"))
	outside := write(t, filepath.Join(t.TempDir(), "A-9.json"), []byte(recordText("A-9")))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "link.json")))

	got, err := read(t, dir, osv.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"A-1", "A-2"}, got.ids)
	require.Len(t, got.malformed, 1)
	require.Contains(t, got.malformed[0], "b/bad.json: not an OSV record in JSON")
	last := got.progress[len(got.progress)-1]
	require.Equal(t, last.Total, last.Done)
}

func TestReadOneFile(t *testing.T) {
	got, err := read(t, write(t, filepath.Join(t.TempDir(), "A-1.json"), []byte(recordText("A-1"))), osv.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"A-1"}, got.ids)
}

func TestReadRefuses(t *testing.T) {
	good := archive(t, "A-1.json", recordText("A-1"), "A-2.json", recordText("A-2"))
	flipped := bytes.Clone(good)
	flipped[40] ^= 0xff
	for _, row := range []struct {
		name, file string
		data       []byte
		says       string
		class      model.FailureClass
	}{
		{"truncated zip", "all.zip", good[:len(good)-30], "not a whole zip archive", model.Invalid},
		{"empty file", "all.zip", nil, "not a whole zip archive (0 bytes): cut off or damaged; fetch it again", model.Invalid},
		{"no zip", "all.zip", []byte("<html>"), "not a whole zip archive", model.Invalid},
		{"damaged entry", "all.zip", flipped, "A-1.json: cannot be unpacked: the archive is damaged; fetch it again", model.Invalid},
		{"no record in it", "all.zip", archive(t, "x.txt", "x"), "holds no OSV record (0 malformed)", model.Invalid},
		{"only malformed", "all.zip", archive(t, "x.json", "x"), "holds no OSV record (1 malformed)", model.Invalid},
		{"one malformed file", "x.json", []byte("x"), "holds no OSV record (1 malformed)", model.Invalid},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := read(t, write(t, filepath.Join(t.TempDir(), row.file), row.data), osv.Options{})
			require.ErrorContains(t, err, row.says)
			var typed *osv.Error
			require.ErrorAs(t, err, &typed)
			require.Equal(t, row.class, typed.FailureClass())
		})
	}
	t.Run("nothing there", func(t *testing.T) {
		_, err := read(t, filepath.Join(t.TempDir(), "none.zip"), osv.Options{})
		var typed *osv.Error
		require.ErrorAs(t, err, &typed)
		require.Equal(t, model.NotFound, typed.FailureClass())
	})
}

func TestReadIsBounded(t *testing.T) {
	t.Run("a record too long is skipped", func(t *testing.T) {
		bomb := archive(t, "A-1.json", recordText("A-1"), "bomb.json", `{"id":"`+strings.Repeat("A", osv.MaxRecordSize)+`"}`)
		got, err := read(t, write(t, filepath.Join(t.TempDir(), "all.zip"), bomb), osv.Options{})
		require.NoError(t, err)
		require.Equal(t, []string{"A-1"}, got.ids)
		require.Len(t, got.malformed, 1)
		require.Contains(t, got.malformed[0], "bomb.json: ")
		require.Contains(t, got.malformed[0], "are more than the 16777216 a record may have")
	})
	t.Run("an entry that lies about its length", func(t *testing.T) {
		var packed bytes.Buffer
		w := zip.NewWriter(&packed)
		text := []byte(recordText("A-1"))
		f, err := w.CreateRaw(&zip.FileHeader{
			Name: "A-1.json", Method: zip.Store, CRC32: crc32.ChecksumIEEE(text), CompressedSize64: uint64(len(text)), UncompressedSize64: 1 << 60,
		})
		require.NoError(t, err)
		_, err = f.Write(text)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		_, err = read(t, write(t, filepath.Join(t.TempDir(), "all.zip"), packed.Bytes()), osv.Options{})
		require.Error(t, err)
	})
}

func TestTheCallersErrorStops(t *testing.T) {
	name := write(t, filepath.Join(t.TempDir(), "all.zip"), archive(t, "A-1.json", recordText("A-1"), "A-2.json", recordText("A-2")))
	s, err := osv.Open(t.Context(), name, osv.Options{})
	require.NoError(t, err)
	full := errors.New("disk full")
	summary, err := s.Each(t.Context(), func(osv.Record) error { return full })
	require.ErrorIs(t, err, full)
	require.ErrorContains(t, err, "A-1")
	require.Equal(t, 1, summary.Records)

	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	_, err = s.Each(ctx, func(osv.Record) error { seen++; cancel(); return nil })
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, seen)
	_, err = osv.Open(ctx, name, osv.Options{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestTextIsPassedOn(t *testing.T) {
	name := write(t, filepath.Join(t.TempDir(), "all.zip"), archive(t, "A-1.json", recordText("A-1"), "bad.json", "{}", "A-2.json", recordText("A-2")))
	var texts []string
	source, err := osv.Open(t.Context(), name, osv.Options{})
	require.NoError(t, err)
	summary, err := source.Texts(t.Context(), func(_ string, text []byte) error {
		texts = append(texts, string(text))
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{recordText("A-1"), "{}", recordText("A-2")}, texts, "who reads them says what is malformed")
	require.Equal(t, osv.Summary{Records: 3}, summary)

	gone := errors.New("no one listens")
	_, err = source.Texts(t.Context(), func(string, []byte) error { return gone })
	require.ErrorIs(t, err, gone)
}
