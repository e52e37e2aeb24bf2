package samples

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// entry is one file or directory of a layer.
type entry struct {
	path string // a directory ends in a slash
	mode int64
	text string // the content, where from is empty
	from string // the file that has the content
}

// baseFiles is the lowest layer of every sample that holds one program: users
// and groups by name, a place for temporary files.
var baseFiles = []entry{
	{path: "etc/", mode: 0o755},
	{path: "etc/passwd", mode: 0o644, text: "root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"},
	{path: "etc/group", mode: 0o644, text: "root:x:0:\nnobody:x:65534:\n"},
	{path: "etc/nsswitch.conf", mode: 0o644, text: "hosts: files dns\n"},
	{path: "tmp/", mode: 0o1777},
	{path: "usr/", mode: 0o755},
}

// pack makes a layer of entries, in their order, with fixed dates and owners.
func pack(entries []entry) (v1.Layer, error) {
	return layerOf(func() (io.ReadCloser, error) {
		reader, writer := io.Pipe()
		go func() { _ = writer.CloseWithError(write(writer, entries)) }()
		return reader, nil
	})
}

func write(to io.Writer, entries []entry) error {
	archive := tar.NewWriter(to)
	for _, entry := range entries {
		if err := entry.write(archive); err != nil {
			return fmt.Errorf("pack %s: %w", entry.path, err)
		}
	}
	return archive.Close()
}

func (e entry) write(archive *tar.Writer) error {
	header := &tar.Header{Name: e.path, Mode: e.mode, ModTime: birth, Format: tar.FormatPAX, Typeflag: tar.TypeReg, Size: int64(len(e.text))}
	if strings.HasSuffix(e.path, "/") {
		header.Typeflag = tar.TypeDir
	}
	var content io.Reader = strings.NewReader(e.text)
	if e.from != "" {
		file, err := os.Open(e.from)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		header.Size, content = info.Size(), file
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := io.Copy(archive, content)
	return err
}
