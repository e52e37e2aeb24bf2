package docker

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"syscall"

	cerrdefs "github.com/containerd/errdefs"

	"github.com/perceptor/perceptor/model"
)

// ExportError is why an engine gave no image.
type ExportError struct {
	Class model.FailureClass
	cause error
}

func (e *ExportError) Error() string {
	return fmt.Sprintf("export from Docker: %s: %v", e.Class, e.cause)
}

// Unwrap returns the cause.
func (e *ExportError) Unwrap() error { return e.cause }

// FailureClass says whether waiting can help.
func (e *ExportError) FailureClass() model.FailureClass { return e.Class }

// Exporter takes images out of the storage of one engine. The engine keeps what it has.
type Exporter struct{ engine *engine }

// NewExporter makes an exporter; nothing is asked of the engine yet.
func NewExporter(c Connection) (*Exporter, error) {
	e, err := c.connect()
	if err != nil {
		return nil, err
	}
	return &Exporter{engine: e}, nil
}

// Engine is the engine's ID, by which images of it are reported.
func (x *Exporter) Engine(ctx context.Context) (string, error) {
	about, err := x.engine.About(ctx)
	if err == nil && about.ID == "" {
		err = errors.New("the engine did not say its ID")
	}
	return about.ID, err
}

// Size is how many bytes the engine says that an image has. The archive is somewhat larger.
func (x *Exporter) Size(ctx context.Context, id model.Digest) (int64, error) {
	answer, err := x.engine.Image(ctx, string(id))
	if err != nil {
		return 0, exportError(ctx, err)
	}
	return answer.Size, nil
}

// Export writes the image with an ID into the file archive, in the form of "docker save", and gives its size in bytes. The file appears
// whole or not at all, and only if what is in it is that image. Progress is called with the bytes written so far.
func (x *Exporter) Export(ctx context.Context, id model.Digest, archive string, progress func(done int64)) (int64, error) {
	saved, err := x.engine.ImageSave(ctx, []string{string(id)})
	if err != nil {
		return 0, exportError(ctx, fmt.Errorf("save image: %w", err))
	}
	defer saved.Close() //nolint:errcheck // it is read to its end, or no longer wanted
	part := archive + ".part"
	defer os.Remove(part) //nolint:errcheck // it is not there where all went well
	file, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, exportError(ctx, fmt.Errorf("write archive: %w", err))
	}
	count := &counter{to: file, progress: progress}
	err = checkArchive(io.TeeReader(saved, count), id)
	if closed := file.Close(); err == nil && closed != nil {
		err = fmt.Errorf("write archive: %w", closed)
	}
	if err == nil {
		err = os.Rename(part, archive)
	}
	if err != nil {
		return 0, exportError(ctx, err)
	}
	return count.done, nil
}

// exportError gives a failure its class.
func exportError(ctx context.Context, err error) error {
	class := model.Transient
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case cerrdefs.IsNotFound(err):
		class, err = model.NotFound, fmt.Errorf("the engine does not have the image any longer: %w", err)
	case errors.Is(err, syscall.ENOSPC):
		class = model.OutOfSpace
	case errors.Is(err, errNotThisImage), errors.Is(err, tar.ErrHeader):
		class = model.Invalid
	}
	return &ExportError{Class: class, cause: err}
}

// counter counts what is written.
type counter struct {
	to       io.Writer
	done     int64
	progress func(done int64)
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.done += int64(n)
	c.progress(c.done)
	if err != nil {
		err = fmt.Errorf("write archive: %w", err)
	}
	return n, err
}

// errNotThisImage is an archive that is not, or not wholly, the image that was asked for.
var errNotThisImage = errors.New("the archive is not the image that was asked for")

// errCutOff is an archive that ended early. It is taken again.
var errCutOff = errors.New("the archive is not whole")

// The bounds of what is read of an archive into memory: a document, and the number of files.
const (
	documentLimit = 8 << 20
	filesAtMost   = 10_000
)

// contents are the files of an archive: their sums, and those that may be documents.
type contents struct {
	sums      map[string]string
	documents map[string][]byte
}

// checkArchive reads an archive to its end and says whether it is the image with that ID, whole.
func checkArchive(archive io.Reader, id model.Digest) error {
	c := contents{sums: map[string]string{}, documents: map[string][]byte{}}
	read := tar.NewReader(archive)
	for {
		header, err := read.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read archive: %w", err)
		}
		if err := c.add(header, read); err != nil {
			return err
		}
	}
	// What follows the last file belongs to the archive.
	if _, err := io.Copy(io.Discard, archive); err != nil {
		return fmt.Errorf("read archive: %w", err)
	}
	return c.check(id)
}

