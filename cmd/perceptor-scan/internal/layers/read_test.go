package layers

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/anchore/stereoscope/pkg/file"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/archivetest"
)

// requestOf is a layer under its true digest.
func requestOf(layer []byte) Request {
	sum := sha256.Sum256(layer)
	return Request{
		Key: hex.EncodeToString(sum[:]), Digest: "sha256:" + hex.EncodeToString(sum[:]),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer)), nil },
	}
}

func readLayer(t *testing.T, layer []byte) (*Layer, error) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	l, err := Private(requestOf(layer))
	if err == nil {
		t.Cleanup(func() { _ = l.Close() })
	}
	return l, err
}

// contentAt is what a path of a layer holds.
func contentAt(t *testing.T, l *Layer, path string) string {
	t.Helper()
	for i := range l.Entries {
		if l.Entries[i].Path == path {
			content, err := l.open(&l.Entries[i])
			require.NoError(t, err)
			raw, err := io.ReadAll(content)
			require.NoError(t, err)
			return string(raw)
		}
	}
	require.Fail(t, "no such path", path)
	return ""
}

func pathsOf(l *Layer) []string {
	var all []string
	for i := range l.Entries {
		all = append(all, l.Entries[i].Path)
	}
	return all
}

func TestALayerIsUnpackedAsARuntimeDoes(t *testing.T) {
	link := func(name, target string, kind byte) archivetest.Entry {
		return archivetest.Entry{Name: name, Type: kind, Link: target}
	}
	dir := func(name string) archivetest.Entry { return archivetest.Entry{Name: name, Type: tar.TypeDir} }
	body := func(name, body string) archivetest.Entry { return archivetest.Entry{Name: name, Body: body} }
	for _, c := range []struct {
		name    string
		entries []archivetest.Entry
		paths   []string
		holds   map[string]string
	}{
		{"implied folders", []archivetest.Entry{body("a/b/c", "x")}, []string{"/a", "/a/b", "/a/b/c"}, map[string]string{"/a/b/c": "x"}},
		{"a folder after what is in it", []archivetest.Entry{body("a/b", "x"), dir("a")}, []string{"/a/b", "/a"}, nil},
		{"one path twice", []archivetest.Entry{body("a", "1"), body("a", "2")}, []string{"/a"}, map[string]string{"/a": "2"}},
		{"a file over a folder", []archivetest.Entry{body("a/b", "1"), body("a", "2")}, []string{"/a"}, map[string]string{"/a": "2"}},
		{"a hard link", []archivetest.Entry{body("a", "1"), link("b", "a", tar.TypeLink)}, []string{"/a", "/b"}, map[string]string{"/b": "1"}},
		{
			"a hard link whose file is replaced",
			[]archivetest.Entry{body("a", "1"), link("b", "/a", tar.TypeLink), body("a", "2")},
			[]string{"/b", "/a"},
			map[string]string{"/a": "2", "/b": "1"},
		},
		{"a hard link that points upwards", []archivetest.Entry{body("a", "1"), link("b", "../../a", tar.TypeLink)}, []string{"/a", "/b"}, map[string]string{"/b": "1"}},
		{
			"below a link",
			[]archivetest.Entry{dir("real"), link("soft", "real", tar.TypeSymlink), body("soft/a", "1")},
			[]string{"/real", "/soft", "/real/a"},
			map[string]string{"/real/a": "1"},
		},
		{
			"below a link to an absolute path",
			[]archivetest.Entry{dir("x"), link("x/soft", "/other", tar.TypeSymlink), body("x/soft/a", "1")},
			[]string{"/x", "/x/soft", "/other", "/other/a"},
			map[string]string{"/other/a": "1"},
		},
		{
			"below a link that points upwards",
			[]archivetest.Entry{link("soft", "../../../etc", tar.TypeSymlink), body("soft/a", "1")},
			[]string{"/soft", "/etc", "/etc/a"},
			map[string]string{"/etc/a": "1"},
		},
		{
			"below links in a circle",
			[]archivetest.Entry{link("a", "b", tar.TypeSymlink), link("b", "a", tar.TypeSymlink), body("a/x", "1")},
			[]string{"/a", "/b", "/a/x"},
			nil,
		},
		{"the root", []archivetest.Entry{dir("."), body("./a", "1")}, []string{"/", "/a"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := readLayer(t, archivetest.Layer(t, c.entries...))
			require.NoError(t, err)
			require.ElementsMatch(t, c.paths, pathsOf(l))
			for path, want := range c.holds {
				require.Equal(t, want, contentAt(t, l, path))
			}
		})
	}
}

