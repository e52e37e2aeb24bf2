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

	"github.com/anchore/stereoscope/pkg/file"
	stereoscope "github.com/anchore/stereoscope/pkg/image"
	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/cataloging"
	"github.com/anchore/syft/syft/sbom"
	"github.com/anchore/syft/syft/source"
	"github.com/anchore/syft/syft/source/stereoscopesource"
	_ "modernc.org/sqlite" // the driver by which RPM databases are read

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/archive"
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
}

// quotaInterval is how often the scratch directory is measured; layers are counted exactly, this is for what catalogers
// unpack besides.
const quotaInterval = 250 * time.Millisecond

// Run lists an image. Its errors are protocol.Failure.
func Run(ctx context.Context, req Request, out *protocol.Writer) (protocol.Result, error) {
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
	result, err := list(ctx, req, out)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		// Syft answers a cancelled context with errors of its own; the quota is why.
		err = cause
	}
	if err != nil {
		return protocol.Result{}, explain(err)
	}
	return result, nil
}

func list(ctx context.Context, req Request, out *protocol.Writer) (protocol.Result, error) {
	// A line that cannot be written means that the runner is gone, and then standard input closes too.
	_ = out.Progress(protocol.PhaseUnpack, 0, 0)
	tar, err := archive.Open(req.Tar, req.Quota, func(read, total int64) { _ = out.Progress(protocol.PhaseUnpack, read, total) })
	if err != nil {
		return protocol.Result{}, err
	}
	defer func() { _ = tar.Close() }()
	go func() { _, _ = licences() }() // its error is asked for when it is needed
	src, err := unpack(ctx, tar, req)
	if err != nil {
		return protocol.Result{}, err
	}
	defer func() { _ = src.Close() }()
	bom, unread, err := catalogue(ctx, src, req, out)
	if err != nil {
		return protocol.Result{}, err
	}
	_ = out.Progress(protocol.PhaseWrite, 0, 1)
	bytes, err := write(bom, unread, req.SBOM)
	if err != nil {
		return protocol.Result{}, err
	}
	return protocol.Result{Components: bom.Artifacts.Packages.PackageCount(), SBOMBytes: bytes}, nil
}

// unpack decompresses the layers into the scratch directory, each as one file, and reads their indexes.
func unpack(ctx context.Context, tar *archive.Archive, req Request) (source.Source, error) {
	content, err := tar.Image()
	if err != nil {
		return nil, err
	}
	temporary := file.NewTempDirGenerator("perceptor-scan")
	cache, err := temporary.NewDirectory("layers")
	if err != nil {
		return nil, fmt.Errorf("make layer directory: %w", err)
	}
	img := stereoscope.New(content, temporary, cache)
	if err := img.Read(ctx); err != nil {
		return nil, errors.Join(endedEarly(err), img.Cleanup())
	}
	return stereoscopesource.New(img, stereoscopesource.ImageConfig{
		Reference: req.Name, Alias: source.Alias{Name: req.Name, Version: req.Version},
	}), nil
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
func catalogue(ctx context.Context, src source.Source, req Request, out *protocol.Writer) (*sbom.SBOM, map[string]string, error) {
	prepared, err := licences()
	if err != nil {
		return nil, nil, fmt.Errorf("prepare for licences: %w", err)
	}
	work, stop := context.WithCancel(prepared)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	follow(work, out) //nolint:contextcheck // work ends with ctx, by AfterFunc
	config := syft.DefaultCreateSBOMConfig().
		WithTool("perceptor-scan", req.Tool).
		WithParallelism(max(runtime.GOMAXPROCS(0), 2)).
		// Syft leaves what conda has installed out of images; it is as much a list of packages as any other.
		WithCatalogerSelection(cataloging.NewSelectionRequest().WithAdditions("conda-meta-cataloger")).
		WithoutFiles()
	config.Relationships = config.Relationships.WithPackageFileOwnership(false)
	// A file that gave some packages and not others is one that was not understood.
	config.Unknowns.RemoveWhenPackagesDefined = false
	repaired := repairedSource{Source: src, notes: newNotes()}
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
	unread, err := findUnread(bom, files, repaired.notes)
	return bom, unread, err
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
