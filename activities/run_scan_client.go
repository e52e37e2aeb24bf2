package activities

import (
	"context"
	"os"

	"go.temporal.io/sdk/activity"

	"github.com/perceptor/perceptor/internal/image"
)

// RunScanClientInput says what to list.
type RunScanClientInput struct {
	Place Place          `json:"place"`
	Names image.HubNames `json:"names"`
}

// RunScanClientResult is what the scan client found.
type RunScanClientResult struct {
	Components int `json:"components"`
}

// RunScanClient lists the contents of a pulled image, without any contact to a hub, and removes the tar.
func (s *ScannerSteps) RunScanClient(ctx context.Context, in RunScanClientInput) (RunScanClientResult, error) {
	directory, found := s.berths.Find(in.Place.Berth)
	if !found {
		return RunScanClientResult{}, asApplicationError(berthGoneError{in.Place})
	}
	beat := startPulse(ctx, Progress{Phase: "start"})
	defer beat.end()
	components, err := s.client.List(ctx, tarIn(directory), documentIn(directory), scratchIn(directory), in.Names,
		func(phase string, done, total int64) { beat.show(Progress{Phase: phase, Done: done, Total: total}) })
	if err != nil {
		class, _ := ClassOf(err)
		if stopping(ctx) || class.Temporary() && ctx.Err() == nil {
			return RunScanClientResult{}, ended(ctx, err)
		}
		return RunScanClientResult{}, s.abandon(ctx, in.Place.Berth, err)
	}
	if err := os.Remove(tarIn(directory)); err != nil && !os.IsNotExist(err) {
		activity.GetLogger(ctx).Warn("tar remove", "berth", in.Place.Berth, "error", err)
	}
	return RunScanClientResult{Components: components}, nil
}
