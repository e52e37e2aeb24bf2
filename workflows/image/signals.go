package image

import (
	"errors"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/record"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// openInbox says what is done with each signal.
func (i *imageRun) openInbox() {
	workflows.Receive(&i.inbox, workflows.SignalObserve, func(_ workflow.Context, o workflows.Observe) error { return i.Observe(o) })
	workflows.Receive(&i.inbox, workflows.SignalForget, func(_ workflow.Context, f workflows.Forget) error {
		i.References.Remove(f.Reference)
		return nil
	})
	workflows.Receive(&i.inbox, workflows.SignalRescan, func(_ workflow.Context, r workflows.Rescan) error {
		i.RequestRescan(r)
		return nil
	})
	workflows.Receive(&i.inbox, workflows.SignalPrioritize, func(_ workflow.Context, p workflows.Prioritize) error {
		i.Prioritize(p.Priority, p.Namespace)
		return nil
	})
	workflows.Receive(&i.inbox, workflows.SignalJudged, func(_ workflow.Context, j workflows.Judged) error {
		i.Judge(j.Verdict)
		return nil
	})
	workflows.Receive(&i.inbox, workflows.SignalScanReport, i.receiveReport)
}

// receiveReport takes the outcome of a scan.
func (i *imageRun) receiveReport(ctx workflow.Context, r activities.ScanReport) error {
	if r.Digest != i.Digest {
		return errors.New("it is about another image")
	}
	if i.ScanEnded(workflow.Now(ctx), reportOf(r)) {
		// The alarm was for the check of the scan. To be woken by it for nothing costs the server more than to cancel it.
		i.alarm.Stop()
	}
	return nil
}

func reportOf(r activities.ScanReport) record.Report {
	report := record.Report{Chain: r.Chain, Started: r.Started}
	switch r.Outcome {
	case activities.ScanCompleted:
		report.Verdict = r.Verdict
	case activities.ScanFailed:
		report.Failure, report.LeftWork = r.Failure, leavesWork(r.Failure)
	case activities.ScanCancelled:
	}
	return report
}

// leavesWork reports whether a failed scan may have left something at a hub.
func leavesWork(f *model.Failure) bool {
	switch workflows.Step(f.Step) {
	case workflows.StepUpload, workflows.StepAwait, workflows.StepVerdict:
		return true
	default:
		return false
	}
}
