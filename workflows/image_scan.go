package workflows

import (
	"encoding/hex"
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// The delay before a failed scan is tried again: one minute, doubled at every failure in a row, at most six hours.
const (
	retryFirst = time.Minute
	retryMost  = 6 * time.Hour
)

// retryDelay adds up to a fifth, drawn from the digest, so that images that failed together do not come back together.
func retryDelay(d model.Digest, failures int) time.Duration {
	delay := retryMost
	if doublings := max(failures, 1) - 1; doublings < 16 {
		delay = min(retryFirst<<doublings, retryMost)
	}
	return delay + delay/5*time.Duration(jitter(d))/256
}

// jitter is a number from 0 to 255 that differs between images and is the same at every replay.
func jitter(d model.Digest) int {
	sum, err := hex.DecodeString(d.Hex())
	if err != nil || len(sum) == 0 {
		return 0
	}
	return int(sum[0])
}

// startScan starts the scan of this image. It is abandoned, not owned: it reports by itself, and outlives this run.
func (i *imageRun) startScan(ctx workflow.Context) {
	s := i.state
	now := workflow.Now(ctx)
	s.Scan = &ScanUnderWay{Started: now, Checked: now, Rescan: s.Rescan != nil, Priority: i.priority()}
	child := workflow.ExecuteChildWorkflow(scanOptions(ctx, i.digest, i.scanInput()), ScanImage, i.scanInput())
	i.busy++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { i.busy-- }()
		var run workflow.Execution
		err := child.GetChildWorkflowExecution().Get(ctx, &run)
		switch {
		case s.Scan == nil:
			// It has reported already.
		case err == nil:
			s.Scan.Chain, i.child = run.RunID, child
		case isAlreadyStarted(err):
			s.Scan.Rescan, s.Scan.Priority, i.child = false, "", nil
		default:
			i.logger.Warn("scan start", "error", err)
			s.Scan = nil
			i.lost(ctx)
		}
	})
	// The loop goes on only when the start is known, so that no second one is tried.
	_ = workflow.Await(ctx, func() bool { return i.busy == 0 })
}

func isAlreadyStarted(err error) bool {
	var already *temporal.ChildWorkflowExecutionAlreadyStartedError
	return errors.As(err, &already)
}

func (i *imageRun) scanInput() ScanImageInput {
	s := i.state
	in := ScanImageInput{
		Digest: i.digest, Names: s.Names, Domain: s.Domain, Priority: i.priority(), Namespace: s.Namespace,
		// Without a verdict there is nothing to scan again: what a failed scan left at a hub is taken up.
		Rescan: s.Rescan != nil && len(s.Verdicts) > 0, AskAll: s.Unsure, Attempt: s.Failures + 1,
		HubNames: model.DefaultHubNames(s.Names[0], i.digest), Told: true,
	}
	if in.Domain == "" {
		in.Domain = DefaultDomain
	}
	if s.HubNames != nil {
		in.HubNames = *s.HubNames
	}
	return in
}

func scanOptions(ctx workflow.Context, d model.Digest, in ScanImageInput) workflow.Context {
	return workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            ScanImageID(d),
		TaskQueue:             TaskQueue,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         "scan " + in.Names[0].Reference(),
		Priority:              temporal.Priority{PriorityKey: scanPriority},
		TypedSearchAttributes: temporal.NewSearchAttributes(
			AttributeDigest.ValueSet(Keyword(string(d))),
			AttributeRepository.ValueSet(Keyword(in.Names[0].Repository)),
		),
	})
}

// scanClosed is the hint that the scan has closed. Its report comes first, so a scan that is still under way here
// closed without a word: it was terminated, or died of something nobody foresaw.
func (i *imageRun) scanClosed(ctx workflow.Context, _ workflow.Future) {
	i.child = nil
	if i.receivePending(ctx); i.state.Scan != nil {
		i.closedUnheard(ctx)
	}
}

// closedUnheard forgets the scan under way, which has closed without a report.
func (i *imageRun) closedUnheard(ctx workflow.Context) {
	chain := i.state.Scan.Chain
	i.closeScan(false)
	i.state.Unsure = true
	i.lost(ctx)
	i.notifyPool(ctx, chain)
}

// tellPool lets the pool of hubs ask the hub about a lease whose scan has closed. The pool would find out by itself, but
// only when the scan has been silent for a minute or two, and the hub would be idle meanwhile.
func (i *imageRun) notifyPool(ctx workflow.Context, chain string) {
	if chain == "" || workflow.GetVersion(ctx, "pool-hears-of-closed-scans", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return
	}
	gone := Release{Chain: chain, Holder: ScanImageID(i.digest), Digest: i.digest, Unfinished: true}
	step := workflow.ExecuteLocalActivity(localStep(ctx, SignalRelease.Name), scanSteps.SignalPool, activities.SignalPoolInput{Name: SignalRelease.Name, Value: gone})
	if err := step.Get(ctx, nil); err != nil {
		i.logger.Warn("the pool of hubs was not told of a closed scan", "error", err)
	}
}

// lost delays the next scan a little more each time one is lost, so that a scan that cannot start does not spin.
func (i *imageRun) lost(ctx workflow.Context) {
	i.state.Lost++
	i.state.NotBefore = workflow.Now(ctx).Add(time.Second << min(i.state.Lost, 10))
}

// checkScan asks after a scan that was not started in this run.
func (i *imageRun) checkScan(ctx workflow.Context) {
	scan := i.state.Scan
	scan.Checked = workflow.Now(ctx)
	var answer activities.CheckScanResult
	err := workflow.ExecuteActivity(lightStep(ctx, "is the scan still open"), scanSteps.CheckScan,
		activities.CheckScanInput{Scan: activities.Holder{WorkflowID: ScanImageID(i.digest), Chain: scan.Chain}}).Get(ctx, &answer)
	i.receivePending(ctx)
	if err == nil && !answer.Open && i.state.Scan == scan {
		i.closedUnheard(ctx)
	}
}

// cancelScan asks the scan to stop if it is still waiting in the backlog. One that has begun finishes.
func (i *imageRun) cancelScan(ctx workflow.Context) {
	i.state.Scan.Unwanted = true
	if err := SignalUnwanted.SendTo(ctx, ScanImageID(i.digest), Unwanted{}).Get(ctx, nil); err != nil {
		i.logger.Info("unwanted scan is gone", "error", err)
	}
}
