package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	// Resume is Acquire for a workspace whose image is complete, and which an earlier attempt has left: the newest of those given.
	Resume(keys []string) (key string, markIdle func(), found bool)
	// Directory is where the workspace of a key is.
	Directory(key string) string
	// MarkComplete notes that the image is complete: it is kept over a restart.
	MarkComplete(key string) error
	// MarkFinished notes that the SBOM is complete: the workspace is kept until its scan is done with it.
	MarkFinished(key string) error
	// Find is the directory of a workspace whose SBOM is complete.
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

// Workspace is where the SBOM of an image is: a host, and a directory there.
type Workspace struct {
	Host string `json:"host"`
	// Key is the WorkspaceKey on that host, as text.
	Key string `json:"key"`
	// Name is the name the image was pulled by.
	Name  model.Name `json:"name"`
	Bytes int64      `json:"bytes"`
	Size  int64      `json:"size"`
	// Components is how many the scan client found.
	Components int `json:"components,omitempty"`
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

// noteIn is what one attempt of the step leaves for the next: the Workspace as far as it is known.
func noteIn(directory string) string { return filepath.Join(directory, "workspace.json") }

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

// PullImageInput says what to pull, and what its scan is called at the hubs.
type PullImageInput struct {
	Digest model.Digest `json:"digest"`
	// Names are tried in order.
	Names    []model.Name   `json:"names"`
	HubNames model.HubNames `json:"hubNames"`
	// Chain and Pull name the workspace: the first run ID of the scan, and how many times it has pulled.
	Chain string `json:"chain"`
	Pull  int    `json:"pull"`
}

// PartSBOM is the part of PullImage after the pull: the scan client at work.
const PartSBOM = "sbom"

// phasePull is the phase of the first part of PullImage; all other phases are those of the scan client.
const phasePull = "pull"

// place is the workspace of one attempt, and how far an earlier attempt has come in it.
type place struct {
	Workspace
	directory        string
	pulled, finished bool
	markIdle         func()
}

// PullImage acquires a workspace on this host, pulls the image into it, has the scan client write its SBOM, and deletes the
// image. It answers with the workspace, so that the upload runs here. An attempt that finds what an earlier one has left on this
// host goes on there.
func (s *ScannerSteps) PullImage(ctx context.Context, in PullImageInput) (Workspace, error) {
	at, err := s.enter(ctx, in)
	if err != nil {
		return Workspace{}, asApplicationError(err)
	}
	defer at.markIdle()
	beat := startHeartbeat(ctx, Progress{Phase: phasePull})
	defer beat.end()
	if !at.pulled {
		if err := s.pull(ctx, in, at, beat); err != nil {
			return Workspace{}, s.abandonWorkspace(ctx, at.Key, err)
		}
	}
	if !at.finished {
		if err := s.generateSBOM(ctx, in, at, beat); err != nil {
			return Workspace{}, err
		}
	}
	return at.Workspace, nil
}

// enter resumes the workspace of an earlier attempt, or acquires one.
func (s *ScannerSteps) enter(ctx context.Context, in PullImageInput) (*place, error) {
	key := WorkspaceKey{Digest: in.Digest, Chain: in.Chain, Pull: in.Pull, Attempt: int(activity.GetInfo(ctx).Attempt)}
	var earlier []string
	for before := key; before.Attempt > 1; {
		before.Attempt--
		earlier = append([]string{before.String()}, earlier...)
	}
	at := &place{Workspace: Workspace{Host: s.workspaces.Host()}}
	var resumed bool
	if at.Key, at.markIdle, resumed = s.workspaces.Resume(earlier); resumed {
		at.directory = s.workspaces.Directory(at.Key)
		_, at.finished = s.workspaces.Find(at.Key)
		at.pulled = at.readNote(in.Names)
		activity.GetLogger(ctx).Info("workspace of an earlier attempt resumed", "workspace", at.Key, "pulled", at.pulled, "finished", at.finished)
		return at, nil
	}
	var err error
	at.Key = key.String()
	at.directory, at.markIdle, err = s.workspaces.Acquire(at.Key)
	return at, err
}

// readNote takes what an earlier attempt has noted, and reports whether there is such a note.
func (p *place) readNote(names []model.Name) bool {
	text, err := os.ReadFile(noteIn(p.directory))
	var noted Workspace
	if err != nil || json.Unmarshal(text, &noted) != nil || !slices.Contains(names, noted.Name) {
		p.finished = false
		return false
	}
	p.Name, p.Bytes, p.Size, p.Components = noted.Name, noted.Bytes, noted.Size, noted.Components
	return true
}

func (p *place) writeNote() error {
	text, err := json.Marshal(p.Workspace)
	if err == nil {
		err = os.WriteFile(noteIn(p.directory), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("note what is in workspace %s: %w", p.Key, err)
	}
	return nil
}

func (s *ScannerSteps) pull(ctx context.Context, in PullImageInput, at *place, beat *heartbeat) error {
	pulled, err := s.puller.Pull(ctx, in.Names, in.Digest, tarIn(at.directory), func(done, total int64) {
		beat.setProgress(Progress{Phase: phasePull, Done: done, Total: total})
	})
	if err != nil {
		return err
	}
	at.Name, at.Bytes, at.Size = pulled.Name, pulled.Bytes, pulled.Size
	if err := at.writeNote(); err != nil {
		return err
	}
	return s.workspaces.MarkComplete(at.Key)
}

// generateSBOM writes the SBOM of the pulled image, without any contact to a hub, and removes the tar. After a failure that may
// pass, and when this worker stops, the workspace is kept for the next attempt.
func (s *ScannerSteps) generateSBOM(ctx context.Context, in PullImageInput, at *place, beat *heartbeat) error {
	beat.setProgress(Progress{Phase: "start the scan client"})
	components, err := s.client.GenerateSBOM(ctx, tarIn(at.directory), sbomIn(at.directory), scratchIn(at.directory), in.HubNames,
		func(phase string, done, total int64) {
			beat.setProgress(Progress{Phase: phase, Done: done, Total: total})
		})
	if err == nil {
		at.Components = components
		err = at.writeNote()
	}
	if err == nil {
		err = s.workspaces.MarkFinished(at.Key)
	}
	if err != nil {
		class, _ := ClassOf(err)
		if !workerStopping(ctx) && (!class.Temporary() || ctx.Err() != nil) {
			s.releaseWorkspace(ctx, at.Key)
		}
		return inPart(PartSBOM, stepError(ctx, err))
	}
	if err := os.Remove(tarIn(at.directory)); err != nil && !os.IsNotExist(err) {
		activity.GetLogger(ctx).Warn("tar could not be removed", "workspace", at.Key, "error", err)
	}
	return nil
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
