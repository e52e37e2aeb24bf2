package scan

import (
	"cmp"
	"errors"
	"fmt"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Nil pointers by which the workflow names its steps.
var (
	hubSteps        *activities.HubSteps
	prioritizeSteps *activities.PrioritizeSteps
	reportSteps     *activities.ReportSteps
	scanSteps       *activities.ScanSteps
	scannerSteps    *activities.ScannerSteps
)

// scanImage is one run of ScanImage.
type scanImage struct {
	in     workflows.ScanImageInput
	state  *workflows.ScanState
	pool   *poolLink
	logger log.Logger
	// stop ends the scan early; it is called when nothing refers to the image any longer.
	stop workflow.CancelFunc
}

// ScanImage scans one image once: it asks the hubs whether one has it, pulls it, generates its SBOM, gets a
// lease, uploads, waits for the hub, reads the verdict and reports it to the image's workflow. It closes Completed with a
// verdict, Failed with a reason, or Cancelled.
func ScanImage(ctx workflow.Context, in workflows.ScanImageInput) (model.Verdict, error) { //nolint:revive // the workflow's name
	ctx, stop := workflow.WithCancel(ctx)
	defer stop()
	s := &scanImage{in: in, logger: workflow.GetLogger(ctx), stop: stop}
	if err := s.setUp(ctx); err != nil {
		return model.Verdict{}, err
	}
	return s.run(ctx)
}

// setUp checks the input. A scan that was started by hand with a wrong one ends at once, before it has done anything: its image
// finds it closed and starts a scan of its own.
func (s *scanImage) setUp(ctx workflow.Context) error {
	info := workflow.GetInfo(ctx)
	err := s.in.Check()
	if err == nil && info.WorkflowExecution.ID != workflows.ScanImageID(s.in.Digest) {
		err = fmt.Errorf("workflow %.120q is not the scan of this image", info.WorkflowExecution.ID)
	}
	if err == nil {
		s.state, err = workflows.Continued(ctx, s.in.State)
	}
	if err != nil {
		return temporal.NewNonRetryableApplicationError("the input of the scan is wrong: "+err.Error(), string(model.Invalid), nil)
	}
	if s.state == nil {
		s.state = &workflows.ScanState{Chain: cmp.Or(info.FirstRunID, info.WorkflowExecution.RunID), Started: workflow.Now(ctx), Step: workflows.StepLookUp}
	}
	s.pool = newPoolLink(ctx, s)
	return s.answerQueries(ctx)
}

// run goes from step to step until the scan is done, failed or cancelled. Each step is one method and names the next.
func (s *scanImage) run(ctx workflow.Context) (model.Verdict, error) {
	steps := map[workflows.Step]func(workflow.Context) (workflows.Step, error){
		workflows.StepLookUp:   s.lookUp,
		workflows.StepPull:     s.pull,
		workflows.StepLease:    s.lease,
		workflows.StepUpload:   s.upload,
		workflows.StepExternal: external{s}.scan,
		workflows.StepAwait:    s.await,
		workflows.StepVerdict:  s.fetchVerdict,
		workflows.StepReport:   s.report,
	}
	for s.state.Step != workflows.StepDone {
		s.updateDetails(ctx)
		next, err := steps[s.state.Step](ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return model.Verdict{}, s.cancelled(ctx)
		case err != nil:
			s.fail(ctx, err)
		default:
			s.state.Step = next
		}
		if s.state.Step != workflows.StepDone && workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return model.Verdict{}, s.continueAsNew(ctx)
		}
	}
	return s.end(ctx)
}

// unwanted stops the scan if it has not got further than the backlog; otherwise it finishes.
func (s *scanImage) unwanted() {
	if s.state.Step == workflows.StepLookUp || s.state.Step == workflows.StepPull {
		s.stop()
	}
}

// fail turns an error of a step into the failure that is reported, and gives back what the scan holds.
func (s *scanImage) fail(ctx workflow.Context, err error) {
	class, reason := activities.FailureOf(err)
	reason = model.Clip(reason, model.ReasonLength)
	step := cmp.Or(activities.PartOf(err), string(s.state.Step))
	s.logger.Info("scan failed", "step", step, "class", class, "reason", reason)
	s.state.Failure = &model.Failure{
		Class: class, Reason: reason, Step: step, At: workflow.Now(ctx), Attempt: s.in.Attempt,
	}
	s.pool.giveUp(ctx)
	s.state.Step = workflows.StepReport
}

// report sends the outcome to the image's workflow, until that has it. An error of the step says nothing of the scan, whose outcome
// stays what it is.
func (s *scanImage) report(ctx workflow.Context) (workflows.Step, error) {
	for {
		err := s.sendReport(ctx, s.outcome())
		switch {
		case err == nil:
			return workflows.StepDone, nil
		case ctx.Err() != nil:
			return "", err
		}
		s.logger.Warn("outcome of the scan could not be reported; reported again soon", "error", err)
		if err := workflow.Sleep(ctx, announceEvery); err != nil {
			return "", err
		}
	}
}

// outcome is what the image is sent: the verdict or the failure, and that the scan was cancelled where there is neither.
func (s *scanImage) outcome() activities.ScanReport {
	report := activities.ScanReport{Digest: s.in.Digest, Chain: s.state.Chain, Started: s.state.Started, Outcome: activities.ScanCancelled}
	switch {
	case s.state.Failure != nil:
		report.Outcome, report.Failure = activities.ScanFailed, s.state.Failure
	case s.state.Verdict != nil:
		report.Outcome, report.Verdict = activities.ScanCompleted, s.state.Verdict
	}
	return report
}

func (s *scanImage) sendReport(ctx workflow.Context, report activities.ScanReport) error {
	ctx = workflows.LocalStep(ctx, "report to the image: "+string(report.Outcome))
	return workflow.ExecuteLocalActivity(ctx, reportSteps.ReportScan, report).Get(ctx, nil)
}

// cancelled gives back what the scan holds and reports, in a context that still works. What is known by then is reported as it is: a
// verdict is not lost because the scan was cancelled while it was being reported. The lease is given back in any case.
func (s *scanImage) cancelled(ctx workflow.Context) error {
	ctx, stop := workflow.NewDisconnectedContext(ctx)
	defer stop()
	s.pool.giveUp(ctx)
	_, err := s.report(ctx)
	if err := errors.Join(err, s.pool.settle(ctx)); err != nil {
		return fmt.Errorf("end the cancelled scan: %w", err)
	}
	return temporal.NewCanceledError()
}

// end waits for the last signals to be sent, since the server drops those of a closed workflow.
func (s *scanImage) end(ctx workflow.Context) (model.Verdict, error) {
	s.updateDetails(ctx)
	if err := s.pool.settle(ctx); err != nil {
		return model.Verdict{}, err
	}
	if f := s.state.Failure; f != nil {
		return model.Verdict{}, temporal.NewNonRetryableApplicationError(f.Reason, string(f.Class), nil)
	}
	return *s.state.Verdict, nil
}

// continueAsNew goes on in a new run with all that is known, when every signal has been sent and taken.
func (s *scanImage) continueAsNew(ctx workflow.Context) error {
	if err := s.pool.settle(ctx); err != nil {
		return err
	}
	s.pool.receivePending(ctx)
	next := s.in
	next.State = s.state
	return workflow.NewContinueAsNewError(ctx, workflows.TypeScanImage, next)
}
