package starter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Externals is the client for scanners of others. It takes images from the same backlog as Perceptor's own scanners. It keeps
// nothing: who has which image is in the workflows of the scans alone.
type Externals struct{ link }

// ExternalScanner is a scanner of others that asks for work, or reports.
type ExternalScanner struct {
	// Name is that of its token. Only the scanner that has an image may report on it.
	Name string
	// Namespace is the Temporal namespace.
	Namespace string
	// Domain is the group of registries that the scanner can reach.
	Domain string
	// Hubs are the hubs that it can reach; an image for another hub is not for it.
	Hubs []string
	// Silence is how long it may have an image without a report, 10 s to 24 h.
	Silence time.Duration
}

// ExternalScan is an image that was handed out to a scanner of others, under a lease of its hub.
type ExternalScan struct {
	workflows.ScanExternallyInput
	token []byte
}

// Times of a request for work. The clients of 2018 wait five seconds for the answer. The server answers a poll a second before its
// time is up, and takes none that is shorter than two seconds.
const (
	// offerPoll is how long a request waits for an image with a lease, the second included.
	offerPoll = 4200 * time.Millisecond
	// offerSoon is how long it waits before it takes another image from the backlog.
	offerSoon = 200 * time.Millisecond
	// claimPoll is how long that may take, the second included.
	claimPoll = 2500 * time.Millisecond
)

// Next hands out an image that has a lease, or nil when there is none now. Without one, Next also takes an image from the backlog,
// if a hub may take scans and no other such image waits for its lease. That image is handed out when the lease is granted: to this
// request, or to a later one of any scanner. A request whose ctx has ended gives its image back.
func (e Externals) Next(ctx context.Context, s ExternalScanner) (*ExternalScan, error) {
	// The poll does not end with the request: an image that arrives for a client that has left must be given back.
	polling, stop := context.WithTimeout(context.WithoutCancel(ctx), offerPoll)
	defer stop()
	type answer struct {
		task *workflowservice.PollActivityTaskQueueResponse
		err  error
	}
	offers := make(chan answer, 1)
	go func() {
		task, err := e.poll(polling, s, workflows.ExternalQueue(s.Domain))
		offers <- answer{task, err}
	}()
	select {
	case offer := <-offers:
		return e.handOut(ctx, s, offer.task, offer.err)
	case <-time.After(offerSoon):
	}
	claimed := e.claim(polling, s)
	offer := <-offers
	if offer.err == nil && len(offer.task.GetTaskToken()) == 0 {
		offer.err = claimed
	}
	return e.handOut(ctx, s, offer.task, offer.err)
}

// poll asks a queue for one step. The answer has no token when there was none in time.
func (e Externals) poll(ctx context.Context, s ExternalScanner, queue string) (*workflowservice.PollActivityTaskQueueResponse, error) {
	task, err := e.temporal.WorkflowService().PollActivityTaskQueue(ctx, &workflowservice.PollActivityTaskQueueRequest{
		Namespace: s.Namespace, Identity: s.identity(),
		TaskQueue: &taskqueuepb.TaskQueue{Name: queue, Kind: enumspb.TASK_QUEUE_KIND_NORMAL},
	})
	if err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("ask queue %s for work: %w", queue, err)
	}
	return task, nil
}

// identity is how the server knows who has a step.
func (s ExternalScanner) identity() string { return "external scanner " + s.Name }

// handOut reads the image of a step, and gives the image back where this request cannot hand it out.
func (e Externals) handOut(ctx context.Context, s ExternalScanner, task *workflowservice.PollActivityTaskQueueResponse, err error) (*ExternalScan, error) {
	if err != nil || len(task.GetTaskToken()) == 0 {
		return nil, err
	}
	scan := ExternalScan{token: task.GetTaskToken()}
	err = converter.GetDefaultDataConverter().FromPayloads(task.GetInput(), &scan.ScanExternallyInput)
	if err == nil {
		err = scan.Check()
	}
	switch {
	case err != nil:
		err = fmt.Errorf("read the image to hand out: %w", err)
	case !slices.Contains(s.Hubs, scan.Hub):
		err = fmt.Errorf("image %s is for hub %s, which this process gives to no scanner", scan.Digest, scan.Hub)
	default:
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(err, e.Return(ctx, scan))
	}
	return &scan, nil
}

