package catalog

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// withoutBlankLines leaves out what an entry leaves behind of which nothing was kept.
func withoutBlankLines(list []byte) string {
	var kept strings.Builder
	for line := range strings.Lines(string(list)) {
		if strings.TrimSpace(line) != "" {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// FuzzDpkgStatus: a repaired list holds only fields, and repairing it again changes nothing.
func FuzzDpkgStatus(f *testing.F) {
	for _, seed := range []string{
		"", "Package: a\nVersion: 1\n\n", "Package: a\nStatus: deinstall ok installed\nVersion: 1",
		"<html>", "\n \n\t", "A: b\n c\nA: d\n e\n", "\x00:\xff\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		once := (&resolver{notes: newNotes()}).dpkgStatus("/var/lib/dpkg/status", raw)
		for line := range strings.Lines(string(once)) {
			require.True(t, strings.TrimSpace(line) == "" || line[0] == ' ' || strings.Contains(line, ":"), "%q", line)
		}
		again := (&resolver{notes: newNotes()}).dpkgStatus("/var/lib/dpkg/status", once)
		require.Equal(t, withoutBlankLines(once), withoutBlankLines(again))
	})
}

// FuzzPackageJSON: whatever a package.json holds, it is answered with something, or there is a note.
func FuzzPackageJSON(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"name":"a","version":"1"}`, `{"name":7}`, "\xef\xbb\xbf{}", "\xff\xfe{\x00}\x00", `{"name":"a","version":4,"author":[]}`, "[", "null"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := &resolver{notes: newNotes()}
		out := r.packageJSON("/app/node_modules/a/package.json", raw)
		require.True(t, len(out) > 0 || len(raw) == 0 || len(r.notes.unread) > 0)
	})
}

// FuzzReadJar: an archive is read or refused, and what it holds in it is bounded.
func FuzzReadJar(f *testing.F) {
	var good bytes.Buffer
	w := zip.NewWriter(&good)
	_, err := w.Create("a/A.class")
	require.NoError(f, err)
	require.NoError(f, w.Close())
	f.Add(good.Bytes())
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		parts, err := readJar(bytes.NewReader(raw), int64(len(raw)), 1)
		require.Equal(t, err == nil, parts != nil)
		if parts != nil {
			require.True(t, !parts.hasUnnamedCode() || parts.hasCode())
		}
	})
}