func TestAFileWithHolesIsFilled(t *testing.T) {
	// "x", a hole of 4095 bytes, "y": as GNU tar writes it in its form 1.0.
	layer := archivetest.Layer(t)
	var out bytes.Buffer
	out.Write(sparse(t, "a/holes", 4097, [][2]int64{{0, 1}, {4096, 1}}, "xy"))
	out.Write(sparse(t, "a/huge", maxSparse+1, [][2]int64{{0, 1}}, "x"))
	out.Write(layer)
	l, err := readLayer(t, out.Bytes())
	require.NoError(t, err)
	require.Equal(t, "x"+strings.Repeat("\x00", 4095)+"y", contentAt(t, l, "/a/holes"))
	require.Equal(t, int64(4097), l.Filled())
	for i := range l.Entries {
		if l.Entries[i].Path == "/a/huge" {
			_, err := l.open(&l.Entries[i])
			require.ErrorIs(t, err, errNotKept)
		}
	}
}

// sparse is an entry with a map of its parts in front of its content.
func sparse(t *testing.T, name string, size int64, parts [][2]int64, content string) []byte {
	t.Helper()
	index := fmt.Sprintf("%d\n", len(parts))
	for _, p := range parts {
		index += fmt.Sprintf("%d\n%d\n", p[0], p[1])
	}
	index += strings.Repeat("\x00", 512-len(index)%512)
	records := ""
	for _, each := range []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=" + name, fmt.Sprintf("GNU.sparse.realsize=%d", size)} {
		length := len(each) + 5
		for len(fmt.Sprint(length))+2+len(each) != length {
			length--
		}
		records += fmt.Sprintf("%d %s\n", length, each)
	}
	var out bytes.Buffer
	for _, part := range []struct {
		kind byte
		body string
	}{{'x', records}, {'0', index + content}} {
		header := make([]byte, 512)
		copy(header, "sparse")
		copy(header[100:], "0000644\x000000000\x000000000\x00")
		copy(header[124:], fmt.Sprintf("%011o\x00%011o\x00", len(part.body), 0))
		header[156] = part.kind
		copy(header[257:], "ustar\x0000")
		copy(header[148:], "        ")
		sum := 0
		for _, b := range header {
			sum += int(b)
		}
		copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
		out.Write(header)
		out.WriteString(part.body)
		out.Write(make([]byte, (512-len(part.body)%512)%512))
	}
	return out.Bytes()
}

func TestALayerOutOfBoundsIsRefused(t *testing.T) {
	long := strings.Repeat("long/", maxPath/5+1)
	for name, entries := range map[string][]archivetest.Entry{
		"a long path": {{Name: long + "a", Body: "x"}},
		"a long link": {{Name: "a", Type: tar.TypeSymlink, Link: long}},
		"a path through links": {
			{Name: strings.Repeat("d/", 1500) + "a", Body: "x"},
			{Name: "s", Type: tar.TypeSymlink, Link: strings.Repeat("d/", 1500)},
			{Name: "s/" + strings.Repeat("e/", 1500) + "a", Body: "x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readLayer(t, archivetest.Layer(t, entries...))
			require.ErrorIs(t, err, errBounds)
		})
	}
}

func TestAWrongDigestIsNotBelieved(t *testing.T) {
	kept := t.TempDir()
	s, err := Open(kept, 1<<30)
	require.NoError(t, err)
	honest, evil := archivetest.Layer(t, archivetest.Entry{Name: "a", Body: "honest"}), archivetest.Layer(t, archivetest.Entry{Name: "a", Body: "evil"})
	for _, layer := range [][]byte{honest, evil, honest} {
		r := requestOf(layer)
		r.Digest = requestOf(honest).Digest // which is wrong for one of them
		l, err := s.Layer(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, requestOf(layer).Digest, l.Digest)
		require.Equal(t, bytes.Contains(layer, []byte("evil")), contentAt(t, l, "/a") == "evil")
		require.NoError(t, l.Close())
	}
}

