package layers

import (
	"errors"
	"io"
	"os"
)

// Layer is what one layer of an image holds. Its entries are shared by all images with the layer, and never changed.
type Layer struct {
	// Digest is the sum of the inflated tar: what a configuration calls its diff ID.
	Digest string
	// Contents is the sum of the sizes that the tar's entries say.
	Contents int64
	Entries  []Entry

	// tar and extra are the bytes of the tar, and of what stands behind it.
	tar, extra int64
	file       *os.File
}

// Bytes is how many bytes the layer takes: its tar, and its files with holes with their holes filled.
func (l *Layer) Bytes() int64 { return l.tar + l.extra }

// Filled is how many of these bytes the tar does not hold.
func (l *Layer) Filled() int64 { return l.extra }

// Close lets others remove the layer's file.
func (l *Layer) Close() error { return l.file.Close() }

// content is a file of the layer that can be read from any place. Closing it closes nothing.
type content struct{ *io.SectionReader }

func (content) Close() error { return nil }

// errNotKept is a file with holes that is too large to be kept.
var errNotKept = errors.New("it is a file with holes, and too large with its holes filled")

func (l *Layer) open(e *Entry) (io.ReadCloser, error) {
	if e.Offset == missing {
		return nil, errNotKept
	}
	return content{io.NewSectionReader(l.file, e.Offset, e.Size)}, nil
}
