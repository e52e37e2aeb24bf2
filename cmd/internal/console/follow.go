package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// Result is what became of one reference.
type Result struct {
	Reference string       `json:"reference"`
	Digest    model.Digest `json:"digest,omitempty"`
	Platform  string       `json:"platform,omitempty"`
	// Error is why there is no verdict; "could not scan" is never an empty verdict.
	Error string `json:"error,omitempty"`
	// Class is the class of the error, when it has one.
	Class model.FailureClass `json:"class,omitempty"`
	// OverallStatus is UNKNOWN with an error.
	OverallStatus model.OverallStatus `json:"overallStatus"`
	// Coverage is what the verdicts rest on; zero with an error.
	Coverage model.CoverageSummary `json:"coverage,omitzero"`
	Verdicts []model.Verdict       `json:"verdicts,omitempty"`
	Findings []model.Finding       `json:"findings,omitempty"`
	// FindingsTotal is how many findings the hubs have; Findings may be capped.
	FindingsTotal int `json:"findingsTotal"`
}

// Scanned reports whether there is a verdict.
func (r Result) Scanned() bool { return r.Error == "" }

// Scan scans every reference and follows all scans to their ends. A reference that cannot be scanned does not hold up the
// others; its result says why. An image that cannot be judged yet, because a hub is still loading data, is waited for that
// long; then its result says so.
func Scan(ctx context.Context, s *starter.Starter, r starter.ScanRequest, loading time.Duration, show Display) ([]Result, error) {
	requested, err := s.Scans.Request(ctx, r)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(requested))
	var all sync.WaitGroup
	for i, each := range requested {
		all.Go(func() { results[i] = follow(ctx, s, each, loading, show) })
	}
	all.Wait()
	return results, ctx.Err()
}

// follow waits for the end of one scan.
func follow(ctx context.Context, s *starter.Starter, requested starter.RequestedScan, loading time.Duration, show Display) Result {
	line := show.Line(requested.Reference)
	result := Result{
		Reference: requested.Reference, Digest: requested.Image.Digest, Platform: requested.Image.Platform.String(), OverallStatus: model.OverallUnknown,
	}
	view, err := s.Scans.Await(ctx, requested, line.Show)
	if err == nil {
		// An image scanned long ago is shown as its hubs judge it now.
		view, err = s.Images.Refresh(ctx, view)
	}
	for end := time.Now().Add(loading); err == nil && beingLoaded(view.Verdicts) && time.Now().Before(end); {
		line.Show(starter.CurrentStep{WaitingFor: "vulnerability data, which a hub is loading"})
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-time.After(min(askAgain, time.Until(end))):
			view, err = s.Images.Refresh(ctx, view)
		}
	}
	complete := result
	if err == nil {
		err = complete.fill(ctx, s, view)
	}
	if err != nil {
		// Half an answer would look like a whole one.
		result.Error, result.Class = err.Error(), classOf(err)
		line.End("could not scan: " + result.Error)
		return result
	}
	line.End(fmt.Sprintf("%s, %d findings, %s", complete.OverallStatus, complete.FindingsTotal, complete.Coverage.Text()))
	return complete
}

// askAgain is the time between two questions to a hub that loads data.
const askAgain = time.Second

// beingLoaded reports whether a verdict lacks only what its hub is about to have.
func beingLoaded(verdicts []model.Verdict) bool {
	return slices.ContainsFunc(verdicts, func(v model.Verdict) bool {
		return !v.Coverage.Satisfied && slices.ContainsFunc(v.Coverage.NotAssessed, func(n model.NotAssessed) bool { return n.Reason == model.DataLoading })
	})
}

// classOf is the class of what kept an image from being scanned; empty when it has none.
func classOf(err error) model.FailureClass {
	if failed, ok := errors.AsType[starter.ScanFailedError](err); ok {
		return failed.Failure.Class
	}
	if unresolved, ok := errors.AsType[starter.ResolveError](err); ok {
		return unresolved.Class
	}
	return ""
}

// fill takes the verdicts from the image's view and reads the findings from the hubs.
func (r *Result) fill(ctx context.Context, s *starter.Starter, view workflows.ImageView) error {
	r.OverallStatus, r.Verdicts, r.Coverage = view.OverallStatus, view.Verdicts, model.CoverageOf(view.Verdicts)
	for _, v := range view.Verdicts {
		if v.Findings == 0 {
			continue
		}
		findings, total, err := s.Images.Findings(ctx, v)
		if err != nil {
			return err
		}
		r.Findings = append(r.Findings, findings...)
		r.FindingsTotal += total
	}
	return nil
}

// Bar is what a finding must reach to fail a scan.
type Bar struct {
	// Severity is the least bad one that counts.
	Severity model.Severity
	// OnlyFixed counts only findings with a fix.
	OnlyFixed bool
}

// reached reports whether a finding that is not dealt with is as bad as the bar or worse. A finding without a severity may be
// as bad as any. It reaches every bar when it has a fix, because then it also violates the default policy.
func (b Bar) reached(f model.Finding) bool {
	if f.DealtWith() || b.OnlyFixed && f.Fixed == "" {
		return false
	}
	return f.Severity.AtLeast(b.Severity) || f.Severity == model.SeverityUnrated && f.Fixed != ""
}

// Reaches reports whether any finding reaches the bar.
func (r Result) Reaches(b Bar) bool { return slices.ContainsFunc(r.Findings, b.reached) }

// Unread is how many findings the hubs have and were too many to read.
func (r Result) Unread() int { return max(0, r.FindingsTotal-len(r.Findings)) }
