package scanclient

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
)

// Progress is how far a run is. Phase is one of "unpack", "catalogue", "write", "login", "upload"; Total is 0 while
// it is not known. See protocol.Phase for what is counted.
type Progress struct {
	Phase string
	Done  int64
	Total int64
}

// ListRequest says what to list and where to put the list.
type ListRequest struct {
	// Tar is the image, in the form of "docker save".
	Tar string
	// Document is where the CycloneDX document goes. What stands there is removed first.
	Document string
	// Scratch is where the run may make a directory of its own, which is gone when List returns. Tar and Document may
	// stand in Scratch too. Scratch is made when it is missing and, when it was, removed again.
	Scratch string
	// Name and Version say in the document what the image is called; they may be empty.
	Name    string
	Version string
}

// Listing is a document that was written.
type Listing struct {
	// Components is how many packages the client found.
	Components    int
	DocumentBytes int64
}

// scratchName is the directory of a run within the scratch it was given, so that nothing else is ever removed.
const scratchName = "scan-client"

// List has the client list what is in an image. Progress, which may be nil, is called from one goroutine at most a few
// times a second and must not block. Every error is an *Error, and after one there is no document.
func (r *Runner) GenerateSBOM(ctx context.Context, req ListRequest, progress func(Progress)) (Listing, error) {
	t := task{
		op: OpList, args: listArgs(req, r.options.ScratchQuota), scratch: filepath.Join(req.Scratch, scratchName),
		timeout: r.options.ListTimeout, late: endedTimeout, progress: progress,
	}
	if why := checkList(req); why != nil {
		return Listing{}, t.failed(*why, true, "")
	}
	_, err := os.Lstat(req.Scratch)
	if errors.Is(err, fs.ErrNotExist) {
		// Removes it only when it is empty, so never a document in it.
		defer func() { _ = os.Remove(req.Scratch) }()
	}
	if err := removeDocument(req.Document); err != nil {
		return Listing{}, t.failed(endedScratchDir(err), true, "")
	}
	result, err := r.run(ctx, t)
	if err != nil {
		_ = removeDocument(req.Document)
		return Listing{}, err
	}
	bytes, err := checkDocument(req.Document)
	if err != nil {
		_ = removeDocument(req.Document)
		var why ending
		if !errors.As(err, &why) {
			why = endedBadDocument(err)
		}
		return Listing{}, t.failed(why, true, "")
	}
	return Listing{Components: result.Components, DocumentBytes: bytes}, nil
}

func listArgs(req ListRequest, quota int64) []string {
	args := []string{
		protocol.VerbList,
		protocol.FlagTar, req.Tar,
		protocol.FlagDocument, req.Document,
		protocol.FlagScratch, filepath.Join(req.Scratch, scratchName),
		protocol.FlagScratchQuota, strconv.FormatInt(quota, 10),
	}
	if req.Name != "" {
		args = append(args, protocol.FlagName, req.Name)
	}
	if req.Version != "" {
		args = append(args, protocol.FlagVersion, req.Version)
	}
	return args
}

// checkList refuses what cannot work before a process is started for it. Paths must be absolute, because the client
// works in another directory.
func checkList(req ListRequest) *ending {
	for _, path := range []struct{ what, path string }{{"tar", req.Tar}, {"document", req.Document}, {"scratch", req.Scratch}} {
		if !filepath.IsAbs(path.path) {
			why := endedBadRequest(fmt.Sprintf("the %s %q is not an absolute path", path.what, path.path))
			return &why
		}
	}
	own := filepath.Join(req.Scratch, scratchName) + string(filepath.Separator)
	for _, path := range []string{req.Tar, req.Document} {
		if strings.HasPrefix(filepath.Clean(path), own) {
			why := endedBadRequest(fmt.Sprintf("%q stands in the directory the scan client removes", path))
			return &why
		}
	}
	return nil
}

// removeDocument removes a document and the unfinished form of it.
func removeDocument(document string) error {
	for _, path := range []string{document, protocol.PartialDocument(document)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
