package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/cataloging"
	"github.com/anchore/syft/syft/cataloging/pkgcataloging"
	"github.com/anchore/syft/syft/sbom"
	"github.com/anchore/syft/syft/source"
	"github.com/anchore/syft/syft/source/stereoscopesource"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	_ "modernc.org/sqlite" // the driver by which RPM databases are read

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/archive"
	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/layers"
	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/internal/scanclient/scratch"
	"github.com/perceptor/perceptor/model"
)

// Request says what to list and where to put the list.
type Request struct {
	Tar  string
	SBOM string
	// Scratch is where layers and nested archives are unpacked; TMPDIR is set to it.
	Scratch string
	// Quota is how many bytes Scratch may hold; 0 means no limit.
	Quota int64
	// Name and Version are what the SBOM calls the image.
	Name    string
	Version string
	// Tool is the version of this program, for the SBOM.
	Tool string
	// Layers is a directory for layers that many images have, at most LayersLimit bytes; empty for none. It is for a tar alone
	// whose layers are named by their verified digests, as those that Perceptor pulls are.
	Layers      string
	LayersLimit int64
}

// Cataloger lists images one after the other. It remembers layers and what was found in them.
type Cataloger struct {
	memos *memos
	// stores are by directory.
	stores map[string]*layers.Store
}

// New makes a cataloger that has seen no image yet.
func New() *Cataloger { return &Cataloger{memos: newMemos(), stores: map[string]*layers.Store{}} }

// quotaInterval is how often the scratch directory is measured; layers are counted exactly, this is for what catalogers
// unpack besides.
const quotaInterval = 250 * time.Millisecond

// Run lists an image, and no other one after it. Its errors are protocol.Failure.
func Run(ctx context.Context, req Request, out *protocol.Writer) (protocol.Result, error) {
	return New().Run(ctx, req, out)
}

