package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/model"
)

// ImageInput starts an Image, or carries it into its next run.
type ImageInput struct {
	Digest model.Digest `json:"digest"`
	State  *ImageState  `json:"state,omitempty"`
}

// ImageState is all an Image knows; it goes with it into its next run.
type ImageState struct {
	// Names, Platform, Domain, Class, Namespace and HubNames come from whoever observed the image.
	Names     []model.Name    `json:"names,omitempty"`
	Platform  model.Platform  `json:"platform"`
	Domain    string          `json:"domain,omitempty"`
	Priority  Priority        `json:"priority,omitempty"`
	Namespace string          `json:"namespace,omitempty"`
	HubNames  *model.HubNames `json:"hubNames,omitempty"`
	// References are the reasons to keep the image, at most one for each kind and id.
	References []Reference `json:"references,omitempty"`
	// Forgotten are the versions of references taken away, so that a late observe does not bring one back.
	Forgotten []Reference `json:"forgotten,omitempty"`
	// Verdicts has one verdict for each hub that has judged the image.
	Verdicts []model.Verdict `json:"verdicts,omitempty"`
	// Failure is why the last scan brought no verdict; Failures counts failed scans in a row, Lost those that closed without a word.
	Failure  *model.Failure `json:"failure,omitempty"`
	Failures int            `json:"failures,omitempty"`
	Lost     int            `json:"lost,omitempty"`
	// Unsure is set while a hub may have a scan of this image that was never reported.
	Unsure bool `json:"unsure,omitempty"`
	// Scan is the scan under way.
	Scan *ScanUnderWay `json:"scan,omitempty"`
	// LastStarted is when the newest reported scan began: reports of older ones are stale.
	LastStarted time.Time `json:"lastStarted"`
	// Rescan is set while somebody waits for a new scan.
	Rescan *Rescan `json:"rescan,omitempty"`
	// NotBefore is when the next scan may start.
	NotBefore time.Time `json:"notBefore"`
	// Idle is when the last reference went; zero while there is one.
	Idle time.Time `json:"idle"`
	// Published is what inventories were last told, with its version.
	Published *model.Summary `json:"published,omitempty"`
	// Untold are the ids of inventories that do not know it yet.
	PendingInventories []string `json:"pendingInventories,omitempty"`
	// PublishAfter is when telling them is tried again.
	PublishAfter time.Time `json:"publishAfter,omitzero"`
}

// ScanUnderWay is what an Image knows of its scan.
type ScanUnderWay struct {
	// Chain is the first run id; empty when the scan was running before this Image knew of it.
	Chain   string    `json:"chain,omitempty"`
	Started time.Time `json:"started"`
	Rescan  bool      `json:"rescan,omitempty"`
	// Checked is when the scan was last asked after, or began.
	Checked time.Time `json:"checked"`
	// Class is how urgent the scan knows itself to be; empty when the scan was running before this Image knew of it.
	Priority Priority `json:"priority,omitempty"`
	// Unwanted is set once the scan was asked to stop because nothing refers to the image.
	Unwanted bool `json:"unwanted,omitempty"`
}

// imageRun is one run of Image.
type imageRun struct {
	digest     model.Digest
	state      *ImageState
	attributes attributes
	logger     log.Logger
	// busy counts steps and signals whose end has not been seen: the run does not end before them.
	busy int
	// child is the scan started in this run; its end is only a hint, the report is what counts.
	child workflow.ChildWorkflowFuture
	began time.Time
	// timer fires at timerAt, or earlier than anything is due.
	timer     workflow.Future
	timerAt   time.Time
	stopTimer workflow.CancelFunc
	// publication is the step under way that tells inventories.
	publication workflow.Future
	// publishing are the references of those it tells, as they were when it began.
	publishing []Reference
}

// Image keeps one image while somebody refers to it: it has it scanned, tries again after failures, and keeps the
// verdicts. It ends a day after the last reference has gone.
func Image(ctx workflow.Context, in ImageInput) error {
	i := &imageRun{digest: in.Digest, state: in.State, attributes: knownAttributes(ctx, imageAttributes), logger: workflow.GetLogger(ctx), began: workflow.Now(ctx)}
	if i.state == nil {
		i.state = &ImageState{}
	}
	if err := i.answerQueries(ctx); err != nil {
		return err
	}
	return i.run(ctx)
}

