package workers

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/workspace"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

const (
	// sweepEvery is how often a host asks whether its berths are still wanted.
	sweepEvery = time.Minute
	// undecidedFor is how long a berth is kept while its scan is pulling again, perhaps elsewhere.
	undecidedFor = 2 * time.Minute
)

// sweeper frees the berths of this host that no scan wants any more: those of scans that were terminated, that went on
// elsewhere, or that ended without a word.
type sweeper struct {
	pool   *workspace.Pool
	place  func(ctx context.Context, d model.Digest) (workflows.WorkspaceView, error)
	logger *slog.Logger
}

func (s sweeper) run(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		s.sweep(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s sweeper) sweep(ctx context.Context) {
	for _, held := range s.pool.List() {
		if held.Busy || s.wanted(ctx, held) {
			continue
		}
		s.logger.Info("berth swept", "berth", held.Key)
		if err := s.pool.Free(held.Key); err != nil {
			s.logger.Warn("berth free", "berth", held.Key, "error", err)
		}
	}
}

// wanted asks the scan the berth was taken for. Without an answer the berth is kept: nothing that may be in use is freed.
func (s sweeper) wanted(ctx context.Context, held workspace.Held) bool {
	key, err := activities.ParseWorkspaceKey(held.Key)
	if err != nil {
		return false
	}
	view, err := s.place(ctx, key.Digest)
	switch {
	case errors.Is(err, starter.ErrUnknownImage):
		return false
	case err != nil:
		s.logger.Warn("berth ask", "berth", held.Key, "error", err)
		return true
	case view.Chain != key.Chain:
		return false
	case view.Undecided:
		return time.Since(held.Since) < undecidedFor
	default:
		return view.Host == s.pool.Host() && view.Berth == held.Key
	}
}