// add reads one file. Links lead to layers that an older engine writes once for several images; what they lead to is in the archive.
func (c contents) add(header *tar.Header, read io.Reader) error {
	if len(c.sums) >= filesAtMost {
		return fmt.Errorf("%w: more than %d files", errNotThisImage, filesAtMost)
	}
	name := path.Clean(header.Name)
	if header.Typeflag == tar.TypeSymlink {
		c.sums[name] = "link:" + path.Join(path.Dir(name), header.Linkname) //nolint:gosec // a key of a map; nothing is written there
		return nil
	}
	if header.Typeflag != tar.TypeReg {
		return nil
	}
	sum := sha256.New()
	if header.Size > documentLimit {
		_, err := io.Copy(sum, read)
		c.sums[name] = hex.EncodeToString(sum.Sum(nil))
		return wrapRead(err)
	}
	text, err := io.ReadAll(read)
	if err != nil {
		return wrapRead(err)
	}
	sum.Write(text)
	c.sums[name] = hex.EncodeToString(sum.Sum(nil))
	if len(text) > 0 && text[0] == '{' || name == "manifest.json" {
		c.documents[name] = text
	}
	return nil
}

func wrapRead(err error) error {
	if err != nil {
		return fmt.Errorf("read archive: %w", err)
	}
	return nil
}

// sum follows links to the sum of a file; empty where there is none.
func (c contents) sum(name string) string {
	for range 3 {
		target, isLink := strings.CutPrefix(c.sums[name], "link:")
		if !isLink {
			return c.sums[name]
		}
		name = target
	}
	return ""
}

// check says whether the archive is one image, with that ID and all its layers. An engine's ID of an image is the sum of its
// configuration, or, where containerd keeps the images, that of its manifest or index.
func (c contents) check(id model.Digest) error {
	var list []struct {
		Config string
		Layers []string
	}
	if c.documents["manifest.json"] == nil {
		return fmt.Errorf("%w: it has no manifest.json", errCutOff)
	}
	if err := json.Unmarshal(c.documents["manifest.json"], &list); err != nil || len(list) != 1 {
		return fmt.Errorf("%w: its manifest.json does not name one image", errNotThisImage)
	}
	config := path.Clean(list[0].Config)
	var about struct {
		RootFS struct {
			Diffs []model.Digest `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(c.documents[config], &about); err != nil {
		return fmt.Errorf("%w: its configuration cannot be read", errNotThisImage)
	}
	if c.sum(config) != id.Hex() && !c.leadsTo("blobs/sha256/"+id.Hex(), c.sum(config), 2) {
		return fmt.Errorf("%w: it has another ID", errNotThisImage)
	}
	if len(list[0].Layers) != len(about.RootFS.Diffs) {
		return fmt.Errorf("%w: %d layers, and %d in its configuration", errNotThisImage, len(list[0].Layers), len(about.RootFS.Diffs))
	}
	for i, layer := range list[0].Layers {
		layer = path.Clean(layer)
		sum := c.sum(layer)
		if sum == "" {
			return fmt.Errorf("%w: layer %d of %d is missing", errCutOff, i+1, len(list[0].Layers))
		}
		// By such a name the scan client shares a layer between images.
		if named, is := strings.CutSuffix(layer, ".tar"); is && len(named) == len(sum) && named != sum {
			return fmt.Errorf("%w: layer %d of %d has the name of another", errNotThisImage, i+1, len(list[0].Layers))
		}
		// A layer that is kept compressed has the sum of its name.
		if sum != about.RootFS.Diffs[i].Hex() && sum != path.Base(layer) {
			return fmt.Errorf("%w: layer %d of %d is damaged", errNotThisImage, i+1, len(list[0].Layers))
		}
	}
	return nil
}

// leadsTo reports whether a document is what its name says, and names, by itself or by one that it names, the sum of a configuration.
func (c contents) leadsTo(document, config string, depth int) bool {
	if depth < 0 || config == "" || c.sum(document) != path.Base(document) {
		return false
	}
	type descriptor struct{ Digest model.Digest }
	var manifest struct {
		Config    descriptor
		Manifests []descriptor
	}
	if json.Unmarshal(c.documents[document], &manifest) != nil {
		return false
	}
	if manifest.Config.Digest.Hex() == config {
		return true
	}
	for _, each := range manifest.Manifests {
		if c.leadsTo("blobs/sha256/"+each.Digest.Hex(), config, depth-1) {
			return true
		}
	}
	return false
}
