package activities

import (
	"context"
	"os"

	"go.temporal.io/sdk/activity"

	"github.com/perceptor/perceptor/model"
)

// RunScanClientInput says what to list.
type GenerateSBOMInput struct {
	Workspace Workspace      `json:"workspace"`
	Names     model.HubNames `json:"names"`
}

// RunScanClientResult is what the scan client found.
type GenerateSBOMResult struct {
	Components int `json:"components"`
}

// RunScanClient lists the contents of a pulled image, without any contact to a hub, and removes the tar.
func (s *ScannerSteps) GenerateSBOM(ctx context.Context, in GenerateSBOMInput) (GenerateSBOMResult, error) {
	directory, found := s.berths.Find(in.Workspace.Berth)
	if !found {
		return GenerateSBOMResult{}, asApplicationError(workspaceGoneError{in.Workspace})
	}
	beat := startPulse(ctx, Progress{Phase: "start"})
	defer beat.end()
	components, err := s.client.GenerateSBOM(ctx, tarIn(directory), sbomIn(directory), scratchIn(directory), in.Names,
		func(phase string, done, total int64) { beat.show(Progress{Phase: phase, Done: done, Total: total}) })
	if err != nil {
		class, _ := ClassOf(err)
		if stopping(ctx) || class.Temporary() && ctx.Err() == nil {
			return GenerateSBOMResult{}, ended(ctx, err)
		}
		return GenerateSBOMResult{}, s.abandon(ctx, in.Workspace.Berth, err)
	}
	if err := os.Remove(tarIn(directory)); err != nil && !os.IsNotExist(err) {
		activity.GetLogger(ctx).Warn("tar remove", "berth", in.Workspace.Berth, "error", err)
	}
	return GenerateSBOMResult{Components: components}, nil
}
