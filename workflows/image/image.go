package image

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/internal/record"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// imageRun is one run of Image.
type imageRun struct {
	*record.Image

	inbox      workflows.Inbox
	attributes workflows.Attributes
	logger     log.Logger
	began      time.Time
	alarm      workflows.Alarm
	// publication is the step under way that sends the summary to inventories, publishing their references when it began.
	publication workflow.Future
	publishing  []workflows.Reference
}

// Image keeps one image while something refers to it: it starts the scans, tries again after failures, and keeps the
// verdicts. It ends a day after the last reference has gone.
func Image(ctx workflow.Context, in workflows.ImageInput) error {
	digest, err := workflows.DigestOf(workflow.GetInfo(ctx).WorkflowExecution.ID)
	if err != nil {
		return temporal.NewNonRetryableApplicationError(err.Error(), string(model.Invalid), nil)
	}
	state, wrong := workflows.Continued(ctx, in.State.Value)
	i := &imageRun{
		Image: state, attributes: workflows.KnownAttributes(ctx, workflows.ImageAttributes), logger: workflow.GetLogger(ctx), began: workflow.Now(ctx),
	}
	if i.Image == nil {
		i.Image = &record.Image{Digest: digest}
	}
	i.inbox.Rejected = &i.Rejected
	if in.Digest != digest {
		wrong = errors.New("it is about another image")
	}
	if wrong != nil {
		i.inbox.Reject(ctx, workflows.RejectedInput, wrong)
	}
	i.openInbox()
	if err := i.answerQueries(ctx); err != nil {
		return err
	}
	return i.run(ctx)
}

// run takes what has arrived, does what is due, and waits for the next event or deadline.
func (i *imageRun) run(ctx workflow.Context) error {
	for {
		i.inbox.ReceivePending(ctx)
		now := workflow.Now(ctx)
		i.References.Expire(now)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case i.mayEnd() && i.IsForgettable(now):
			return i.closeRun(ctx, nil)
		case i.mayEnd() && workflows.ShouldContinueAsNew(ctx, i.began):
			next := workflows.ImageInput{Digest: i.Digest, State: inventory.Packed[record.Image]{Value: i.Image}}
			return i.closeRun(ctx, workflow.NewContinueAsNewError(ctx, workflows.TypeImage, next))
		case i.IsScanDue(now):
			i.startScan(ctx)
		case i.IsScanUnwanted(now):
			i.cancelScan(ctx)
		case i.HasMoreUrgentScan():
			i.prioritizeScan(ctx)
		case i.ShouldPublish(now, workflow.GetInfo(ctx).WorkflowStartTime.UnixNano()) && i.publication == nil:
			i.publish(ctx)
		case i.ShouldCheckScan(now):
			i.checkScan(ctx)
		default:
			if err := i.updateDetails(ctx); err != nil {
				return err
			}
			if err := i.wait(ctx); err != nil {
				return err
			}
		}
	}
}

// mayEnd reports whether nothing that this run has begun is under way.
func (i *imageRun) mayEnd() bool { return i.publication == nil }

// closeRun ends the run, unless a signal has arrived meanwhile: then the loop goes on.
func (i *imageRun) closeRun(ctx workflow.Context, result error) error {
	if i.inbox.ReceivePending(ctx) {
		return i.run(ctx)
	}
	return result
}

// wait sleeps until a signal, the end of a step, or the next deadline.
func (i *imageRun) wait(ctx workflow.Context) error {
	next := workflows.Earliest(workflow.Now(ctx), i.began.Add(workflows.QuietRun), i.Deadlines()...)
	i.alarm.Set(ctx, next, i.deadlineSummary())
	selector := workflow.NewSelector(ctx)
	i.inbox.Listen(ctx, selector)
	i.alarm.Listen(selector, nil)
	if i.publication != nil {
		selector.AddFuture(i.publication, func(workflow.Future) { i.published(ctx) })
	}
	selector.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {})
	selector.Select(ctx)
	return ctx.Err()
}

func (i *imageRun) deadlineSummary() string {
	if i.Attempts.Failure != nil && i.WantsScan() {
		return fmt.Sprintf("next try, after %s", i.Attempts.Failure.Class)
	}
	return "next check of references and scans"
}
