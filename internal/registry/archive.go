package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/perceptor/perceptor/internal/diskcache"
)

// block is the unit of the tar format; headers are one block and contents are filled up to whole ones.
const block = 512

// copyStep is how much the kernel copies between two looks at the context.
const copyStep = 64 << 20

// archive is a docker-archive to be written: what "docker save" makes, with layers as the registry stores them.
// manifest.json and the config come first, so that readers find them without passing the layers.
type archive struct {
	path string
	// reference goes into RepoTags; empty leaves the image without a name.
	reference string
}

// size is how many bytes the tar will have, a little more than less.
func (a archive) size(img *contents) int64 {
	const index = 64 << 10
	sum := int64(index) + 2*block + int64(len(img.config))
	for _, l := range img.unique {
		sum += l.Size + 2*block
	}
	return sum
}

// write makes the tar beside its final path and gives it its name when it is whole.
func (a archive) write(ctx context.Context, img *contents, layers held) (err error) {
	dir, base := filepath.Split(a.path)
	growing := base + ".partial-"
	if err := diskcache.RemoveAbandoned(dir, growing); err != nil {
		return fmt.Errorf("clean beside the tar: %w", err)
	}
	file, err := os.CreateTemp(dir, growing+"*")
	if err != nil {
		return fmt.Errorf("make the tar: %w", err)
	}
	defer func() {
		if err != nil {
			diskcache.Discard(file)
		}
	}()
	// Held, so that another pull to the same path does not take it for abandoned.
	if err := diskcache.Hold(file); err != nil {
		return fmt.Errorf("make the tar: %w", err)
	}
	if err := a.fill(ctx, file, img, layers); err != nil {
		return fmt.Errorf("write the tar: %w", err)
	}
	// Closing comes first: some file systems tell only then that they are full.
	if err := file.Close(); err != nil {
		return fmt.Errorf("write the tar: %w", err)
	}
	if err := os.Rename(file.Name(), a.path); err != nil {
		return fmt.Errorf("name the tar: %w", err)
	}
	return nil
}

func (a archive) fill(ctx context.Context, file *os.File, img *contents, layers held) error {
	config := img.manifest.Config.Digest.Hex + ".json"
	entry := tarball.Descriptor{Config: config, Layers: []string{}}
	if a.reference != "" {
		entry.RepoTags = []string{a.reference}
	}
	for _, l := range img.manifest.Layers {
		entry.Layers = append(entry.Layers, layerName(l.Digest.Hex))
	}
	index, err := json.Marshal(tarball.Manifest{entry})
	if err != nil {
		return err
	}
	if err := put(file, "manifest.json", int64(len(index)), bytes.NewReader(index)); err != nil {
		return err
	}
	if err := put(file, config, int64(len(img.config)), bytes.NewReader(img.config)); err != nil {
		return err
	}
	mixed, err := mixed(img, layers)
	if err != nil {
		return err
	}
	for _, l := range img.unique {
		if err := putLayer(ctx, file, layerName(l.Digest.Hex), layers[l.Digest], l.Size, mixed); err != nil {
			return err
		}
	}
	_, err = file.Write(make([]byte, 2*block))
	return err
}

func layerName(hex string) string { return hex + ".tar" }

func putLayer(ctx context.Context, file *os.File, name string, layer *os.File, size int64, mixed bool) error {
	if mixed {
		plain, err := uncompressed(layer)
		if err != nil {
			return err
		}
		if plain {
			return putWrapped(file, name, layer, size)
		}
	}
	if err := putHeader(file, name, size); err != nil {
		return err
	}
	if _, err := layer.Seek(0, io.SeekStart); err != nil {
		return err
	}
	// From file to file the kernel copies; nothing passes through this process.
	for left := size; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(file, layer, min(left, copyStep))
		if err != nil {
			return err
		}
		left -= n
	}
	return putPadding(file, size)
}

func put(file *os.File, name string, size int64, content io.Reader) error {
	if err := putHeader(file, name, size); err != nil {
		return err
	}
	if _, err := io.Copy(file, content); err != nil {
		return err
	}
	return putPadding(file, size)
}

// putHeader uses the standard writer for the header alone: it would not let the kernel copy the contents.
func putHeader(file *os.File, name string, size int64) error {
	var header bytes.Buffer
	err := tar.NewWriter(&header).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644})
	if err != nil {
		return err
	}
	_, err = file.Write(header.Bytes())
	return err
}

func putPadding(file *os.File, size int64) error {
	_, err := file.Write(make([]byte, (block-size%block)%block))
	return err
}

// mixed reports whether the first layer is not compressed and a later one is. Readers of this format look at the
// first layer alone to learn whether layers are compressed, and would read the later ones as garbage.
func mixed(img *contents, layers held) (bool, error) {
	for i, l := range img.unique {
		plain, err := uncompressed(layers[l.Digest])
		if err != nil {
			return false, err
		}
		if i == 0 && !plain {
			return false, nil
		}
		if !plain {
			return true, nil
		}
	}
	return false, nil
}

// uncompressed reports whether a layer is a bare tar, by the first bytes of the compressions in use.
func uncompressed(layer *os.File) (bool, error) {
	var magic [4]byte
	n, err := layer.ReadAt(magic[:], 0)
	if err != nil && n < len(magic) && !errors.Is(err, io.EOF) {
		return false, err
	}
	gzipped := bytes.HasPrefix(magic[:n], []byte{0x1f, 0x8b})
	zstandard := bytes.HasPrefix(magic[:n], []byte{0x28, 0xb5, 0x2f, 0xfd})
	return !gzipped && !zstandard, nil
}

// putWrapped stores a bare layer in a gzip envelope without compressing it, passing it twice: its length must be
// known before its contents.
func putWrapped(file *os.File, name string, layer *os.File, size int64) error {
	var length counter
	if err := wrap(&length, layer, size); err != nil {
		return err
	}
	if err := putHeader(file, name, int64(length)); err != nil {
		return err
	}
	if err := wrap(file, layer, size); err != nil {
		return err
	}
	return putPadding(file, int64(length))
}

func wrap(to io.Writer, layer *os.File, size int64) error {
	envelope, err := gzip.NewWriterLevel(to, gzip.NoCompression)
	if err != nil {
		return err
	}
	if _, err := io.Copy(envelope, io.NewSectionReader(layer, 0, size)); err != nil {
		return err
	}
	return envelope.Close()
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
