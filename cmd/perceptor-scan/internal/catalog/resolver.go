package catalog

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"

	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/source"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/layers"
)

// maxRepaired bounds the files that are read whole before Syft reads them. A dpkg list of 5,000 packages has 5 MB.
const maxRepaired = 64 << 20

// statusDirectory is where images without dpkg keep one file for each package.
const (
	statusDirectory = "/lib/dpkg/status.d"
	statusPattern   = "**" + statusDirectory + "/*"
)

// notes are what was found out while files were read, by the path of the file.
type notes struct {
	mutex sync.Mutex
	// unread are the reasons why something in a file was not understood.
	unread map[string]string
	// removed are the lists of packages that were understood and say that nothing is installed.
	removed map[string]bool
}

func newNotes() *notes { return &notes{unread: map[string]string{}, removed: map[string]bool{}} }

func (n *notes) note(path, reason string) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if _, known := n.unread[path]; !known && reason != "" {
		n.unread[path] = reason
	}
}

func (n *notes) noteRemoved(path string) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.removed[path] = true
}

// repairedSource is an image in which Syft reads some files in a form that it understands.
type repairedSource struct {
	source.Source
	image *layers.Image
	notes *notes
}

// FileResolver is the image's own, with repairs.
func (s repairedSource) FileResolver(scope source.Scope) (file.Resolver, error) {
	inner, err := s.Source.FileResolver(scope)
	if err != nil {
		return nil, err
	}
	return &resolver{answers: &answers{Resolver: inner, image: s.image, known: map[string]answer{}}, notes: s.notes}, nil
}

// resolver finds and opens the files of an image. Lists of packages that Syft would misread come out repaired, and what
// cannot be repaired is noted.
type resolver struct {
	*answers
	notes *notes
}

// FileContentsByLocation opens a file. A list of packages is read whole and repaired.
func (r *resolver) FileContentsByLocation(location file.Location) (io.ReadCloser, error) {
	content, err := r.Resolver.FileContentsByLocation(location)
	if err != nil {
		return nil, err
	}
	repair := r.repairOf(location)
	if repair == nil {
		return content, nil
	}
	raw, err := io.ReadAll(io.LimitReader(content, maxRepaired+1))
	if err != nil {
		_ = content.Close()
		return nil, fmt.Errorf("read %s: %w", location.RealPath, err)
	}
	if len(raw) > maxRepaired {
		r.notes.note(location.RealPath, fmt.Sprintf("it has more than %d bytes", maxRepaired))
		return passed{io.MultiReader(bytes.NewReader(raw), content), content}, nil
	}
	return io.NopCloser(bytes.NewReader(repair(location.RealPath, raw))), content.Close()
}

// passed is a file of which a part was read before.
type passed struct {
	io.Reader
	io.Closer
}

// repairOf is how a file's content is repaired, nil for all but a few lists of packages.
func (r *resolver) repairOf(location file.Location) func(path string, raw []byte) []byte {
	for _, each := range []string{location.AccessPath, location.RealPath} {
		switch {
		case path.Base(each) == "package.json":
			return r.packageJSON
		case path.Base(each) == "METADATA", path.Base(each) == "PKG-INFO":
			return func(_ string, raw []byte) []byte { text, _ := toUTF8(raw); return text }
		case strings.HasSuffix(each, "/lib/apk/db/installed"):
			return r.apkList
		case strings.HasSuffix(each, "/lib/dpkg/status"), strings.HasSuffix(each, "/lib/opkg/status"):
			return r.dpkgStatus
		case strings.HasSuffix(path.Dir(each), statusDirectory):
			if besideEntry(each) {
				return nil
			}
			return r.dpkgStatus
		}
	}
	return nil
}

// apkList notes a list of apk that was cut off: each of its lines has an end, and an empty line ends each entry.
func (r *resolver) apkList(where string, raw []byte) []byte {
	switch {
	case len(raw) > 0 && raw[len(raw)-1] != '\n':
		r.notes.note(where, "it ends in the middle of a line")
	case len(raw) > 0 && !bytes.HasSuffix(raw, []byte("\n\n")):
		r.notes.note(where, "it ends in the middle of an entry")
	}
	return raw
}

// besideEntry reports whether a file of a status directory belongs to a package without describing it, such as the sums
// of its files.
func besideEntry(name string) bool {
	switch path.Ext(name) {
	case ".md5sums", ".list", ".conffiles", ".preinst", ".postinst", ".prerm", ".postrm", ".triggers", ".shlibs", ".symbols", ".templates", ".config":
		return true
	}
	return false
}
