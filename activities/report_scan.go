package activities

import (
	"context"
	"time"

	"github.com/perceptor/perceptor/model"
)

// ScanOutcome is how a scan ended.
type ScanOutcome string

// The outcomes.
const (
	ScanCompleted ScanOutcome = "completed"
	ScanFailed    ScanOutcome = "failed"
	ScanCancelled ScanOutcome = "cancelled"
)

// ScanReport is the outcome of one ScanImage, which it reports to its Image.
type ScanReport struct {
	Digest model.Digest `json:"digest"`
	// Chain is the first run id of the ScanImage.
	Chain   string      `json:"chain"`
	Outcome ScanOutcome `json:"outcome"`
	// Started is when the scan began; a report of an older scan never overwrites a newer one's.
	Started time.Time `json:"started"`
	// Verdict is set when the scan completed.
	Verdict *model.Verdict `json:"verdict,omitempty"`
	// Failure is set when it failed.
	Failure *model.Failure `json:"failure,omitempty"`
}

// Reporter brings a report to the image it is about, starting the Image workflow if there is none.
type Reporter interface {
	ReportScan(ctx context.Context, report ScanReport) error
}

// ReportSteps is the step that ends every scan.
type ReportSteps struct {
	reporter Reporter
}

// NewReportSteps reports through r.
func NewReportSteps(r Reporter) *ReportSteps { return &ReportSteps{reporter: r} }

// ReportScan sends an image the outcome of its scan.
func (s *ReportSteps) ReportScan(ctx context.Context, report ScanReport) error {
	return asApplicationError(s.reporter.ReportScan(ctx, report))
}
