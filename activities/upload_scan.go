package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"

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
	// Refused says that the hub surely did not take it; otherwise, with trouble, nobody knows.
	Refused bool `json:"refused,omitempty"`
}

// UploadScan looks the scan up once more and, when the hub still does not know it, uploads the listing under the lease.
// A failure of the hub is a result. The berth is free once the hub has taken the scan.
func (s *ScannerSteps) UploadScan(ctx context.Context, in UploadScanInput) (UploadScanResult, error) {
	h, err := hubOf(s.hubs, in.Hub)
	if err != nil {
		return UploadScanResult{}, asApplicationError(err)
	}
	beat := startPulse(ctx, Progress{Phase: "look up"})
	defer beat.end()
	known, err := h.FindScan(ctx, in.Names.Scan)
	if err != nil {
		return UploadScanResult{Trouble: troubleOf(err), Refused: true}, ctx.Err()
	}
	if Counts(known, in.Previous) {
		s.releaseWorkspace(ctx, in.Workspace.Berth)
		return UploadScanResult{Scan: known, Found: true}, nil
	}
	directory, found := s.berths.Find(in.Workspace.Berth)
	if !found {
		return UploadScanResult{}, asApplicationError(workspaceGoneError{in.Workspace})
	}
	return s.upload(ctx, h, directory, in, beat)
}

// Counts reports whether a scan the hub knows makes an upload needless: it is at it, or has done it since.
func Counts(scan model.HubScan, previous string) bool {
	switch scan.State {
	case model.HubScanInProgress:
		return true
	case model.HubScanComplete:
		return previous == "" || scan.ScanID != previous
	default:
		return false
	}
}

func (s *ScannerSteps) upload(ctx context.Context, h Hub, directory string, in UploadScanInput, beat *pulse) (UploadScanResult, error) {
	target, err := h.UploadTarget(ctx)
	if err != nil {
		return UploadScanResult{Trouble: troubleOf(err), Refused: true}, ctx.Err()
	}
	id, err := s.client.Upload(ctx, sbomIn(directory), target, in.Names, in.Attempt,
		func(phase string, done, total int64) { beat.show(Progress{Phase: phase, Done: done, Total: total}) })
	if err != nil {
		return UploadScanResult{Trouble: troubleOf(err), Refused: surelyRefused(err)}, ctx.Err()
	}
	s.releaseWorkspace(ctx, in.Workspace.Berth)
	now := time.Now().UTC()
	return UploadScanResult{Scan: model.HubScan{
		Hub: in.Hub, Name: in.Names.Scan, State: model.HubScanInProgress, ScanID: id, StartedAt: now, UpdatedAt: now,
	}}, nil
}

// leave frees the berth; the host's sweeper does it later if this fails.
func (s *ScannerSteps) releaseWorkspace(ctx context.Context, key string) {
	if err := s.berths.Free(key); err != nil {
		activity.GetLogger(ctx).Warn("berth free", "berth", key, "error", err)
	}
}

// surelyRefused reports whether the error proves that the hub did not take the upload.
func surelyRefused(err error) bool {
	var e interface{ SurelyRefused() bool }
	return errors.As(err, &e) && e.SurelyRefused()
}
