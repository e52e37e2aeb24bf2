package layers

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/stereoscope/pkg/filetree"
	stereoscope "github.com/anchore/stereoscope/pkg/image"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Image is an image as Syft reads it, with what is known of its files besides.
type Image struct {
	*stereoscope.Image
	read   []*Layer
	traits map[file.ID]Traits
	// origins are the contents that a layer does not hold itself: those of files of lower layers that its hard links name.
	origins map[file.ID]origin
}

// origin is where a content stands.
type origin struct {
	layer *Layer
	entry *Entry
}

// Traits is what is known of a program. It is zero for all other files.
func (i *Image) Traits(of file.Reference) Traits { return i.traits[of.ID()] }

// Origin names the content of a file whose layer does not hold it; empty for all other files, whose layer and path name it.
func (i *Image) Origin(of file.Reference) string {
	o, is := i.origins[of.ID()]
	if !is {
		return ""
	}
	return fmt.Sprintf("%s %s %d", o.layer.Digest, o.entry.Path, o.entry.Offset)
}

// HasPart reports whether a path of any layer has some text in it.
func (i *Image) HasPart(text string) bool {
	for _, l := range i.read {
		for at := range l.Entries {
			if strings.Contains(l.Entries[at].Path, text) {
				return true
			}
		}
	}
	return false
}

// assembly is an image that is being put together.
type assembly struct {
	*Image
	catalog *stereoscope.FileCatalog
	squash  *filetree.FileTree
	// places are where the content of each file of the layers so far stands.
	places map[file.ID]origin
}

// Assemble puts an image together from its layers, the lowest first, as stereoscope would read it.
func Assemble(content v1.Image, all []*Layer) (*Image, error) {
	img := stereoscope.New(content, file.NewTempDirGenerator("perceptor-scan"), "")
	if err := describe(img, content); err != nil {
		return nil, fmt.Errorf("read the image's configuration: %w", err)
	}
	layers, err := content.Layers()
	if err != nil {
		return nil, fmt.Errorf("read the image's layers: %w", err)
	}
	a := &assembly{
		Image: &Image{Image: img, read: all, traits: map[file.ID]Traits{}, origins: map[file.ID]origin{}}, catalog: stereoscope.NewFileCatalog(),
		squash: filetree.New(), places: map[file.ID]origin{},
	}
	if !slices.ContainsFunc(all, hasHardLinks) {
		a.places = nil // they are asked for by hard links alone
	}
	for i, l := range all {
		described := stereoscope.NewLayer(layers[i])
		kind, err := layers[i].MediaType()
		if err != nil {
			return nil, fmt.Errorf("read the image's layers: %w", err)
		}
		described.Metadata = stereoscope.LayerMetadata{Index: uint(i), Digest: l.Digest, MediaType: kind, Size: l.Contents}
		if err := a.add(l, described); err != nil {
			return nil, fmt.Errorf("apply layer %d of %d: %w", i+1, len(all), err)
		}
	}
	img.FileCatalog = a.catalog
	img.SquashedSearchContext = filetree.NewSearchContext(a.squash, a.catalog.Index)
	return a.Image, nil
}

func hasHardLinks(l *Layer) bool {
	return slices.ContainsFunc(l.Entries, func(e Entry) bool { return e.Type == file.TypeHardLink })
}

// describe fills in what the configuration says.
func describe(img *stereoscope.Image, content v1.Image) error {
	config, err := content.ConfigFile()
	if err != nil {
		return err
	}
	raw, err := content.RawConfigFile()
	if err != nil {
		return err
	}
	id, err := content.ConfigName()
	if err != nil {
		return err
	}
	kind, err := content.MediaType()
	if err != nil {
		return err
	}
	img.Metadata = stereoscope.Metadata{
		ID: id.String(), Config: *config, RawConfig: raw, MediaType: kind, OS: config.OS, Architecture: config.Architecture, Variant: config.Variant,
	}
	return nil
}

// add puts the next layer on top.
func (a *assembly) add(l *Layer, described *stereoscope.Layer) error {
	tree := filetree.New()
	builder := filetree.NewBuilder(tree, a.catalog.Index)
	for i := range l.Entries {
		e := &l.Entries[i]
		from := origin{layer: l, entry: e}
		adopted := false
		if e.Type == file.TypeHardLink {
			e, from, adopted = a.lower(e, from)
		}
		ref, err := builder.Add(e.metadata())
		if err != nil {
			return err
		}
		a.catalog.AssociateLayer(*ref, described)
		a.catalog.AssociateOpener(*ref, from.open)
		if a.places != nil {
			a.places[ref.ID()] = from
		}
		if e.Traits != 0 {
			a.traits[ref.ID()] = e.Traits
		}
		if adopted {
			a.origins[ref.ID()] = from
		}
	}
	if err := a.squash.Merge(tree); err != nil {
		return err
	}
	described.Tree, described.SquashedTree = tree, a.squash
	a.Metadata.Size += l.Contents
	a.Layers = append(a.Layers, described)
	return nil
}

// lower is a hard link as the file of a lower layer that it names. It keeps that content, whatever later layers put there.
func (a *assembly) lower(e *Entry, from origin) (*Entry, origin, bool) {
	found, at, err := a.squash.File(file.Path(e.Link))
	if err != nil || !found || at == nil || at.Reference == nil {
		slog.Warn("a hard link names a file that no lower layer has", "path", e.Path, "file", e.Link)
		return e, from, false
	}
	target, known := a.places[at.ID()]
	if !known || target.entry.Type == file.TypeDirectory || target.entry.Type == file.TypeHardLink {
		return e, from, false
	}
	linked := *e
	linked.adopt(target.entry)
	return &linked, target, true
}

func (o origin) open() (io.ReadCloser, error) { return o.layer.open(o.entry) }
