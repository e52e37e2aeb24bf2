package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/perceptor/perceptor/model"
)

// quickRetries is how often the server repeats a call to a hub that failed in passing before the failure becomes a result.
const quickRetries = 2

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

// LookUpScan asks one hub whether it has an image's scan, or is at it.
func (s *HubSteps) LookUpScan(ctx context.Context, in LookUpScanInput) (LookUpScanResult, error) {
	h, err := s.hub(in.Hub)
	if err != nil {
		return LookUpScanResult{}, asApplicationError(err)
	}
	beat := startPulse(ctx, asking(in.Hub))
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
	beat := startPulse(ctx, asking(in.Scan.Hub))
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

// FetchFindings reads one page of findings for somebody who asked; no workflow carries them.
func (s *HubSteps) FetchFindings(ctx context.Context, in FetchFindingsInput) (model.FindingsPage, error) {
	h, err := s.hub(in.Hub)
	if err != nil {
		return model.FindingsPage{}, asApplicationError(err)
	}
	page, err := h.Findings(ctx, in.VersionURL, in.Offset, in.Limit)
	return page, asApplicationError(err)
}

// troubleOrRetry decides what a hub's failure becomes: a retry by the server while it may be passing and has happened
// at most twice, and a result after that, or at once when the hub said how long to stay away.
func troubleOrRetry(ctx context.Context, err error, failures int) (*HubTrouble, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	trouble := troubleOf(err)
	if trouble.Class == model.Transient && trouble.RetryAfter == 0 && failures <= quickRetries {
		return nil, asApplicationError(err)
	}
	return trouble, nil
}

// pollDelay is how long to leave a hub alone: 2 % of the time waited so far, so that the delay costs little of it,
// between a quarter of a second and a minute.
func pollDelay(waited time.Duration) time.Duration {
	return min(max(waited/50, 250*time.Millisecond), time.Minute)
}