func TestAKeptLayerIsInflatedOnce(t *testing.T) {
	kept := t.TempDir()
	layer := archivetest.Layer(t, archivetest.Entry{Name: "a/b", Body: "content"}, archivetest.Entry{Name: "c", Type: tar.TypeLink, Link: "gone"})
	opened := 0
	r := requestOf(layer)
	inner := r.Open
	r.Open = func() (io.ReadCloser, error) { opened++; return inner() }
	var first []Entry
	for range 3 { // each is another process
		s, err := Open(kept, 1<<30)
		require.NoError(t, err)
		for range 2 {
			l, err := s.Layer(t.Context(), r)
			require.NoError(t, err)
			if first == nil {
				first = l.Entries
			}
			require.Equal(t, first, l.Entries)
			require.Equal(t, "content", contentAt(t, l, "/a/b"))
			require.Equal(t, int64(len(layer)), l.Bytes())
			require.NoError(t, l.Close())
		}
	}
	require.Equal(t, 1, opened)
}

// TestADamagedLayerIsReadAgain changes each part of a kept file, one byte at a time.
func TestADamagedLayerIsReadAgain(t *testing.T) {
	layer := archivetest.Layer(t, archivetest.Entry{Name: "a", Body: "content"})
	r := requestOf(layer)
	kept := t.TempDir()
	s, err := Open(kept, 1<<30)
	require.NoError(t, err)
	l, err := s.Layer(t.Context(), r)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	path := filepath.Join(kept, "whole", r.Key)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	damages := map[string][]byte{"empty": {}, "short": whole[:len(whole)/2], "longer": append(bytes.Clone(whole), 0)}
	for at := 0; at < len(whole); at += 7 {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x20
		damages[fmt.Sprintf("byte %d", at)] = damaged
	}
	for name, damaged := range damages {
		require.NoError(t, os.WriteFile(path, damaged, 0o600))
		again, err := Open(kept, 1<<30)
		require.NoError(t, err)
		opened := false
		r := r
		inner := r.Open
		r.Open = func() (io.ReadCloser, error) { opened = true; return inner() }
		l, err := again.Layer(t.Context(), r)
		require.NoError(t, err, name)
		require.True(t, opened, "%s: a damaged file was believed", name)
		require.Equal(t, "content", contentAt(t, l, "/a"))
		require.NoError(t, l.Close())
		now, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, whole, now, name)
	}
}

func TestLayersAreEvictedButNotThoseInUse(t *testing.T) {
	one, two := archivetest.Layer(t, archivetest.Entry{Name: "a", Body: "1"}), archivetest.Layer(t, archivetest.Entry{Name: "a", Body: "2"})
	kept := t.TempDir()
	s, err := Open(kept, 1)
	require.NoError(t, err)
	first, err := s.Layer(t.Context(), requestOf(one))
	require.NoError(t, err)
	second, err := s.Layer(t.Context(), requestOf(two))
	require.NoError(t, err)
	require.Equal(t, "1", contentAt(t, first, "/a"), "its file is held")
	require.NoError(t, first.Close())
	require.NoError(t, second.Close())
	third, err := s.Layer(t.Context(), requestOf(archivetest.Layer(t, archivetest.Entry{Name: "a", Body: "3"})))
	require.NoError(t, err)
	require.NoError(t, third.Close())
	files, err := os.ReadDir(filepath.Join(kept, "whole"))
	require.NoError(t, err)
	require.Len(t, files, 1)
}

func TestProcessesShareOneLayer(t *testing.T) {
	kept := t.TempDir()
	layer := archivetest.Layer(t, archivetest.Entry{Name: "a", Body: strings.Repeat("x", 1<<20)})
	opened := make(chan struct{}, 100)
	done := make(chan error, 8)
	ctx := context.WithoutCancel(t.Context())
	for range 8 {
		s, err := Open(kept, 1<<30)
		require.NoError(t, err)
		go func() {
			r := requestOf(layer)
			inner := r.Open
			r.Open = func() (io.ReadCloser, error) { opened <- struct{}{}; return inner() }
			l, err := s.Layer(ctx, r)
			if err == nil {
				err = l.Close()
			}
			done <- err
		}()
	}
	for range 8 {
		require.NoError(t, <-done)
	}
	require.Len(t, opened, 1)
}

