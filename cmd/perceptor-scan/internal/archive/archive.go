package archive

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/model"
)

// The bounds of an archive's own parts. Docker allows 127 layers, and Linux mounts 500; a manifest or configuration of megabytes is no honest
// one (registries refuse manifests over 4 MiB).
const (
	maxEntries  = 100_000
	maxLayers   = 1_000
	maxDocument = 16 << 20
	maxLinks    = 16
)

const manifestName = "manifest.json"

// extent is where an entry's content stands in the archive.
type extent struct {
	offset, size int64
	// link is the name of another entry, for a link.
	link string
}

// manifest is one image of an archive, in docker's own form.
type manifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Archive is an opened archive that holds one image. Close it after the last use of that image.
type Archive struct {
	file      *os.File
	entries   map[string]extent
	manifest  manifest
	rawConfig []byte
	config    *v1.ConfigFile
	meter     *meter
}

// meter counts all layers together: what they take in the archive, which is known beforehand, and what they unpack to,
// which is not.
type meter struct {
	read, unpacked atomic.Int64
	quota, total   int64
	progress       func(read, total int64)
}

// Open reads the archive's index, manifest and configuration. Quota is how many bytes all its layers may unpack to, no
// limit when 0. Progress is called by several goroutines while layers are read, in bytes of the archive. A wrong archive
// is a protocol.Failure that says what is wrong.
func Open(name string, quota int64, progress func(read, total int64)) (*Archive, error) {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, protocol.Failure{Class: model.NotFound, Message: fmt.Sprintf("there is no image tar at %s", name)}
	}
	if err != nil {
		return nil, fmt.Errorf("open image tar: %w", err)
	}
	a := &Archive{file: file, meter: &meter{quota: quota, progress: progress}}
	if err := a.read(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return a, nil
}

// Close ends all reading.
func (a *Archive) Close() error { return a.file.Close() }

func (a *Archive) read() error {
	if err := a.index(); err != nil {
		return err
	}
	var manifests []manifest
	if err := a.document(manifestName, &manifests); err != nil {
		return err
	}
	if len(manifests) != 1 {
		return malformed("it holds %d images, want exactly one", len(manifests))
	}
	a.manifest = manifests[0]
	if have := len(a.manifest.Layers); have > maxLayers {
		return malformed("it has %d layers, want at most %d", have, maxLayers)
	}
	var config v1.ConfigFile
	if err := a.document(a.manifest.Config, &config); err != nil {
		return err
	}
	a.config = &config
	if have, want := len(a.manifest.Layers), len(config.RootFS.DiffIDs); have != want {
		return malformed("its manifest names %d layers and its configuration %d", have, want)
	}
	for _, layer := range a.manifest.Layers {
		entry, err := a.find(layer)
		if err != nil {
			return err
		}
		a.meter.total += entry.size
	}
	return nil
}

// index notes where each entry's content stands. The reader skips contents by seeking, so this costs one read for each
// entry, and a file that ends too early is found here.
func (a *Archive) index() error {
	a.entries = map[string]extent{}
	reader := tar.NewReader(a.file)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return unreadable(err)
		}
		offset, err := a.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return fmt.Errorf("read image tar: %w", err)
		}
		if len(a.entries) >= maxEntries {
			return malformed("it has more than %d entries", maxEntries)
		}
		switch header.Typeflag {
		case tar.TypeReg:
			a.entries[clean(header.Name)] = extent{offset: offset, size: header.Size}
		case tar.TypeSymlink:
			// #nosec G305 -- names of entries, none of which ever becomes a path on a disk
			a.entries[clean(header.Name)] = extent{link: clean(path.Join(path.Dir(header.Name), header.Linkname))}
		case tar.TypeLink:
			a.entries[clean(header.Name)] = extent{link: clean(header.Linkname)}
		}
	}
}

// clean is an entry's name as a path within the archive, from which nothing leads out.
func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// find follows links between entries: older dockers write a layer that occurs twice as a link.
func (a *Archive) find(name string) (extent, error) {
	entry, ok := a.entries[clean(name)]
	for hops := 0; ok && entry.link != ""; hops++ {
		if hops == maxLinks {
			return extent{}, malformed("its entry %.100q is a link without an end", name)
		}
		entry, ok = a.entries[entry.link]
	}
	if !ok {
		if name == manifestName {
			return extent{}, malformed("it has no %s; want the form of \"docker save\"", manifestName)
		}
		return extent{}, malformed("its entry %.100q is missing", name)
	}
	return entry, nil
}

// document reads one JSON entry; the configuration's own bytes are kept, since their sum is the image's id.
func (a *Archive) document(name string, into any) error {
	entry, err := a.find(name)
	if err != nil {
		return err
	}
	if entry.size > maxDocument {
		return malformed("its entry %.100q has %d bytes, want at most %d", name, entry.size, maxDocument)
	}
	raw := make([]byte, entry.size)
	if _, err := a.file.ReadAt(raw, entry.offset); err != nil {
		return unreadable(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return malformed("its entry %.100q is not what it should be: %s", name, err)
	}
	if name == a.manifest.Config {
		a.rawConfig = raw
	}
	return nil
}

// layerForm is how the layers of a pulled image are named: by the digest of the layer as the registry stores it.
var layerForm = regexp.MustCompile(`^([0-9a-f]{64})\.tar$`)

// Key is the digest in the name of a layer, in hexadecimal; empty where the name is another. Whether it is the layer's digest
// is for the one to know who has written the archive.
func (a *Archive) Key(at int) string {
	name := a.manifest.Layers[at]
	found := layerForm.FindStringSubmatch(name)
	if found == nil || a.entries[name].link != "" {
		return ""
	}
	return found[1]
}

// Known counts a layer that was not read because its contents are known: as read, and as unpacked to some bytes. It fails like
// reading the layer does.
func (a *Archive) Known(at int, bytes int64) error {
	entry, err := a.find(a.manifest.Layers[at])
	if err != nil {
		return err
	}
	a.meter.progress(a.meter.read.Add(entry.size), a.meter.total)
	return a.Unpacked(bytes)
}

// Unpacked counts bytes that a layer has unpacked to beside its tar. It fails when the image has unpacked to more than its quota.
func (a *Archive) Unpacked(bytes int64) error { return a.meter.unpack(bytes) }

func malformed(format string, args ...any) error {
	return protocol.Failure{Class: model.Invalid, Message: "the image tar is malformed: " + fmt.Sprintf(format, args...)}
}

// unreadable tells a file that ends too early from a disk that does not answer.
func unreadable(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return malformed("it ends in the middle; pull it again")
	case errors.Is(err, tar.ErrHeader):
		return malformed("it is no tar file, or a damaged one")
	}
	if _, onDisk := errors.AsType[*fs.PathError](err); onDisk {
		return fmt.Errorf("read image tar: %w", err)
	}
	return malformed("%s", err)
}
