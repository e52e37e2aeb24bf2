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

// SBOMRequest says what to list and where to put the list.
type SBOMRequest struct {
	// Tar is the image, in the form of "docker save".
	Tar string
	// SBOM is where the CycloneDX SBOM goes. What stands there is removed first.
	SBOM string
	// Scratch is where the run may make a directory of its own, which is gone when List returns. Tar and SBOM may
	// stand in Scratch too. Scratch is made when it is missing and, when it was, removed again.
	Scratch string
	// Name and Version say in the SBOM what the image is called; they may be empty.
	Name    string
	Version string
}

// SBOM is an SBOM that was written.
type SBOM struct {
	// Components is how many packages the client found.
	Components int
	SBOMBytes  int64
}

// scratchName is the directory of a run within the scratch it was given, so that nothing else is ever removed.
const scratchName = "scan-client"

// GenerateSBOM has the client list what is in an image. Progress, which may be nil, is called from one goroutine at most a few
// times a second and must not block. Every error is an *Error, and after one there is no SBOM.
func (r *Runner) GenerateSBOM(ctx context.Context, req SBOMRequest, progress func(Progress)) (SBOM, error) {
	t := task{
		op: OpSBOM, args: append(listArgs(req, r.options.ScratchQuota), r.layerArgs()...), scratch: filepath.Join(req.Scratch, scratchName),
		timeout: r.options.SBOMTimeout, late: endedTimeout, progress: progress,
	}
	if why := checkList(req); why != nil {
		return SBOM{}, t.failed(*why, true, "")
	}
	_, err := os.Lstat(req.Scratch)
	if errors.Is(err, fs.ErrNotExist) {
		// Removes it only when it is empty, so never an SBOM in it.
		defer func() { _ = os.Remove(req.Scratch) }()
	}
	if err := removeSBOM(req.SBOM); err != nil {
		return SBOM{}, t.failed(endedScratchDir(err), true, "")
	}
	scan := r.scanByProtocol
	if len(r.options.Template.Command) > 0 {
		scan = r.scanByTemplate
	}
	written, err := scan(ctx, t, req)
	if err != nil {
		_ = removeSBOM(req.SBOM)
	}
	return written, err
}

// scanByProtocol has the client's own program write the SBOM.
func (r *Runner) scanByProtocol(ctx context.Context, t task, req SBOMRequest) (SBOM, error) {
	result, done, err := r.list(ctx, t, req)
	if err != nil {
		return SBOM{}, err
	}
	found, err := checkSBOM(req.SBOM)
	done(err == nil)
	if err != nil {
		return SBOM{}, t.failed(badSBOM(err), true, "")
	}
	return SBOM{Components: result.Components, SBOMBytes: found.bytes}, nil
}

// badSBOM is an error of checkSBOM as an ending.
func badSBOM(err error) ending {
	var why ending
	if !errors.As(err, &why) {
		why = endedBadSBOM(err)
	}
	return why
}

// list has a client do the task: a kept one where clients are kept. The caller says whether the SBOM is as it should be.
func (r *Runner) list(ctx context.Context, t task, req SBOMRequest) (result protocol.Result, done func(good bool), err error) {
	if r.keeper == nil {
		result, err = r.run(ctx, t)
		return result, func(bool) {}, err
	}
	return r.serve(ctx, t, protocol.Task{
		Tar: req.Tar, SBOM: req.SBOM, Scratch: t.scratch, ScratchQuota: r.options.ScratchQuota, Name: req.Name, Version: req.Version,
	})
}

// layerArgs are the flags of the layers that the built-in client keeps.
func (r *Runner) layerArgs() []string {
	if r.options.Layers == "" {
		return nil
	}
	return []string{protocol.FlagLayers, r.options.Layers, protocol.FlagLayersLimit, strconv.FormatInt(r.options.LayersLimit, 10)}
}

func listArgs(req SBOMRequest, quota int64) []string {
	args := []string{
		protocol.VerbSBOM,
		protocol.FlagTar, req.Tar,
		protocol.FlagSBOM, req.SBOM,
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
func checkList(req SBOMRequest) *ending {
	for _, path := range []struct{ what, path string }{{"tar", req.Tar}, {"SBOM", req.SBOM}, {"scratch", req.Scratch}} {
		if !filepath.IsAbs(path.path) {
			why := endedBadRequest(fmt.Sprintf("the %s %q is not an absolute path", path.what, path.path))
			return &why
		}
	}
	own := filepath.Join(req.Scratch, scratchName) + string(filepath.Separator)
	for _, path := range []string{req.Tar, req.SBOM} {
		if strings.HasPrefix(filepath.Clean(path), own) {
			why := endedBadRequest(fmt.Sprintf("%q stands in the directory the scan client removes", path))
			return &why
		}
	}
	return nil
}

// removeSBOM removes an SBOM and the unfinished form of it.
func removeSBOM(sbom string) error {
	for _, path := range []string{sbom, protocol.PartialSBOM(sbom)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