// run takes what has arrived, does what is due, and waits for the next event or deadline.
func (i *imageRun) run(ctx workflow.Context) error {
	for {
		i.receivePending(ctx)
		i.expire(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case i.finished(ctx):
			return i.closeRun(ctx, nil)
		case i.shouldContinueAsNew(ctx):
			return i.closeRun(ctx, workflow.NewContinueAsNewError(ctx, Image, ImageInput{Digest: i.digest, State: i.state}))
		case i.due(ctx):
			i.startScan(ctx)
		case i.unwanted(ctx):
			i.cancelScan(ctx)
		case i.needsPrioritizing():
			i.prioritizeScan(ctx)
		case i.unpublished(ctx):
			i.publish(ctx)
		case i.unsure(ctx):
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

// leave ends the run, unless a signal has arrived meanwhile: then everything is looked at again.
func (i *imageRun) closeRun(ctx workflow.Context, result error) error {
	if i.receivePending(ctx) {
		return i.run(ctx)
	}
	return result
}

// finished reports whether the image can be forgotten.
func (i *imageRun) finished(ctx workflow.Context) bool {
	idle := i.state.Idle
	return i.busy == 0 && i.publication == nil && i.state.Scan == nil && !idle.IsZero() && workflow.Now(ctx).Sub(idle) >= imageGrace
}

// worn reports whether it is time for a new run: the history is long, or the run is old enough to outlive a release.
func (i *imageRun) shouldContinueAsNew(ctx workflow.Context) bool {
	if i.busy > 0 || i.publication != nil {
		return false
	}
	return workflow.GetInfo(ctx).GetContinueAsNewSuggested() || workflow.Now(ctx).Sub(i.began) >= quietRun
}

// due reports whether a scan is to start now.
func (i *imageRun) due(ctx workflow.Context) bool {
	return i.wanted() && i.busy == 0 && !workflow.Now(ctx).Before(i.state.NotBefore)
}

// wanted reports whether a scan is needed at all: somebody refers to the image, it has a name to be pulled by, none is
// under way, and there is no verdict or a new one was asked for.
func (i *imageRun) wanted() bool {
	s := i.state
	return len(s.References) > 0 && len(s.Names) > 0 && s.Scan == nil && (len(s.Verdicts) == 0 || s.Rescan != nil)
}

// unwanted reports whether the scan under way should stop if it is still waiting.
func (i *imageRun) unwanted(ctx workflow.Context) bool {
	s := i.state
	return s.Scan != nil && !s.Scan.Unwanted && !s.Idle.IsZero() && workflow.Now(ctx).Sub(s.Idle) >= unwantedAfter
}

// unsure reports whether the scan under way should be asked after.
func (i *imageRun) unsure(ctx workflow.Context) bool {
	s := i.state.Scan
	return s != nil && i.child == nil && i.busy == 0 && workflow.Now(ctx).Sub(s.Checked) >= scanCheck
}

// wait sleeps until a signal, the end of a step or of the scan, or the next deadline.
func (i *imageRun) wait(ctx workflow.Context) error {
	i.setTimer(ctx)
	selector := workflow.NewSelector(ctx)
	i.listen(ctx, selector)
	if i.child != nil {
		selector.AddFuture(i.child, func(f workflow.Future) { i.scanClosed(ctx, f) })
	}
	selector.AddFuture(i.timer, func(workflow.Future) { i.timer = nil })
	if i.publication != nil {
		selector.AddFuture(i.publication, func(f workflow.Future) { i.published(ctx, f) })
	}
	selector.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {})
	selector.Select(ctx)
	return ctx.Err()
}

// setTimer makes sure that a timer fires when the next thing is due. One that fires earlier is left alone, because
// replacing it costs two events and waking for nothing costs three.
func (i *imageRun) setTimer(ctx workflow.Context) {
	next := workflow.Now(ctx).Add(i.nextDeadline(ctx))
	if i.timer != nil && !i.timerAt.After(next) {
		return
	}
	if i.timer != nil {
		i.stopTimer()
	}
	var timerContext workflow.Context
	timerContext, i.stopTimer = workflow.WithCancel(ctx)
	i.timerAt = next
	i.timer = workflow.NewTimerWithOptions(timerContext, next.Sub(workflow.Now(ctx)), workflow.TimerOptions{Summary: i.deadlineSummary()})
}

// nextDeadline is how long until something is due by itself.
func (i *imageRun) nextDeadline(ctx workflow.Context) time.Duration {
	now, s := workflow.Now(ctx), i.state
	deadline := i.began.Add(quietRun)
	earlier := func(t time.Time) {
		if !t.IsZero() && t.After(now) && t.Before(deadline) {
			deadline = t
		}
	}
	for _, r := range s.References {
		earlier(r.Until)
	}
	if len(s.PendingInventories) > 0 {
		earlier(s.PublishAfter)
	}
	if i.wanted() {
		earlier(s.NotBefore)
	}
	if !s.Idle.IsZero() {
		earlier(s.Idle.Add(unwantedAfter))
		earlier(s.Idle.Add(imageGrace))
	}
	if s.Scan != nil && i.child == nil {
		earlier(s.Scan.Checked.Add(scanCheck))
	}
	return max(deadline.Sub(now), time.Second)
}

func (i *imageRun) deadlineSummary() string {
	if f := i.state.Failure; f != nil && i.wanted() {
		return fmt.Sprintf("next try, after %s", f.Class)
	}
	return "next look at references and scans"
}
