package activities

import (
	"context"
	"errors"
	"fmt"
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

// Check says what is wrong with a report: a completed scan has a verdict, a failed one a failure.
func (r ScanReport) Check(now time.Time) error {
	switch {
	case r.Outcome == ScanCompleted && r.Verdict == nil:
		return errors.New("the scan completed without a verdict")
	case r.Outcome == ScanFailed && r.Failure == nil:
		return errors.New("the scan failed without a failure")
	case r.Outcome != ScanCompleted && r.Outcome != ScanFailed && r.Outcome != ScanCancelled:
		return fmt.Errorf("outcome %.40q: want completed, failed or cancelled", r.Outcome)
	case r.Started.IsZero():
		return errors.New("it is not known when the scan began")
	}
	err := errors.Join(r.Digest.Check(), model.CheckChain(r.Chain), model.CheckTime("start of the scan", r.Started, now))
	if r.Outcome == ScanCompleted {
		err = errors.Join(err, r.Verdict.Check(now))
	}
	if r.Outcome == ScanFailed {
		err = errors.Join(err, r.Failure.Check(now))
	}
	return err
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
