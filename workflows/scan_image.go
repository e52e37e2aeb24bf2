package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// ScanImageInput is what Image tells a scan.
type ScanImageInput struct {
	Digest model.Digest `json:"digest"`
	// Names are tried in order.
	Names    []model.Name   `json:"names"`
	HubNames model.HubNames `json:"hubNames"`
	Domain   string         `json:"domain"`
	Priority Priority       `json:"priority"`
	// Namespace shares out the backlog fairly among those of one class.
	Namespace string `json:"namespace,omitempty"`
	// Rescan asks for a new scan even where a hub has a complete one.
	Rescan bool `json:"rescan,omitempty"`
	// AskAll is set when an earlier scan may have left something at a hub of which nobody was told: a hub that cannot be
	// asked now is then waited for, since an upload to another would be the second.
	AskAll bool `json:"askAll,omitempty"`
	// Told says that the pool knows by itself which grants have arrived; a scan of an earlier build confirms each.
	Told bool `json:"told,omitempty"`
	// Attempt counts the scans of this image since its last success, from 1.
	Attempt int `json:"attempt"`
	// State is set when the scan goes on in a new run.
	State *ScanState `json:"state,omitempty"`
}

// Step is where in its story a scan is.
type Step string

// The steps, in the order of the story.
const (
	StepLookUp  Step = "look-up"
	StepPull    Step = "pull"
	StepSBOM    Step = "sbom"
	StepLease   Step = "lease"
	StepUpload  Step = "upload"
	StepAwait   Step = "await"
	StepVerdict Step = "verdict"
	StepReport  Step = "report"
	StepDone    Step = "done"
)

// ScanState is all a scan knows; it goes with it into its next run.
type ScanState struct {
	// Chain is the first run id: the key of the scan's lease and of its berths.
	Chain   string    `json:"chain"`
	Started time.Time `json:"started"`
	Step    Step      `json:"step"`
	// Hubs are the hubs that were there at the look-up; Skipped those that could not be asked.
	Hubs    []string `json:"hubs,omitempty"`
	Skipped []string `json:"skipped,omitempty"`
	// Previous is, per hub, the complete scan that a rescan replaces.
	Previous map[string]string `json:"previous,omitempty"`
	// Place is set from the pull until the upload, Listed when its contents are listed.
	Workspace *activities.Workspace `json:"workspace,omitempty"`
	HasSBOM   bool                  `json:"hasSBOM,omitempty"`
	Pulls     int                   `json:"pulls,omitempty"`
	// Components is how many the scan client found.
	Components int `json:"components,omitempty"`
	// Lease is set while a lease is held; Bound is the hub an upload of unknown outcome went to.
	Lease *Grant `json:"lease,omitempty"`
	Bound string `json:"bound,omitempty"`
	// Newest is the newest attempt granted so far, also when it was given back.
	Newest model.AttemptID `json:"newest,omitzero"`
	// Uploads counts uploads begun.
	Uploads int `json:"uploads,omitempty"`
	// Scan is the scan at the hub once there is one; Answered how long the hub has said "in progress".
	Scan     *model.HubScan `json:"scan,omitempty"`
	Awaiting time.Time      `json:"awaiting"`
	Answered time.Duration  `json:"answered,omitempty"`
	// Troubled are the hubs whose last answer was a failure.
	Troubled map[string]bool `json:"troubled,omitempty"`
	Verdict  *model.Verdict  `json:"verdict,omitempty"`
	Failure  *model.Failure  `json:"failure,omitempty"`
	// Waiting says in words what the scan waits for.
	Waiting string `json:"waiting,omitempty"`
}

// scanImage is one run of ScanImage.
type scanImage struct {
	in     ScanImageInput
	state  *ScanState
	pool   *poolLink
	logger log.Logger
	// stop ends the scan early; it is called when nobody wants it any more.
	stop workflow.CancelFunc
}

