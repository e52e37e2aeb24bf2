package activities

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/perceptor/perceptor/model"
)

// Puller fetches an image from the registry of one of its names and writes it as a docker-archive.
type Puller interface {
	Pull(ctx context.Context, names []model.Name, digest model.Digest, tar string, progress func(done, total int64)) (PulledImage, error)
}

// PulledImage is what a pull brought.
type PulledImage struct {
	// Name is the one of the names that worked.
	Name model.Name
	// Bytes came over the wire; Size is the whole image, compressed.
	Bytes, Size int64
}

// ScanClient writes the SBOM of an image and sends it to a hub. internal/scanclient runs it as a child process.
type ScanClient interface {
	// GenerateSBOM writes the SBOM of the image in tar to the file sbom.
	GenerateSBOM(ctx context.Context, tar, sbom, scratch string, names model.HubNames, progress func(phase string, done, total int64)) (components int, err error)
	// Upload sends the SBOM to the target.
	Upload(ctx context.Context, sbom string, target model.UploadTarget, names model.HubNames, attempt model.AttemptID,
		progress func(phase string, done, total int64)) (scanID string, err error)
}

// Workspaces are those of this scanner host. A workspace is a directory named by its key, and outlives the process.
type Workspaces interface {
	// Host names this host; its queue is derived from it.
	Host() string
	// Acquire makes the workspace and counts it as used until Release. The function returned ends the step that acquired it.
	Acquire(key string) (directory string, markIdle func(), err error)
	// MarkComplete has the workspace kept over a restart, until its scan is done with it.
	MarkComplete(key string) error
	// Find is the directory of a workspace that is used and complete.
	Find(key string) (directory string, found bool)
	// Release deletes the workspace and all that is in it.
	Release(key string) error
}

// ScannerSteps are the steps of a scanner host.
type ScannerSteps struct {
	puller     Puller
	client     ScanClient
	workspaces Workspaces
	hubs       Hubs
}

// NewScannerSteps serves one host.
func NewScannerSteps(p Puller, c ScanClient, w Workspaces, hubs Hubs) *ScannerSteps {
	return &ScannerSteps{puller: p, client: c, workspaces: w, hubs: hubs}
}

// Workspace is where a pulled image is: a host, and a directory there.
type Workspace struct {
	Host string `json:"host"`
	// Key is the WorkspaceKey on that host, as text.
	Key string `json:"key"`
	// Name is the name the image was pulled by.
	Name  model.Name `json:"name"`
	Bytes int64      `json:"bytes"`
	Size  int64      `json:"size"`
	// External is set instead of all others when a scanner of others is to scan the image.
	External *ExternalClaim `json:"external,omitempty"`
}

// ExternalClaim takes an image from the backlog for a scanner of others. The REST API answers a pull with it.
type ExternalClaim struct {
	// Hubs are the hubs that the scanners of others can reach.
	Hubs []string `json:"hubs"`
	// Silence is how long a scanner may have the image without a report.
	Silence time.Duration `json:"silence"`
}

// The bounds of the time that a scanner of others may have an image.
const (
	ShortestSilence = 10 * time.Second
	LongestSilence  = 24 * time.Hour
)

// Check says what is wrong with a claim.
func (c ExternalClaim) Check() error {
	if len(c.Hubs) == 0 {
		return errors.New("a claim of a scanner of others names no hub")
	}
	if err := model.CheckSize("hubs", len(c.Hubs), model.HubsAtMost); err != nil {
		return err
	}
	for _, hub := range c.Hubs {
		if err := model.CheckHub(hub); err != nil {
			return err
		}
	}
	if c.Silence < ShortestSilence || c.Silence > LongestSilence {
		return fmt.Errorf("a scanner of others may have an image for %s; want %s to %s", c.Silence, ShortestSilence, LongestSilence)
	}
	return nil
}

// WorkspaceKey names a workspace after the scan it is for.
type WorkspaceKey struct {
	Digest model.Digest
	// Chain is the first run id of the scan; Pull and Attempt say which of its pulls it is.
	Chain         string
	Pull, Attempt int
}

// String is the key as a directory's name, as ParseWorkspaceKey reads it.
func (k WorkspaceKey) String() string {
	return fmt.Sprintf("%s.%s.%d.%d", k.Digest.Hex(), k.Chain, k.Pull, k.Attempt)
}