// Run lists an image. Its errors are protocol.Failure.
func (c *Cataloger) Run(ctx context.Context, req Request, out *protocol.Writer) (protocol.Result, error) {
	if err := os.MkdirAll(req.Scratch, 0o700); err != nil {
		return protocol.Result{}, explain(fmt.Errorf("make scratch directory: %w", err))
	}
	if err := os.Setenv("TMPDIR", req.Scratch); err != nil {
		return protocol.Result{}, explain(err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if req.Quota > 0 {
		go scratch.Watch(ctx, req.Scratch, req.Quota, quotaInterval, func(int64) { cancel(archive.OverQuota(req.Quota)) })
	}
	result, err := c.list(ctx, req, out)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		// Syft answers a cancelled context with errors of its own; the quota is why.
		err = cause
	}
	if err != nil {
		return protocol.Result{}, explain(err)
	}
	return result, nil
}

func (c *Cataloger) list(ctx context.Context, req Request, out *protocol.Writer) (protocol.Result, error) {
	// A line that cannot be written means that the runner is gone, and then standard input closes too.
	_ = out.Progress(protocol.PhaseUnpack, 0, 0)
	tar, err := archive.Open(req.Tar, req.Quota, func(read, total int64) { _ = out.Progress(protocol.PhaseUnpack, read, total) })
	if err != nil {
		return protocol.Result{}, err
	}
	defer func() { _ = tar.Close() }()
	go func() { _, _ = licences() }() // its error is asked for when it is needed
	image, release, err := c.unpack(ctx, tar, req)
	if err != nil {
		return protocol.Result{}, err
	}
	defer release()
	bom, unread, err := c.catalogue(ctx, image, req, out)
	if err != nil {
		return protocol.Result{}, err
	}
	_ = out.Progress(protocol.PhaseWrite, 0, 1)
	bytes, err := write(bom, unread, req.SBOM)
	if err != nil {
		return protocol.Result{}, err
	}
	// After an image that was not understood in all its parts, nothing is kept in memory for the next one.
	return protocol.Result{Components: bom.Artifacts.Packages.PackageCount(), SBOMBytes: bytes, Ends: len(unread) > 0}, nil
}

// unpack reads the layers that are not known yet, and puts the image together. The caller releases the layers.
func (c *Cataloger) unpack(ctx context.Context, tar *archive.Archive, req Request) (image *layers.Image, release func(), err error) {
	content, err := tar.Image()
	if err != nil {
		return nil, nil, err
	}
	stored, err := content.Layers()
	if err != nil {
		return nil, nil, err
	}
	read := make([]*layers.Layer, 0, len(stored))
	release = func() {
		for _, each := range read {
			_ = each.Close() // it was only read
		}
	}
	for at, each := range stored {
		layer, err := c.layer(ctx, tar, at, each, req)
		if err != nil {
			release()
			return nil, nil, endedEarly(err)
		}
		read = append(read, layer)
	}
	if image, err = layers.Assemble(content, read); err != nil {
		release()
		return nil, nil, err
	}
	return image, release, nil
}

// layer is one layer: kept on this host, or read now.
func (c *Cataloger) layer(ctx context.Context, tar *archive.Archive, at int, stored v1.Layer, req Request) (*layers.Layer, error) {
	digest, err := stored.DiffID()
	if err != nil {
		return nil, err
	}
	isRead := false
	wanted := layers.Request{Digest: digest.String(), Open: func() (io.ReadCloser, error) {
		isRead = true
		stream, err := stored.Uncompressed()
		if err != nil {
			return nil, err
		}
		return stoppable{ctx, stream}, nil
	}}
	count := func(layer *layers.Layer, err error) (*layers.Layer, error) {
		if err != nil {
			return nil, err
		}
		if isRead {
			err = tar.Unpacked(layer.Filled())
		} else {
			err = tar.Known(at, layer.Bytes())
		}
		if err != nil {
			return nil, errors.Join(err, layer.Close())
		}
		return layer, nil
	}
	if req.Layers == "" {
		return count(layers.Private(wanted))
	}
	wanted.Key = tar.Key(at)
	store := c.stores[req.Layers]
	if store == nil {
		if store, err = layers.Open(req.Layers, req.LayersLimit); err != nil {
			return nil, err
		}
		c.stores[req.Layers] = store
	}
	return count(store.Layer(ctx, wanted))
}

// stoppable is a layer whose reading ends with the context.
type stoppable struct {
	ctx context.Context //nolint:containedctx // a reader has no other way to know of it
	io.ReadCloser
}

// Read reads on until the context ends.
func (s stoppable) Read(p []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	return s.ReadCloser.Read(p)
}

// endedEarly says in words that the tar of a layer has no end. The layer's digest is right, so it was pushed like that.
func endedEarly(err error) error {
	if _, known := errors.AsType[protocol.Failure](err); known || !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return protocol.Failure{Class: model.Invalid, Message: "the image cannot be cataloged: one of its layers ends in the middle; build and push it again"}
}

// licences is Syft's reader of licence texts, in the context it looks for it in. Making it takes a second of a processor,
// whatever the image holds; so it is made once, and while the layers are unpacked.
var licences = sync.OnceValues(func() (context.Context, error) {
	return syft.SetContextLicenseScanner(context.Background(), cataloging.DefaultLicenseConfig())
})

// catalogue looks for packages. Single files are left out of the list, and so is which package owns which file: no hub
// asks for them, and in an image of millions of files they are what fills the memory. What could not be read is answered
// with its reasons, by path.
func (c *Cataloger) catalogue(ctx context.Context, image *layers.Image, req Request, out *protocol.Writer) (*sbom.SBOM, map[string]string, error) {
	prepared, err := licences()
	if err != nil {
		return nil, nil, fmt.Errorf("prepare for licences: %w", err)
	}
	work, stop := context.WithCancel(prepared)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	follow(work, out) //nolint:contextcheck // work ends with ctx, by AfterFunc
	config := configuration(req).WithoutCatalogers()
	for _, each := range catalogers() {
		config = config.WithCatalogers(pkgcataloging.NewCatalogerReference(memoised{Cataloger: each, memos: c.memos}, []string{pkgcataloging.ImageTag}))
	}
	src := describe(image, req)
	defer func() { _ = src.Close() }()
	repaired := repairedSource{Source: src, image: image, notes: newNotes()}
	bom, err := syft.CreateSBOM(work, repaired, config) //nolint:contextcheck // as above
	if err != nil {
		return nil, nil, fmt.Errorf("catalogue packages: %w", err)
	}
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	files, err := repaired.FileResolver(config.Search.Scope)
	if err != nil {
		return nil, nil, fmt.Errorf("look into the image: %w", err)
	}
	unread, err := findUnread(bom, files, image, repaired.notes)
	return bom, unread, err
}

// configuration is how Syft is set up, except for the catalogers.
func configuration(req Request) *syft.CreateSBOMConfig {
	config := syft.DefaultCreateSBOMConfig().
		WithTool("perceptor-scan", req.Tool).
		WithParallelism(max(runtime.GOMAXPROCS(0), 2)).
		WithoutFiles()
	config.Relationships = config.Relationships.WithPackageFileOwnership(false)
	// A file that gave some packages and not others is one that was not understood.
	config.Unknowns.RemoveWhenPackagesDefined = false
	return config
}

// describe is the image under the name of the request.
func describe(image *layers.Image, req Request) source.Source {
	return stereoscopesource.New(image.Image, stereoscopesource.ImageConfig{
		Reference: req.Name, Alias: source.Alias{Name: req.Name, Version: req.Version},
	})
}

// ofTheMachine are the system's errors that come from the machine, whatever the image holds.
var ofTheMachine = map[syscall.Errno]bool{
	syscall.EIO: true, syscall.EMFILE: true, syscall.ENFILE: true, syscall.ENOMEM: true, syscall.ESTALE: true, syscall.EROFS: true,
}

// explain is the one table of what a failed SBOM means. Most come from the image, and then trying again does not
// help.
func explain(err error) error {
	var known protocol.Failure
	var number syscall.Errno
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return protocol.Failure{Class: model.OutOfSpace, Message: fmt.Sprintf("no space left while cataloging the image: %s", err)}
	case errors.As(err, &number) && ofTheMachine[number], errors.Is(err, context.Canceled):
		return protocol.Failure{Class: model.Transient, Message: fmt.Sprintf("cataloging the image was interrupted: %s", err)}
	default:
		return protocol.Failure{Class: model.Invalid, Message: fmt.Sprintf("the image cannot be cataloged: %s", err)}
	}
}