// Return gives back an image that was not handed out after all. It goes to the front of the backlog.
func (e Externals) Return(ctx context.Context, scan ExternalScan) error {
	if err := e.temporal.CompleteActivity(context.WithoutCancel(ctx), scan.token, workflows.ExternalReport{Returned: true}, nil); err != nil {
		return fmt.Errorf("give an image back to the backlog: %w", err)
	}
	return nil
}

// claim takes an image from the backlog, so that its scan asks for a lease.
func (e Externals) claim(ctx context.Context, s ExternalScanner) error {
	wanted, err := e.wantsMore(ctx, s)
	if err != nil || !wanted {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, claimPoll)
	defer stop()
	task, err := e.poll(ctx, s, workflows.PullQueue(s.Domain))
	if err != nil || len(task.GetTaskToken()) == 0 {
		return err
	}
	claim := activities.ExternalClaim{Hubs: s.Hubs, Silence: s.Silence}
	if err := e.temporal.CompleteActivity(context.WithoutCancel(ctx), task.GetTaskToken(), activities.Workspace{External: &claim}, nil); err != nil {
		// The server gives the pull to another scanner within seconds, because no heartbeat comes.
		return fmt.Errorf("take %s from the backlog: %w", task.GetWorkflowExecution().GetWorkflowId(), err)
	}
	return nil
}

// wantsMore reports whether a lease may come soon for one more image, and no other such image waits for its own.
func (e Externals) wantsMore(ctx context.Context, s ExternalScanner) (bool, error) {
	pool, err := Pool(e).Status(ctx)
	if err != nil {
		return false, err
	}
	// Of a very long queue only a part is shown.
	if pool.WaiterCount > len(pool.Waiters) || slices.ContainsFunc(pool.Waiters, func(w workflows.WaiterStatus) bool { return len(w.Hubs) > 0 }) {
		return false, nil
	}
	return slices.ContainsFunc(pool.Hubs, func(h workflows.HubStatus) bool {
		return slices.Contains(s.Hubs, h.Name) && !h.Disabled && !h.Removed && !h.Paused && h.TrippedSince.IsZero()
	}), nil
}

// ExternalOutcome is what became of a report.
type ExternalOutcome string

// The outcomes of reports.
const (
	// ExternalAccepted: the report is stored, and the hub will be asked.
	ExternalAccepted ExternalOutcome = "accepted"
	// ExternalNotWaited: the scan waits for no report. It came twice, or too late, or the image was never handed out.
	ExternalNotWaited ExternalOutcome = "not-waited-for"
	// ExternalOther: another scanner has the image.
	ExternalOther ExternalOutcome = "other-scanner"
)

// Report brings what a scanner says of an image that it has. It needs no worker: an accepted report is with the server. It gives
// ErrUnknownImage when no scan of the image is known.
func (e Externals) Report(ctx context.Context, s ExternalScanner, d model.Digest, report workflows.ExternalReport) (ExternalOutcome, error) {
	id := workflows.ScanImageID(d)
	described, err := e.temporal.DescribeWorkflowExecution(ctx, id, "")
	if isNotFound(err) {
		return "", fmt.Errorf("report on %s: %w", d, ErrUnknownImage)
	}
	if err != nil {
		return "", fmt.Errorf("describe the scan of %s: %w", d, err)
	}
	step, outcome := "", ExternalNotWaited
	for _, each := range described.GetPendingActivities() {
		switch {
		case each.GetActivityType().GetName() != workflows.ScanExternally || each.GetState() != enumspb.PENDING_ACTIVITY_STATE_STARTED:
		case each.GetLastWorkerIdentity() != s.identity():
			outcome = ExternalOther
		default:
			step = each.GetActivityId()
		}
	}
	if step == "" {
		return outcome, nil
	}
	report.Scanner = s.Name
	run := described.GetWorkflowExecutionInfo().GetExecution()
	return e.complete(ctx, s, run, step, report)
}

func (e Externals) complete(ctx context.Context, s ExternalScanner, run *commonpb.WorkflowExecution, step string, report workflows.ExternalReport) (ExternalOutcome, error) {
	err := e.temporal.CompleteActivityByID(ctx, s.Namespace, run.GetWorkflowId(), run.GetRunId(), step, report, nil)
	if isNotFound(err) {
		return ExternalNotWaited, nil // its time ended at this moment
	}
	if err != nil {
		return "", fmt.Errorf("report on %s: %w", run.GetWorkflowId(), err)
	}
	return ExternalAccepted, nil
}