// ParseWorkspaceKey reads what String wrote.
func ParseWorkspaceKey(s string) (WorkspaceKey, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 4 {
		return WorkspaceKey{}, fmt.Errorf("workspace key %.140q: want digest, chain, pull and attempt", s)
	}
	digest, err := model.ParseDigest(parts[0])
	if err != nil {
		return WorkspaceKey{}, fmt.Errorf("workspace key: %w", err)
	}
	k := WorkspaceKey{Digest: digest, Chain: parts[1]}
	for i, number := range []*int{&k.Pull, &k.Attempt} {
		if *number, err = strconv.Atoi(parts[2+i]); err != nil {
			return WorkspaceKey{}, fmt.Errorf("workspace key %.140q: %w", s, err)
		}
	}
	return k, nil
}

// The files of a workspace.
func tarIn(directory string) string     { return filepath.Join(directory, "image.tar") }
func sbomIn(directory string) string    { return filepath.Join(directory, "sbom.json") }
func scratchIn(directory string) string { return filepath.Join(directory, "scratch") }

// WorkspaceGone is the class of the error for a workspace that is no longer there: the image must be pulled again.
const WorkspaceGone model.FailureClass = "workspace-gone"

// workspaceGoneError says that the workspace was released, by a sweep or with the host's disk.
type workspaceGoneError struct{ workspace Workspace }

func (e workspaceGoneError) Error() string {
	return fmt.Sprintf("workspace %s on host %s is gone; the image is pulled again", e.workspace.Key, e.workspace.Host)
}

// FailureClass is a class of its own, which only ScanImage knows.
func (e workspaceGoneError) FailureClass() model.FailureClass { return WorkspaceGone }

// RetryAfter leaves the delay to ScanImage.
func (e workspaceGoneError) RetryAfter() time.Duration { return 0 }

// PullImageInput says what to pull.
type PullImageInput struct {
	Digest model.Digest `json:"digest"`
	// Names are tried in order.
	Names []model.Name `json:"names"`
	// Chain and Pull name the workspace: the first run ID of the scan, and how many times it has pulled.
	Chain string `json:"chain"`
	Pull  int    `json:"pull"`
}

// PullImage acquires a workspace on this host and pulls the image into it. It answers with the workspace, so that the next
// steps run here.
func (s *ScannerSteps) PullImage(ctx context.Context, in PullImageInput) (Workspace, error) {
	key := WorkspaceKey{Digest: in.Digest, Chain: in.Chain, Pull: in.Pull, Attempt: int(activity.GetInfo(ctx).Attempt)}.String()
	directory, markIdle, err := s.workspaces.Acquire(key)
	if err != nil {
		return Workspace{}, asApplicationError(err)
	}
	defer markIdle()
	beat := startHeartbeat(ctx, Progress{Phase: "pull"})
	defer beat.end()
	pulled, err := s.puller.Pull(ctx, in.Names, in.Digest, tarIn(directory), func(done, total int64) {
		beat.setProgress(Progress{Phase: "pull", Done: done, Total: total})
	})
	if err == nil {
		err = s.workspaces.MarkComplete(key)
	}
	if err != nil {
		return Workspace{}, s.abandonWorkspace(ctx, key, err)
	}
	return Workspace{Host: s.workspaces.Host(), Key: key, Name: pulled.Name, Bytes: pulled.Bytes, Size: pulled.Size}, nil
}

// releaseWorkspace deletes a workspace; the host's sweeper does it later if this fails.
func (s *ScannerSteps) releaseWorkspace(ctx context.Context, key string) {
	if err := s.workspaces.Release(key); err != nil {
		activity.GetLogger(ctx).Warn("workspace could not be released", "workspace", key, "error", err)
	}
}

// abandonWorkspace releases the workspace of a step that failed for good and answers with the failure.
func (s *ScannerSteps) abandonWorkspace(ctx context.Context, key string, cause error) error {
	s.releaseWorkspace(ctx, key)
	return stepError(ctx, cause)
}

// stepError is the error of a step: its context's when that ended it, because a cancellation is no failure.
func stepError(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return asApplicationError(cause)
}

// workerStopping reports whether this worker stops: its workspaces are kept, for they are found again at the next start.
func workerStopping(ctx context.Context) bool {
	select {
	case <-activity.GetWorkerStopChannel(ctx):
		return true
	default:
		return false
	}
}