func TestAProgramsMarks(t *testing.T) {
	zeros := strings.Repeat("\x00", 200<<10)
	for name, c := range map[string]struct {
		body string
		want Traits
	}{
		"nothing":                {elfMagic + zeros, 0},
		"Go":                     {elfMagic + zeros + "\xff Go buildinf:" + zeros, GoInfo},
		"packed":                 {elfMagic + "\x00\x00UPX!" + zeros, GoInfo},
		"packed too late":        {elfMagic + zeros + "UPX!", 0},
		".NET":                   {elfMagic + zeros + string(bundleMark) + zeros, Bundle},
		".NET at the end":        {elfMagic + zeros + string(bundleMark), Bundle},
		".NET cut off":           {elfMagic + zeros + string(bundleMark[:31]), 0},
		".NET after a half mark": {elfMagic + string(bundleMark[:20]) + string(bundleMark), Bundle},
	} {
		t.Run(name, func(t *testing.T) {
			scan := newMarks()
			require.NoError(t, scan.read([]byte(c.body[:4]), strings.NewReader(c.body[4:])))
			require.Equal(t, c.want, scan.found)
		})
	}
	// A mark is found wherever it stands to the border of what is read at a time.
	for shift := range 64 {
		body := elfMagic + strings.Repeat("\x00", 64<<10-32+shift-4) + string(bundleMark) + "\xff Go buildinf:" + zeros
		scan := newMarks()
		require.NoError(t, scan.read([]byte(body[:4]), strings.NewReader(body[4:])))
		require.Equal(t, Bundle|GoInfo, scan.found, shift)
	}
}

// FuzzRead: a layer of any content is read or refused, all that is read lies within what was written, and what was written is
// read back as the same.
func FuzzRead(f *testing.F) {
	f.Add([]byte("no tar"))
	var seed bytes.Buffer
	w := tar.NewWriter(&seed)
	for _, h := range []tar.Header{
		{Name: "a/b", Typeflag: tar.TypeReg, Size: 4},
		{Name: "c", Typeflag: tar.TypeLink, Linkname: "a/b"},
		{Name: "s", Typeflag: tar.TypeSymlink, Linkname: "../a"},
		{Name: "s/x", Typeflag: tar.TypeReg},
		{Name: ".wh..wh..opq", Typeflag: tar.TypeReg},
		{Name: "d", Typeflag: tar.TypeDir},
	} {
		_ = w.WriteHeader(&h)
		_, _ = w.Write([]byte("\x7fELF")[:h.Size])
	}
	_ = w.Close()
	f.Add(seed.Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		into, err := os.Create(filepath.Join(t.TempDir(), "layer"))
		require.NoError(t, err)
		defer func() { _ = into.Close() }()
		l, err := read(bytes.NewReader(raw), into)
		if err != nil {
			return
		}
		require.Equal(t, int64(len(raw)), l.tar)
		seen := map[string]bool{}
		for i := range l.Entries {
			e := &l.Entries[i]
			require.True(t, strings.HasPrefix(e.Path, "/") && len(e.Path) <= maxPath && !seen[e.Path], e.Path)
			seen[e.Path] = true
			require.True(t, e.fits(l.tar+l.extra))
			if content, err := l.open(e); err == nil && e.Type == file.TypeRegular {
				n, err := io.Copy(io.Discard, content)
				require.NoError(t, err)
				require.Equal(t, e.Size, n)
			}
		}
		require.NoError(t, l.write(into))
		again, err := open(into)
		require.NoError(t, err)
		require.Equal(t, l.Digest, again.Digest)
		if len(l.Entries) > 0 {
			require.Equal(t, l.Entries, again.Entries)
		}
	})
}

// FuzzDecode: an index of any content is read or refused, and what is read fits the layer.
func FuzzDecode(f *testing.F) {
	l := &Layer{Entries: []Entry{{Path: "/a", MIME: "application/x-executable", Size: 3, Offset: 512}, {Path: "/b", Type: file.TypeSymLink, Link: "a", Offset: missing}}}
	f.Add(l.encode(), int64(1024))
	f.Add([]byte{}, int64(0))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, int64(1))
	f.Fuzz(func(t *testing.T, raw []byte, size int64) {
		entries, err := decode(raw, size)
		if err != nil {
			require.ErrorIs(t, err, errDamaged)
			return
		}
		for i := range entries {
			require.True(t, entries[i].fits(size))
		}
		back, err := decode((&Layer{Entries: entries}).encode(), size)
		require.NoError(t, err)
		require.Equal(t, entries, back)
	})
}

// FuzzOpen: a kept file of any content is read or refused.
func FuzzOpen(f *testing.F) {
	f.Add([]byte{}, []byte{})
	f.Add([]byte("tar"), (&Layer{Entries: []Entry{{Path: "/a"}}}).encode())
	f.Fuzz(func(t *testing.T, contents, foot []byte) {
		for _, raw := range [][]byte{contents, append(bytes.Clone(contents), foot...)} {
			if _, err := decodeFile(bytes.NewReader(raw), int64(len(raw)), nil); err != nil {
				require.ErrorIs(t, err, errDamaged)
			}
		}
	})
}
