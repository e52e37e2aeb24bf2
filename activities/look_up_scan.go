package activities

import (
	"context"

	"go.temporal.io/sdk/activity"

	"github.com/perceptor/perceptor/model"
)

// LookUpScanInput names a scan at a hub.
type LookUpScanInput struct {
	Hub  string `json:"hub"`
	Name string `json:"name"`
}

// LookUpScanResult is what the hub knows, or why it could not say.
type LookUpScanResult struct {
	Scan    model.HubScan `json:"scan"`
	Trouble *HubTrouble   `json:"trouble,omitempty"`
}

// LookUpScan asks one hub whether it has an image's scan, or works on it.
func (s *HubSteps) LookUpScan(ctx context.Context, in LookUpScanInput) (LookUpScanResult, error) {
	h, err := s.hub(in.Hub)
	if err != nil {
		return LookUpScanResult{}, asApplicationError(err)
	}
	beat := startHeartbeat(ctx, askingHub(in.Hub))
	defer beat.end()
	scan, err := h.FindScan(ctx, in.Name)
	if err != nil {
		trouble, retry := troubleOrRetry(ctx, err, int(activity.GetInfo(ctx).Attempt))
		return LookUpScanResult{Trouble: trouble}, retry
	}
	return LookUpScanResult{Scan: scan}, nil
}

// FetchVerdictInput names a complete scan.
type FetchVerdictInput struct {
	Scan model.HubScan `json:"scan"`
}

// FetchVerdictResult is the judgement, or why it could not be read.
type FetchVerdictResult struct {
	Verdict model.Verdict `json:"verdict"`
	Trouble *HubTrouble   `json:"trouble,omitempty"`
}

// FetchVerdict reads a hub's judgement of a complete scan.
func (s *HubSteps) FetchVerdict(ctx context.Context, in FetchVerdictInput) (FetchVerdictResult, error) {
	h, err := s.hub(in.Scan.Hub)
	if err != nil {
		return FetchVerdictResult{}, asApplicationError(err)
	}
	beat := startHeartbeat(ctx, askingHub(in.Scan.Hub))
	defer beat.end()
	verdict, err := h.Verdict(ctx, in.Scan)
	if err != nil {
		trouble, retry := troubleOrRetry(ctx, err, int(activity.GetInfo(ctx).Attempt))
		return FetchVerdictResult{Trouble: trouble}, retry
	}
	verdict.Hub = in.Scan.Hub
	return FetchVerdictResult{Verdict: verdict}, nil
}

// FetchFindingsInput names one page of findings.
type FetchFindingsInput struct {
	Hub        string `json:"hub"`
	VersionURL string `json:"versionURL"`
	Offset     int    `json:"offset,omitempty"`
	// Limit is at most 1,000, the hubs' own cap.
	Limit int `json:"limit"`
}

// FetchFindings reads one page of findings for a user who asked; no workflow carries them.
func (s *HubSteps) FetchFindings(ctx context.Context, in FetchFindingsInput) (model.FindingsPage, error) {
	h, err := s.hub(in.Hub)
	if err != nil {
		return model.FindingsPage{}, asApplicationError(err)
	}
	page, err := h.Findings(ctx, in.VersionURL, in.Offset, in.Limit)
	return page, asApplicationError(err)
}
