package scanclient

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/internal/scanclient/upload"
	"github.com/perceptor/perceptor/model"
)

// UploadRequest says what goes where under which names.
type UploadRequest struct {
	// SBOM is what List wrote; it stays.
	SBOM   string
	Target model.UploadTarget
	Names  model.HubNames
	// Attempt orders the uploads of one image; left out when zero.
	Attempt model.AttemptID
}

// Uploaded is a scan the hub accepted. Both are empty when the hub named none; the scan is found by its name then.
type Uploaded struct {
	ScanID  string
	ScanURL string
}

// Upload has the client send an SBOM to a hub. Progress is as with List. Every error is an *Error: its
// SurelyRefused tells whether the hub may have the scan all the same.
func (r *Runner) Upload(ctx context.Context, req UploadRequest, progress func(Progress)) (Uploaded, error) {
	t := task{
		op: OpUpload, args: uploadArgs(req), env: uploadEnvironment(req.Target), secrets: []string{req.Target.Token, req.Target.Password},
		timeout: r.options.UploadTimeout, late: endedUploadTimeout, progress: progress,
	}
	if why := checkUpload(req); why != nil {
		return Uploaded{}, t.failed(*why, true, "")
	}
	if r.options.UploadHere {
		return r.uploadHere(ctx, t, req)
	}
	place, err := os.MkdirTemp("", "perceptor-upload-")
	if err != nil {
		return Uploaded{}, t.failed(endedScratchDir(err), true, "")
	}
	defer func() { _ = os.RemoveAll(place) }()
	t.scratch = filepath.Join(place, scratchName)
	result, err := r.run(ctx, t)
	if err != nil {
		return Uploaded{}, err
	}
	return Uploaded{ScanID: result.ScanID, ScanURL: result.ScanURL}, nil
}

// heard passes on how far an upload in this process is.
type heard struct{ progress func(Progress) }

func (h heard) Progress(phase protocol.Phase, done, total int64) error {
	if h.progress != nil {
		h.progress(Progress{Phase: string(phase), Done: done, Total: total})
	}
	return nil
}

// uploadHere is Upload without a child. The client that made the SBOM has ended, and the SBOM is only sent, not read.
func (r *Runner) uploadHere(ctx context.Context, t task, req UploadRequest) (Uploaded, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.timeout, t.late(t.timeout))
	defer cancel()
	request := upload.Request{
		SBOM: req.SBOM, URL: req.Target.URL, CAFile: req.Target.CAFile, Insecure: req.Target.Insecure, Token: req.Target.Token,
		Project: req.Names.Project, Version: req.Names.Version, ScanName: req.Names.Scan,
	}
	if request.Token == "" {
		request.Username, request.Password = req.Target.Username, req.Target.Password
	}
	if !req.Attempt.IsZero() {
		request.Attempt = req.Attempt.String()
	}
	result, err := upload.Run(ctx, request, heard{t.progress})
	if err == nil {
		return Uploaded{ScanID: result.ScanID, ScanURL: result.ScanURL}, nil
	}
	failure, ok := errors.AsType[protocol.Failure](err)
	if !ok {
		failure = protocol.Failure{Class: model.Transient, Message: err.Error()}
	}
	why := endedByItself(failure)
	if ctx.Err() != nil {
		why = *stopReason(ctx)
	}
	return Uploaded{}, t.failed(why, failure.Refused, "")
}

// uploadArgs holds no secret: every user of the machine can read a process's arguments.
func uploadArgs(req UploadRequest) []string {
	args := []string{
		protocol.VerbUpload,
		protocol.FlagSBOM, req.SBOM,
		protocol.FlagURL, req.Target.URL,
		protocol.FlagProject, req.Names.Project,
		protocol.FlagVersion, req.Names.Version,
		protocol.FlagScanName, req.Names.Scan,
	}
	if req.Target.CAFile != "" {
		args = append(args, protocol.FlagCAFile, req.Target.CAFile)
	}
	if req.Target.Insecure {
		args = append(args, protocol.FlagInsecure)
	}
	if !req.Attempt.IsZero() {
		args = append(args, protocol.FlagAttempt, req.Attempt.String())
	}
	return args
}

func uploadEnvironment(target model.UploadTarget) []string {
	env := networkEnvironment()
	if target.Token != "" {
		return append(env, protocol.EnvToken+"="+target.Token)
	}
	return append(env, protocol.EnvUsername+"="+target.Username, protocol.EnvPassword+"="+target.Password)
}

func checkUpload(req UploadRequest) *ending {
	refuse := func(format string, args ...any) *ending {
		why := endedBadRequest(fmt.Sprintf(format, args...))
		return &why
	}
	address, err := url.Parse(req.Target.URL)
	switch {
	// The address itself is not shown before it is known to hold no password.
	case err != nil || address.Host == "" || address.Scheme != "https" && address.Scheme != "http":
		return refuse("the address of hub %q is no http or https address", req.Target.Hub)
	case address.User != nil:
		return refuse("the address of hub %q holds a user name; configure the credentials apart from the address", req.Target.Hub)
	case req.Target.Token == "" && (req.Target.Username == "" || req.Target.Password == ""):
		return refuse("hub %q has neither a token nor a user name with a password", req.Target.Hub)
	case req.Names.Project == "" || req.Names.Version == "" || req.Names.Scan == "":
		return refuse("the project, the version or the scan name is empty")
	case !filepath.IsAbs(req.SBOM):
		return refuse("the SBOM %q is not an absolute path", req.SBOM)
	}
	if info, err := os.Lstat(req.SBOM); err != nil || !info.Mode().IsRegular() {
		return refuse("there is no SBOM at %s; the image has to be cataloged again", req.SBOM)
	}
	return nil
}
