package scanclient

import (
	"fmt"
	"os/exec"
	"time"

	"github.com/perceptor/perceptor/model"
)

// The defaults of Options. The memory is what the built-in client needs for all but the largest images with room to
// spare; the times are the longest an SBOM or an upload took in practice, several times over.
const (
	DefaultListTimeout   = 30 * time.Minute
	DefaultUploadTimeout = 15 * time.Minute
	DefaultMemoryLimit   = 2 << 30
	DefaultScratchQuota  = 20 << 30
	DefaultLogLimit      = 64 << 10
)

// Options says which program is run and within which limits. A limit of zero is its default; there is no "unlimited".
type Options struct {
	// Command is the path of perceptor-scan, or of any program of the same protocol; a bare name is looked up in PATH.
	Command string
	// Args come before the verb, for a program that needs some.
	Args []string
	// UploadHere has this process upload by itself, as the built-in client does, without a process of its own for each upload.
	UploadHere bool
	// SBOMTimeout and UploadTimeout are how long one run may take.
	SBOMTimeout   time.Duration
	UploadTimeout time.Duration
	// MemoryLimit is in resident bytes of all processes of the client together; GOMEMLIMIT is set to 80 % of it.
	MemoryLimit int64
	// ScratchQuota is how many bytes the client may have on disk in its scratch directory.
	ScratchQuota int64
	// LogLimit is how many bytes of its standard error are kept, half from its beginning and half from its end.
	LogLimit int
}

// Runner runs one program as scan client. It is safe for use by several goroutines: each run is a process of its own.
type Runner struct {
	options Options
	command string
}

// New checks that the program is there and may be executed.
func New(o Options) (*Runner, error) {
	if o.Command == "" {
		return nil, setupError("no scan client is configured; "+howToBuild, nil)
	}
	path, err := exec.LookPath(o.Command)
	if err != nil {
		return nil, setupError(fmt.Sprintf("the scan client %q is missing or may not be executed; %s", o.Command, howToBuild), err)
	}
	if o.SBOMTimeout < 0 || o.UploadTimeout < 0 || o.MemoryLimit < 0 || o.ScratchQuota < 0 || o.LogLimit < 0 {
		return nil, setupError("a limit of the scan client is below zero; leave it out for its default", nil)
	}
	o.SBOMTimeout = orDefault(o.SBOMTimeout, DefaultListTimeout)
	o.UploadTimeout = orDefault(o.UploadTimeout, DefaultUploadTimeout)
	o.MemoryLimit = orDefault(o.MemoryLimit, DefaultMemoryLimit)
	o.ScratchQuota = orDefault(o.ScratchQuota, DefaultScratchQuota)
	o.LogLimit = orDefault(o.LogLimit, DefaultLogLimit)
	return &Runner{options: o, command: path}, nil
}

// howToBuild ends the messages about a client that is not there.
const howToBuild = `build the built-in one with "make build", or "go build -o bin/perceptor-scan ." in cmd/perceptor-scan, and give its path`

func setupError(reason string, err error) error {
	return &Error{Class: model.Unsupported, Op: OpNew, Reason: reason, Refused: true, Err: err}
}

func orDefault[T comparable](given, otherwise T) T {
	var zero T
	if given == zero {
		return otherwise
	}
	return given
}