// ScanImage scans one image once: it asks the hubs whether one has it, pulls it, lists what is in it, gets a lease,
// uploads, waits for the hub, reads the verdict and reports it to the image's workflow. It closes Completed with a
// verdict, Failed with a reason, or Cancelled.
func ScanImage(ctx workflow.Context, in ScanImageInput) (model.Verdict, error) {
	ctx, stop := workflow.WithCancel(ctx)
	defer stop()
	s := &scanImage{in: in, logger: workflow.GetLogger(ctx), stop: stop}
	if err := s.setUp(ctx); err != nil {
		return model.Verdict{}, err
	}
	return s.run(ctx)
}

func (s *scanImage) setUp(ctx workflow.Context) error {
	s.state = s.in.State
	if s.state == nil {
		info := workflow.GetInfo(ctx)
		s.state = &ScanState{Chain: info.FirstRunID, Started: workflow.Now(ctx), Step: StepLookUp}
	}
	s.pool = newPoolLink(ctx, s)
	return s.answerQueries(ctx)
}

// run goes from step to step until the scan is done, failed or cancelled. Each step is one method and names the next.
func (s *scanImage) run(ctx workflow.Context) (model.Verdict, error) {
	steps := map[Step]func(workflow.Context) (Step, error){
		StepLookUp:  s.lookUp,
		StepPull:    s.pull,
		StepSBOM:    s.generateSBOM,
		StepLease:   s.lease,
		StepUpload:  s.upload,
		StepAwait:   s.await,
		StepVerdict: s.fetchVerdict,
		StepReport:  s.report,
	}
	for s.state.Step != StepDone {
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
		if s.state.Step != StepDone && workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return model.Verdict{}, s.continueAsNew(ctx)
		}
	}
	return s.end(ctx)
}

// unwanted stops the scan if it has not got further than the backlog; otherwise it finishes.
func (s *scanImage) unwanted() {
	if s.state.Step == StepLookUp || s.state.Step == StepPull {
		s.stop()
	}
}

// fail turns an error of a step into the failure that is reported, and gives back what the scan holds.
func (s *scanImage) fail(ctx workflow.Context, err error) {
	class, reason := activities.FailureOf(err)
	s.logger.Info("scan failed", "step", s.state.Step, "class", class, "reason", reason)
	s.state.Failure = &model.Failure{
		Class: class, Reason: reason, Step: string(s.state.Step), At: workflow.Now(ctx), Attempt: s.in.Attempt,
	}
	s.pool.giveUp(ctx)
	s.state.Step = StepReport
}

// report tells the image's workflow the outcome.
func (s *scanImage) report(ctx workflow.Context) (Step, error) {
	report := activities.ScanReport{
		Digest: s.in.Digest, Chain: s.state.Chain, Started: s.state.Started,
		Outcome: activities.ScanCompleted, Verdict: s.state.Verdict,
	}
	if s.state.Failure != nil {
		report.Outcome, report.Verdict, report.Failure = activities.ScanFailed, nil, s.state.Failure
	}
	return StepDone, s.send(ctx, report)
}

func (s *scanImage) send(ctx workflow.Context, report activities.ScanReport) error {
	ctx = lightStep(ctx, "tell image "+string(report.Outcome))
	return workflow.ExecuteActivity(ctx, reportSteps.ReportScan, report).Get(ctx, nil)
}

// cancelled gives back what the scan holds and reports, in a context that still works.
func (s *scanImage) cancelled(ctx workflow.Context) error {
	ctx, stop := workflow.NewDisconnectedContext(ctx)
	defer stop()
	s.pool.giveUp(ctx)
	err := s.send(ctx, activities.ScanReport{
		Digest: s.in.Digest, Chain: s.state.Chain, Started: s.state.Started, Outcome: activities.ScanCancelled,
	})
	if err != nil {
		return fmt.Errorf("report the cancelled scan: %w", err)
	}
	if err := s.pool.settle(ctx); err != nil {
		return err
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
	return workflow.NewContinueAsNewError(ctx, ScanImage, next)
}
