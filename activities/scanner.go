package activities

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

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

// ScanClient lists what is in an image and sends the list to a hub. internal/scanclient runs it as a child process.
type ScanClient interface {
	// List writes the contents of the tar to document.
	GenerateSBOM(ctx context.Context, tar, document, scratch string, names model.HubNames, progress func(phase string, done, total int64)) (components int, err error)
	// Upload sends the document to the target.
	Upload(ctx context.Context, document string, target model.UploadTarget, names model.HubNames, attempt model.AttemptID,
		progress func(phase string, done, total int64)) (scanID string, err error)
}

// Berths are the places of this scanner host. A berth is a directory named by its key, and outlives the process.
type Workspaces interface {
	// Host names this host; its queue is derived from it.
	Host() string
	// Take makes the berth and counts it as held until Free. The function returned ends the step that took it.
	Take(key string) (directory string, settled func(), err error)
	// Keep marks the berth as complete: it is kept over a restart until its scan is done with it.
	Keep(key string) error
	// Find is the directory of a berth that is held and complete.
	Find(key string) (directory string, found bool)
	// Free gives the berth up and deletes all that is in it.
	Free(key string) error
}

// ScannerSteps are the steps of a scanner host.
type ScannerSteps struct {
	puller Puller
	client ScanClient
	berths Workspaces
	hubs   Hubs
}

// NewScannerSteps serves one host.
func NewScannerSteps(p Puller, c ScanClient, b Workspaces, hubs Hubs) *ScannerSteps {
	return &ScannerSteps{puller: p, client: c, berths: b, hubs: hubs}
}

// Place is where a pulled image lies.
type Workspace struct {
	Host string `json:"host"`
	// Berth is the key of the berth on that host.
	Berth string `json:"berth"`
	// Name is the name the image was pulled by.
	Name  model.Name `json:"name"`
	Bytes int64      `json:"bytes"`
	Size  int64      `json:"size"`
}

// BerthKey names a berth after the scan it is for.
type WorkspaceKey struct {
	Digest model.Digest
	// Chain is the first run id of the scan; Pull and Attempt say which of its pulls it is.
	Chain         string
	Pull, Attempt int
}

// String is the key as a directory's name, as ParseBerthKey reads it.
func (k WorkspaceKey) String() string {
	return fmt.Sprintf("%s.%s.%d.%d", k.Digest.Hex(), k.Chain, k.Pull, k.Attempt)
}

// ParseBerthKey reads what String wrote.
func ParseWorkspaceKey(s string) (WorkspaceKey, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 4 {
		return WorkspaceKey{}, fmt.Errorf("berth key %.140q: want digest, chain, pull and attempt", s)
	}
	digest, err := model.ParseDigest(parts[0])
	if err != nil {
		return WorkspaceKey{}, fmt.Errorf("berth key: %w", err)
	}
	k := WorkspaceKey{Digest: digest, Chain: parts[1]}
	for i, number := range []*int{&k.Pull, &k.Attempt} {
		if *number, err = strconv.Atoi(parts[2+i]); err != nil {
			return WorkspaceKey{}, fmt.Errorf("berth key %.140q: %w", s, err)
		}
	}
	return k, nil
}

// The files of a berth.
func tarIn(directory string) string     { return filepath.Join(directory, "image.tar") }
func sbomIn(directory string) string    { return filepath.Join(directory, "contents.json") }
func scratchIn(directory string) string { return filepath.Join(directory, "scratch") }

// BerthGone is the class of the error for a berth that is no longer there: the image must be pulled again.
const WorkspaceGone model.FailureClass = "berth-gone"

// berthGoneError says that the berth was freed, by a sweep or with the host's disk.
type workspaceGoneError struct{ workspace Workspace }

func (e workspaceGoneError) Error() string {
	return fmt.Sprintf("berth %s on host %s is gone; the image is pulled again", e.workspace.Berth, e.workspace.Host)
}

// FailureClass is a class of its own, which only ScanImage knows.
func (e workspaceGoneError) FailureClass() model.FailureClass { return WorkspaceGone }

// RetryAfter leaves the delay to ScanImage.
func (e workspaceGoneError) RetryAfter() time.Duration { return 0 }
