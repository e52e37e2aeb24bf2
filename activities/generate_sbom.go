package activities

import (
	"context"
	"os"

	"go.temporal.io/sdk/activity"

	"github.com/perceptor/perceptor/model"
)

// GenerateSBOMInput names the image and what its scan is called at the hub.
type GenerateSBOMInput struct {
	Workspace Workspace      `json:"workspace"`
	Names     model.HubNames `json:"names"`
}

// GenerateSBOMResult is what the scan client found.
type GenerateSBOMResult struct {
	Components int `json:"components"`
}

// GenerateSBOM writes the SBOM of a pulled image, without any contact to a hub, and removes the tar.
func (s *ScannerSteps) GenerateSBOM(ctx context.Context, in GenerateSBOMInput) (GenerateSBOMResult, error) {
	directory, found := s.workspaces.Find(in.Workspace.Key)
	if !found {
		return GenerateSBOMResult{}, asApplicationError(workspaceGoneError{in.Workspace})
	}
	beat := startHeartbeat(ctx, Progress{Phase: "start"})
	defer beat.end()
	components, err := s.client.GenerateSBOM(ctx, tarIn(directory), sbomIn(directory), scratchIn(directory), in.Names,
		func(phase string, done, total int64) {
			beat.setProgress(Progress{Phase: phase, Done: done, Total: total})
		})
	if err != nil {
		class, _ := ClassOf(err)
		if workerStopping(ctx) || class.Temporary() && ctx.Err() == nil {
			return GenerateSBOMResult{}, stepError(ctx, err)
		}
		return GenerateSBOMResult{}, s.abandonWorkspace(ctx, in.Workspace.Key, err)
	}
	if err := os.Remove(tarIn(directory)); err != nil && !os.IsNotExist(err) {
		activity.GetLogger(ctx).Warn("tar could not be removed", "workspace", in.Workspace.Key, "error", err)
	}
	return GenerateSBOMResult{Components: components}, nil
}
