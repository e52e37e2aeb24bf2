package console

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// Request is what to scan, and for whom.
type Request struct {
	References []string
	// Who asks: the reference that keeps the image is in that name.
	Who string
	// Domain is the set of scanners to ask.
	Domain     string
	Platform   model.Platform
	Credential string
	// Rescan asks for a new scan of images that have a verdict.
	Rescan bool
}

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
	Verdicts      []model.Verdict     `json:"verdicts,omitempty"`
	Findings      []model.Finding     `json:"findings,omitempty"`
	// FindingsTotal is how many findings the hubs have; Findings may be capped.
	FindingsTotal int `json:"findingsTotal"`
}

// Scanned reports whether there is a verdict.
func (r Result) Scanned() bool { return r.Error == "" }

// lookEvery is how often a scan that is followed is asked after.
const lookEvery = 400 * time.Millisecond

// Scan has every reference scanned and follows all of them to their ends. One that cannot be scanned does not hold up
// the others; its result says why.
func Scan(ctx context.Context, s *starter.Starter, r Request, show Display) ([]Result, error) {
	requests := make([]activities.ResolveRequest, len(r.References))
	for i, reference := range r.References {
		requests[i] = activities.ResolveRequest{Reference: reference, Platform: r.Platform, Credential: r.Credential}
	}
	resolved, err := s.Resolve(ctx, r.Domain, requests)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(r.References))
	done := make(chan struct{})
	for i, each := range resolved {
		results[i] = Result{Reference: r.References[i], OverallStatus: model.OverallUnknown}
		go func() {
			defer func() { done <- struct{}{} }()
			follow(ctx, s, r, each, &results[i], show)
		}()
	}
	for range resolved {
		<-done
	}
	return results, ctx.Err()
}

// follow asks for one scan and waits for its end.
func follow(ctx context.Context, s *starter.Starter, r Request, found activities.Resolution, result *Result, show Display) {
	line := show.Line(result.Reference)
	if found.Failure != nil {
		result.Error, result.Class = found.Failure.Reason, found.Failure.Class
		line.End("could not scan: " + result.Error)
		return
	}
	result.Digest, result.Platform = found.Image.Digest, found.Image.Platform.String()
	view, err := scanOne(ctx, s, r, *found.Image, line)
	if err == nil {
		// An image scanned long ago is shown as its hubs judge it now.
		view, err = s.Refresh(ctx, view)
	}
	if err == nil {
		err = result.take(ctx, s, view)
	}
	if err != nil {
		// Half an answer would look like a whole one.
		*result = Result{Reference: result.Reference, Digest: result.Digest, Platform: result.Platform, Error: err.Error(), OverallStatus: model.OverallUnknown}
		if failed, ok := errors.AsType[failedError](err); ok {
			result.Class = failed.failure.Class
		}
		line.End("could not scan: " + result.Error)
		return
	}
	line.End(fmt.Sprintf("%s, %d findings", result.OverallStatus, result.FindingsTotal))
}

// failedError is a scan that failed for a reason.
type failedError struct{ failure model.Failure }

func (e failedError) Error() string {
	text := fmt.Sprintf("%s (%s, at %s, attempt %d)", e.failure.Reason, e.failure.Class, e.failure.Step, e.failure.Attempt)
	if !e.failure.NextTry.IsZero() {
		text += "; next try " + e.failure.NextTry.Local().Format(time.DateTime)
	}
	return text
}

// scanOne refers to the image in a person's name and waits until its workflow has an answer newer than the question.
func scanOne(ctx context.Context, s *starter.Starter, r Request, found activities.ResolvedImage, line Line) (workflows.ImageView, error) {
	before, err := s.Image(ctx, found.Digest)
	if err != nil && !errors.Is(err, starter.ErrUnknownImage) {
		return before, err
	}
	now := time.Now()
	err = s.Observe(ctx, found.Digest, workflows.Observe{
		Names: []model.Name{found.Name}, Platform: found.Platform, Priority: workflows.PriorityInteractive, Domain: r.Domain,
		Reference: workflows.Reference{
			Kind: workflows.ReferencePerson, ID: r.Who, Version: model.Version{Epoch: now.UnixNano()}, Until: now.Add(workflows.PersonReference),
		},
	})
	if err != nil {
		return before, err
	}
	again := r.Rescan && len(before.Verdicts) > 0 || before.Failure != nil
	if again {
		if err := s.Rescan(ctx, found.Digest, workflows.Rescan{Reason: "asked for by " + r.Who, Priority: workflows.PriorityInteractive}); err != nil {
			return before, err
		}
	}
	return await(ctx, s, found.Digest, before, again, line)
}

// await looks until the image's workflow has a report newer than before, or a verdict when any will do.
func await(ctx context.Context, s *starter.Starter, d model.Digest, before workflows.ImageView, again bool, line Line) (workflows.ImageView, error) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		view, err := s.Image(ctx, d)
		if err == nil {
			fresh := !again || view.LastStarted.After(before.LastStarted)
			switch {
			case fresh && view.Failure != nil:
				return view, failedError{*view.Failure}
			case fresh && view.Status == model.StatusComplete:
				return view, nil
			}
			if doing, err := s.Doing(ctx, d); err == nil && (doing.Step != "" || doing.WaitingFor != "") {
				line.Show(doing)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return view, fmt.Errorf("stopped waiting; the scan goes on without this command: %w", ctx.Err())
		}
	}
}

// take fills the result from the image's view and reads the findings from the hubs.
func (r *Result) take(ctx context.Context, s *starter.Starter, view workflows.ImageView) error {
	r.OverallStatus, r.Verdicts = view.OverallStatus, view.Verdicts
	for _, v := range view.Verdicts {
		if v.Findings == 0 {
			continue
		}
		findings, total, err := s.Findings(ctx, v)
		if err != nil {
			return err
		}
		r.Findings = append(r.Findings, findings...)
		r.FindingsTotal += total
	}
	return nil
}

// Worst reports whether any finding that is not dealt with is as bad as bar or worse.
func (r Result) Worst(bar model.Severity) bool {
	for _, f := range r.Findings {
		if f.Severity.AtLeast(bar) && !dealtWith[f.Remediation] {
			return true
		}
	}
	return false
}

// dealtWith are the hub's words for findings somebody has decided about.
var dealtWith = map[string]bool{"IGNORED": true, "PATCHED": true, "MITIGATED": true, "REMEDIATION_COMPLETE": true, "DUPLICATE": true}
