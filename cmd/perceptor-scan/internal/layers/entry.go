package layers

import (
	"io/fs"
	"path"
	"time"

	"github.com/anchore/stereoscope/pkg/file"
)

// Entry is one path of a layer, after the entries of the layer's tar were applied to each other.
type Entry struct {
	Path string
	// Link is where a symbolic link leads, or the file of a lower layer that a hard link names.
	Link string
	// MIME is the type of a program; it is empty for all other files.
	MIME string
	Type file.Type
	// Traits are what a look at a program says.
	Traits   Traits
	Mode     fs.FileMode
	UID, GID int
	Size     int64
	// Modified is the time in nanoseconds since 1970.
	Modified int64
	// Offset is where the content stands in the layer's file; negative where the content is not there.
	Offset int64
}

// metadata is the entry as stereoscope describes a file.
func (e *Entry) metadata() file.Metadata {
	return file.Metadata{
		FileInfo: file.ManualInfo{NameValue: path.Base(e.Path), SizeValue: e.Size, ModeValue: e.Mode, ModTimeValue: time.Unix(0, e.Modified)},
		Path:     e.Path, LinkDestination: e.Link, UserID: e.UID, GroupID: e.GID, Type: e.Type, MIMEType: e.MIME,
	}
}

// adopt makes a hard link a second name of the file that it names. The permissions and the time stay those of the link.
func (e *Entry) adopt(target *Entry) {
	e.Mode = e.Mode&^fs.ModeType | target.Mode&fs.ModeType
	e.Type, e.MIME, e.Link, e.Traits = target.Type, target.MIME, target.Link, target.Traits
	e.Size, e.Offset = target.Size, target.Offset
}

// Traits is what one look at a program says of the catalogers that could find something in it.
type Traits uint8

// The traits. Without Parsed the others mean nothing but CutOff: then every cataloger looks for itself.
const (
	// Parsed says that the program is an ELF file with a table of sections, so that the absence of a mark is known.
	Parsed Traits = 1 << iota
	// GoInfo is the mark of Go's build information, or of a packed program that may hold it.
	GoInfo
	// RustInfo is a section in which cargo lists what a program was built from.
	RustInfo
	// Note is a section that names the package of a program.
	Note
	// NativeImage is the symbol of the SBOM that GraalVM puts into a program.
	NativeImage
	// Bundle is the mark of a .NET program in a single file.
	Bundle
	// CutOff says that the file ends before the end that its own tables name.
	CutOff

	allTraits = Parsed | GoInfo | RustInfo | Note | NativeImage | Bundle | CutOff
)

// Has reports whether a trait is set.
func (t Traits) Has(trait Traits) bool { return t&trait != 0 }
