package layers

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"strings"

	"github.com/anchore/stereoscope/pkg/file"
)

const (
	// chunk is how much of a layer is in memory at a time.
	chunk = 256 << 10
	// mimeHead is how much of a program its type is read from: what the library that does so reads.
	mimeHead = 3072
	// maxSparse is how many bytes of a layer's files with holes are kept, with their holes filled. Their size costs nothing
	// in a tar, so it may be anything.
	maxSparse = 64 << 20
)

// spool passes a layer's tar on to a file and a hash while it is read. Going forward in it copies nothing.
type spool struct {
	from   io.Reader
	into   *bufio.Writer
	sum    hash.Hash
	buffer []byte
	rest   []byte // of the buffer, not read yet
	at     int64  // of the reader
	err    error
}

func newSpool(from io.Reader, into io.Writer) *spool {
	return &spool{from: from, into: bufio.NewWriterSize(into, chunk), sum: sha256.New(), buffer: make([]byte, chunk)}
}

// fill reads on when all was read that is in memory.
func (s *spool) fill() error {
	for len(s.rest) == 0 {
		if s.err != nil {
			return s.err
		}
		n, err := s.from.Read(s.buffer)
		s.rest, s.err = s.buffer[:n], err
		_, _ = s.sum.Write(s.rest)
		if _, err := s.into.Write(s.rest); err != nil {
			s.err = err
			return err
		}
	}
	return nil
}

// Read reads on in the tar.
func (s *spool) Read(p []byte) (int, error) {
	if err := s.fill(); err != nil {
		return 0, err
	}
	n := copy(p, s.rest)
	s.rest, s.at = s.rest[n:], s.at+int64(n)
	return n, nil
}

// Seek goes forward from the current place, as far as the tar goes. Nothing else works.
func (s *spool) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekCurrent || offset < 0 {
		return 0, errors.New("a layer is read forward only")
	}
	for offset > 0 {
		err := s.fill()
		if errors.Is(err, io.EOF) {
			return s.at, nil
		}
		if err != nil {
			return s.at, err
		}
		n := min(offset, int64(len(s.rest)))
		s.rest, s.at, offset = s.rest[n:], s.at+n, offset-n
	}
	return s.at, nil
}

// finish passes the rest on and answers with the digest of the whole.
func (s *spool) finish() (string, error) {
	for {
		s.at, s.rest = s.at+int64(len(s.rest)), nil
		err := s.fill()
		if errors.Is(err, io.EOF) {
			return "sha256:" + hex.EncodeToString(s.sum.Sum(nil)), s.into.Flush()
		}
		if err != nil {
			return "", err
		}
	}
}

// reading is a layer that is being read.
type reading struct {
	spool    *spool
	tree     *tree
	programs []*program
	// sparse is the content of files with holes, which stands behind the tar.
	sparse bytes.Buffer
	// sum is of the sizes that the tar's headers say.
	sum int64
}

// program is an ELF file that is looked at once the layer's file is whole.
type program struct {
	offset, size int64
	traits       Traits
}

// read inflates a layer into a file and writes down what it holds. Behind the tar stands the content of files with holes.
func read(from io.Reader, into *os.File) (*Layer, error) {
	r := &reading{spool: newSpool(from, into), tree: newTree()}
	archive := tar.NewReader(r.spool)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := r.entry(header, archive); err != nil {
			return nil, err
		}
	}
	digest, err := r.spool.finish()
	if err != nil {
		return nil, err
	}
	l := &Layer{Digest: digest, tar: r.spool.at, extra: int64(r.sparse.Len()), Contents: r.sum, file: into}
	if _, err := into.Write(r.sparse.Bytes()); err != nil {
		return nil, err
	}
	traits := map[int64]Traits{}
	for _, p := range r.programs {
		if p.offset < missing {
			p.offset = l.tar + behind(p.offset)
		}
		traits[p.offset] = p.traits | look(io.NewSectionReader(into, p.offset, p.size), p.size)
	}
	l.Entries = r.tree.entries()
	for i := range l.Entries {
		e := &l.Entries[i]
		if e.Offset < missing {
			e.Offset = l.tar + behind(e.Offset)
		}
		if is, known := traits[e.Offset]; known && e.Type == file.TypeRegular && e.Size > 0 {
			e.Traits = is
		}
	}
	return l, nil
}

// missing is the offset of a content that was not kept. While the length of the tar is not known, lower ones are places
// behind it.
const missing = -1

// behind turns a place behind the tar into an offset below missing, and back.
func behind(place int64) int64 { return missing - 1 - place }

// entry reads one entry of the tar.
func (r *reading) entry(header *tar.Header, content io.Reader) error {
	if header.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if header.Size < 0 {
		return fmt.Errorf("%w: an entry has a size below zero", errBounds)
	}
	info := header.FileInfo()
	e := Entry{
		Path: path.Clean("/" + header.Name), Link: header.Linkname, Type: file.TypeFromTarType(header.Typeflag), Mode: info.Mode(),
		UID: header.Uid, GID: header.Gid, Size: header.Size, Modified: nanoseconds(header), Offset: r.spool.at,
	}
	if header.Typeflag == tar.TypeGNUSparse {
		e.Type = file.TypeRegular
	}
	r.sum += header.Size
	switch {
	case e.Type != file.TypeRegular:
		e.Size = 0
	case isSparse(header):
		if err := r.fill(&e, content); err != nil {
			return err
		}
	default:
		if err := r.content(&e, content); err != nil {
			return err
		}
	}
	return r.tree.add(e)
}

// nanoseconds is an entry's time, zero where it is beyond what fits.
func nanoseconds(header *tar.Header) int64 {
	if header.ModTime.Year() < 1678 || header.ModTime.Year() > 2261 {
		return 0
	}
	return header.ModTime.UnixNano()
}

func isSparse(header *tar.Header) bool {
	if header.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range header.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// fill keeps a file with holes, with the holes filled. One that is too large stays without content.
func (r *reading) fill(e *Entry, content io.Reader) error {
	if e.Size > maxSparse-int64(r.sparse.Len()) {
		e.Offset = missing
		return nil
	}
	e.Offset = behind(int64(r.sparse.Len()))
	start := r.sparse.Len()
	if _, err := io.Copy(&r.sparse, content); err != nil {
		return err
	}
	return r.content(e, bytes.NewReader(r.sparse.Bytes()[start:]))
}

// content looks at a file's first bytes, and reads a program to its end for the marks in it.
func (r *reading) content(e *Entry, content io.Reader) error {
	head := make([]byte, min(e.Size, int64(len(elfMagic))))
	if _, err := io.ReadFull(content, head); err != nil {
		return err
	}
	if !isProgram(head) {
		return nil
	}
	scan := newMarks()
	if err := scan.read(head, content); err != nil {
		return err
	}
	e.MIME = file.MIMEType(bytes.NewReader(scan.head))
	if string(head) == elfMagic {
		r.programs = append(r.programs, &program{offset: e.Offset, size: e.Size, traits: scan.found})
	}
	return nil
}
