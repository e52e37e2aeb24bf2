package activities

import (
	"context"
	"errors"
	"time"

	"github.com/perceptor/perceptor/model"
)

// UploadScanInput says what to upload, where, and as which attempt.
type UploadScanInput struct {
	Workspace Workspace       `json:"workspace"`
	Hub       string          `json:"hub"`
	Names     model.HubNames  `json:"names"`
	Attempt   model.AttemptID `json:"attempt"`
	// Previous is the hub's id of the complete scan that is to be replaced; empty when any complete scan will do.
	Previous string `json:"previous,omitempty"`
}

// UploadScanResult is the scan at the hub, or why there is none.
type UploadScanResult struct {
	Scan model.HubScan `json:"scan"`
	// Found is set when the hub had the scan already, so nothing was uploaded.
	Found bool `json:"found,omitempty"`
	// Trouble is set when the upload did not go well.
	Trouble *HubTrouble `json:"trouble,omitempty"`
	// Refused says that the hub surely did not accept it; otherwise, with trouble, that is unknown.
	Refused bool `json:"refused,omitempty"`
}

// UploadScan looks the scan up once more and, when the hub still does not know it, uploads the SBOM under the lease.
// A failure of the hub is a result. The workspace is released once the hub has accepted the scan.
func (s *ScannerSteps) UploadScan(ctx context.Context, in UploadScanInput) (UploadScanResult, error) {
	h, err := hubOf(s.hubs, in.Hub)
	if err != nil {
		return UploadScanResult{}, asApplicationError(err)
	}
	beat := startHeartbeat(ctx, Progress{Phase: "look up"})
	defer beat.end()
	known, err := h.FindScan(ctx, in.Names.Scan)
	if err != nil {
		return UploadScanResult{Trouble: troubleOf(err), Refused: true}, ctx.Err()
	}
	if HubHasScan(known, in.Previous) {
		s.releaseWorkspace(ctx, in.Workspace.Key)
		return UploadScanResult{Scan: known, Found: true}, nil
	}
	directory, found := s.workspaces.Find(in.Workspace.Key)
	if !found {
		return UploadScanResult{}, asApplicationError(workspaceGoneError{in.Workspace})
	}
	return s.upload(ctx, h, directory, in, beat)
}

// HubHasScan reports whether a scan that the hub knows makes an upload needless: the hub works on it, or has completed it
// since the previous one.
func HubHasScan(scan model.HubScan, previous string) bool {
	switch scan.State {
	case model.HubScanInProgress:
		return true
	case model.HubScanComplete:
		return previous == "" || scan.ScanID != previous
	default:
		return false
	}
}

func (s *ScannerSteps) upload(ctx context.Context, h Hub, directory string, in UploadScanInput, beat *heartbeat) (UploadScanResult, error) {
	target, err := h.UploadTarget(ctx)
	if err != nil {
		return UploadScanResult{Trouble: troubleOf(err), Refused: true}, ctx.Err()
	}
	id, err := s.client.Upload(ctx, sbomIn(directory), target, in.Names, in.Attempt,
		func(phase string, done, total int64) {
			beat.setProgress(Progress{Phase: phase, Done: done, Total: total})
		})
	if err != nil {
		return UploadScanResult{Trouble: troubleOf(err), Refused: surelyRefused(err)}, ctx.Err()
	}
	s.releaseWorkspace(ctx, in.Workspace.Key)
	now := time.Now().UTC()
	return UploadScanResult{Scan: model.HubScan{
		Hub: in.Hub, Name: in.Names.Scan, State: model.HubScanInProgress, ScanID: id, StartedAt: now, UpdatedAt: now,
	}}, nil
}

// surelyRefused reports whether the error proves that the hub did not accept the upload.
func surelyRefused(err error) bool {
	var e interface{ SurelyRefused() bool }
	return errors.As(err, &e) && e.SurelyRefused()
}
