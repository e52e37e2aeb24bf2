package archive

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/model"
)

// Image is the archive as an image whose layers are read uncompressed. Layers are taken by their place, never by the
// sum the configuration claims for them: two may claim the same.
func (a *Archive) Image() (v1.Image, error) {
	base, err := partial.UncompressedToImage(core{a})
	if err != nil {
		return nil, err
	}
	return archived{Image: base, archive: a}, nil
}

// archived is the image with its layers in the manifest's order.
type archived struct {
	v1.Image
	archive *Archive
}

// Layers answers with every layer, lowest first.
func (i archived) Layers() ([]v1.Layer, error) {
	layers := make([]v1.Layer, 0, len(i.archive.manifest.Layers))
	for at := range i.archive.manifest.Layers {
		layer, err := partial.UncompressedToLayer(layer{i.archive, at})
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	return layers, nil
}

// core is what an image is built from.
type core struct{ *Archive }

// RawConfigFile is the configuration as it stands in the archive.
func (c core) RawConfigFile() ([]byte, error) { return c.rawConfig, nil }

// MediaType is docker's, whatever the image was pulled as: the archive does not tell.
func (core) MediaType() (types.MediaType, error) { return types.DockerManifestSchema2, nil }

// LayerByDiffID finds a layer by the sum the configuration claims for it.
func (c core) LayerByDiffID(sum v1.Hash) (partial.UncompressedLayer, error) {
	for at, each := range c.config.RootFS.DiffIDs {
		if each == sum {
			return layer{c.Archive, at}, nil
		}
	}
	return nil, fmt.Errorf("find layer %s in the image tar: none", sum)
}

// layer is the archive's layer at one place.
type layer struct {
	archive *Archive
	at      int
}

// DiffID is what the configuration claims.
func (l layer) DiffID() (v1.Hash, error) { return l.archive.config.RootFS.DiffIDs[l.at], nil }

// MediaType says that the layer is read uncompressed.
func (layer) MediaType() (types.MediaType, error) { return types.DockerUncompressedLayer, nil }

// Uncompressed streams the layer's own tar and counts it.
func (l layer) Uncompressed() (io.ReadCloser, error) {
	entry, err := l.archive.find(l.archive.manifest.Layers[l.at])
	if err != nil {
		return nil, err
	}
	stream, err := decompress(&metered{from: io.NewSectionReader(l.archive.file, entry.offset, entry.size), meter: l.archive.meter})
	if err != nil {
		return nil, l.damaged(err)
	}
	return &counted{stream: stream, layer: l}, nil
}

func (l layer) damaged(err error) error {
	return malformed("its layer %d of %d cannot be unpacked: %s", l.at+1, len(l.archive.manifest.Layers), err)
}

// The first bytes of compressed streams (RFC 1952 section 2.3.1 and RFC 8878 section 3.1.1).
var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// maxWindow bounds the memory a zstd stream may ask for; 128 MiB is what the reference tool accepts by default.
const maxWindow = 128 << 20

// decompress looks at the first bytes, not at names: archives hold their layers plain or compressed under one name.
func decompress(r io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	// A layer shorter than the magic is plain, and its reader finds out what it is.
	head, _ := buffered.Peek(len(zstdMagic))
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		return gzip.NewReader(buffered)
	case bytes.Equal(head, zstdMagic), isSkippable(head):
		decoder, err := zstd.NewReader(buffered, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return decoder.IOReadCloser(), nil
	default:
		return io.NopCloser(buffered), nil
	}
}

// isSkippable reports whether a zstd stream begins with a frame that decoders pass over (RFC 8878 section 3.1.2): sixteen
// magic numbers, which differ in their first four bits.
func isSkippable(head []byte) bool {
	return len(head) == len(zstdMagic) && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:], []byte{0x2a, 0x4d, 0x18})
}

// metered counts what is read of the archive.
type metered struct {
	from  io.Reader
	meter *meter
}

// Read reads on and tells how far all layers are.
func (m *metered) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)
	m.meter.progress(m.meter.read.Add(int64(n)), m.meter.total)
	return n, err
}

// counted is a layer's stream under the quota of the whole image.
type counted struct {
	stream io.ReadCloser
	layer  layer
}

// unpack counts bytes and fails when they are more than the quota.
func (m *meter) unpack(bytes int64) error {
	if unpacked := m.unpacked.Add(bytes); m.quota > 0 && unpacked > m.quota {
		return OverQuota(m.quota)
	}
	return nil
}

// Read fails when the image has unpacked to more than its quota, before the bytes over it reach a disk.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.stream.Read(p)
	if err := c.layer.archive.meter.unpack(int64(n)); err != nil {
		return 0, err
	}
	if err != nil && err != io.EOF { //nolint:errorlint // io.Reader hands out io.EOF itself
		err = c.layer.damaged(err)
	}
	return n, err
}

// Close ends the stream.
func (c *counted) Close() error { return c.stream.Close() }

// OverQuota is the failure of an image that unpacks to more than quota bytes.
func OverQuota(quota int64) error {
	return protocol.Failure{
		Class:   model.Invalid,
		Message: fmt.Sprintf("the image unpacks to more than %d bytes, its scratch quota; raise the quota if the image is only large", quota),
	}
}
