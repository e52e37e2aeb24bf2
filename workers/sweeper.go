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
	// sweepEvery is how often a host asks whether its workspaces are still needed.
	sweepEvery = time.Minute
	// undecidedFor is how long a workspace is kept while its scan is pulling again, perhaps elsewhere.
	undecidedFor = 2 * time.Minute
)

// sweeper releases the workspaces of this host that no scan needs any longer: the scan was terminated, continued on another
// host, or ended without releasing its workspace.
type sweeper struct {
	pool   *workspace.Pool
	lookUp func(ctx context.Context, d model.Digest) (workflows.WorkspaceView, error)
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
	for _, found := range s.pool.List() {
		if found.Busy || s.needed(ctx, found) {
			continue
		}
		s.logger.Info("unused workspace released", "workspace", found.Key)
		if err := s.pool.Release(found.Key); err != nil {
			s.logger.Warn("workspace could not be released", "workspace", found.Key, "error", err)
		}
	}
}

// needed asks the scan that the workspace is for. Without an answer the workspace is kept: it may be in use.
func (s sweeper) needed(ctx context.Context, found workspace.Info) bool {
	key, err := activities.ParseWorkspaceKey(found.Key)
	if err != nil {
		return false
	}
	view, err := s.lookUp(ctx, key.Digest)
	switch {
	case errors.Is(err, starter.ErrUnknownImage):
		return false
	case err != nil:
		s.logger.Warn("scan could not be asked about its workspace", "workspace", found.Key, "error", err)
		return true
	case view.Chain != key.Chain:
		return false
	case view.Undecided:
		return time.Since(found.Since) < undecidedFor
	default:
		return view.Host == s.pool.Host() && view.Workspace == found.Key
	}
}
