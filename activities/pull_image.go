package activities

import (
	"context"

	"go.temporal.io/sdk/activity"

	"github.com/perceptor/perceptor/model"
)

// PullImageInput says what to pull.
type PullImageInput struct {
	Digest model.Digest `json:"digest"`
	// Names are tried in order.
	Names []model.Name `json:"names"`
	// Chain and Pull name the berth: the first run id of the scan, and how many times it has pulled.
	Chain string `json:"chain"`
	Pull  int    `json:"pull"`
}

// PullImage takes a berth on this host and pulls the image into it. It answers with the place, so that the next steps run here.
func (s *ScannerSteps) PullImage(ctx context.Context, in PullImageInput) (Workspace, error) {
	key := WorkspaceKey{Digest: in.Digest, Chain: in.Chain, Pull: in.Pull, Attempt: int(activity.GetInfo(ctx).Attempt)}.String()
	directory, settled, err := s.berths.Take(key)
	if err != nil {
		return Workspace{}, asApplicationError(err)
	}
	defer settled()
	beat := startPulse(ctx, Progress{Phase: "pull"})
	defer beat.end()
	pulled, err := s.puller.Pull(ctx, in.Names, in.Digest, tarIn(directory), func(done, total int64) {
		beat.show(Progress{Phase: "pull", Done: done, Total: total})
	})
	if err == nil {
		err = s.berths.Keep(key)
	}
	if err != nil {
		return Workspace{}, s.abandon(ctx, key, err)
	}
	return Workspace{Host: s.berths.Host(), Berth: key, Name: pulled.Name, Bytes: pulled.Bytes, Size: pulled.Size}, nil
}

// abandon frees the berth of a step that failed for good and answers for the failure.
func (s *ScannerSteps) abandon(ctx context.Context, key string, cause error) error {
	if err := s.berths.Free(key); err != nil {
		activity.GetLogger(ctx).Warn("berth free", "berth", key, "error", err)
	}
	return ended(ctx, cause)
}

// ended is the error of a step: its context's when that ended it, so that a cancellation is not taken for a failure.
func ended(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return asApplicationError(cause)
}

// stopping reports whether this worker is going away: its berths are kept, for they are found again at the next start.
func stopping(ctx context.Context) bool {
	select {
	case <-activity.GetWorkerStopChannel(ctx):
		return true
	default:
		return false
	}
}
