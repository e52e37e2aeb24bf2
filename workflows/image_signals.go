package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// Bounds of what an Image keeps, far above what is ever useful, so that its state stays small.
const (
	namesAtMost     = 20
	forgottenAtMost = 100
)

// listen wakes the selector at every signal; drain then takes all of them in the order of their kinds.
func (i *imageRun) listen(ctx workflow.Context, selector workflow.Selector) {
	selector.AddReceive(SignalObserve.Channel(ctx), func(c workflow.ReceiveChannel, _ bool) { receive(ctx, c, func(o Observe) { i.observe(o) }) })
	selector.AddReceive(SignalForget.Channel(ctx), func(c workflow.ReceiveChannel, _ bool) { receive(ctx, c, func(f Forget) { i.forget(f) }) })
	selector.AddReceive(SignalRescan.Channel(ctx), func(c workflow.ReceiveChannel, _ bool) { receive(ctx, c, func(r Rescan) { i.rescan(r) }) })
	selector.AddReceive(SignalPrioritize.Channel(ctx), func(c workflow.ReceiveChannel, _ bool) { receive(ctx, c, func(r Prioritize) { i.setPriority(r) }) })
	selector.AddReceive(SignalJudged.Channel(ctx), func(c workflow.ReceiveChannel, _ bool) { receive(ctx, c, func(j Judged) { i.judged(j) }) })
	selector.AddReceive(SignalScanReport.Channel(ctx), func(c workflow.ReceiveChannel, _ bool) {
		receive(ctx, c, func(r activities.ScanReport) { i.takeReport(ctx, r) })
	})
}

// drain takes every signal that has arrived and reports whether there was one.
func (i *imageRun) receivePending(ctx workflow.Context) bool {
	some := false
	SignalObserve.ReceivePending(ctx, func(o Observe) { some = true; i.observe(o) })
	SignalForget.ReceivePending(ctx, func(f Forget) { some = true; i.forget(f) })
	SignalRescan.ReceivePending(ctx, func(r Rescan) { some = true; i.rescan(r) })
	SignalPrioritize.ReceivePending(ctx, func(r Prioritize) { some = true; i.setPriority(r) })
	SignalJudged.ReceivePending(ctx, func(j Judged) { some = true; i.judged(j) })
	SignalScanReport.ReceivePending(ctx, func(r activities.ScanReport) { some = true; i.takeReport(ctx, r) })
	return some
}

func sameReferrer(r Reference) func(Reference) bool {
	return func(other Reference) bool { return other.Kind == r.Kind && other.ID == r.ID }
}

// observe takes a reference and whatever it says of the image. Older than what is known, it changes nothing.
func (i *imageRun) observe(o Observe) {
	s := i.state
	if i.stale(o.Reference) {
		return
	}
	s.References = append(slices.DeleteFunc(s.References, sameReferrer(o.Reference)), o.Reference)
	for _, name := range o.Names {
		if !slices.Contains(s.Names, name) && len(s.Names) < namesAtMost {
			s.Names = append(s.Names, name)
		}
	}
	if s.Priority == "" || o.Priority.Rank() < s.Priority.Rank() {
		s.Priority, s.Namespace = o.Priority, o.Namespace
	}
	if s.Domain == "" {
		s.Domain = o.Domain
	}
	if s.Platform == (model.Platform{}) {
		s.Platform = o.Platform
	}
	if o.HubNames != nil {
		s.HubNames = o.HubNames
	}
	s.Idle = time.Time{}
	i.missing(o)
}

// stale reports whether something as new is already known of the same referrer.
func (i *imageRun) stale(r Reference) bool {
	newer := func(known Reference) bool { return sameReferrer(r)(known) && !known.Version.Before(r.Version) }
	return slices.ContainsFunc(i.state.References, newer) || slices.ContainsFunc(i.state.Forgotten, newer)
}

func (i *imageRun) forget(f Forget) {
	s := i.state
	if slices.ContainsFunc(s.References, func(known Reference) bool {
		return sameReferrer(f.Reference)(known) && f.Reference.Version.Before(known.Version)
	}) {
		return
	}
	s.References = slices.DeleteFunc(s.References, sameReferrer(f.Reference))
	s.Forgotten = append(slices.DeleteFunc(s.Forgotten, sameReferrer(f.Reference)), f.Reference)
	if len(s.Forgotten) > forgottenAtMost {
		s.Forgotten = s.Forgotten[1:]
	}
}

// rescan asks for a new scan, at once: a person does not wait for a delay after failures.
func (i *imageRun) rescan(r Rescan) {
	i.state.Rescan, i.state.NotBefore = &r, time.Time{}
}

// expire drops references whose time is over and notes since when there is none.
func (i *imageRun) expire(ctx workflow.Context) {
	now, s := workflow.Now(ctx), i.state
	s.References = slices.DeleteFunc(s.References, func(r Reference) bool { return !r.Until.IsZero() && !r.Until.After(now) })
	if len(s.References) == 0 && s.Idle.IsZero() {
		s.Idle = now
	}
}

// takeReport takes the outcome of a scan. A report of an older scan than the last one heard of is stale.
func (i *imageRun) takeReport(ctx workflow.Context, r activities.ScanReport) {
	s := i.state
	ours := s.Scan == nil || s.Scan.Chain == "" || s.Scan.Chain == r.Chain
	if ours {
		i.closeScan(r.Outcome != activities.ScanCancelled)
	}
	if r.Started.Before(s.LastStarted) {
		return
	}
	s.LastStarted = r.Started
	switch r.Outcome {
	case activities.ScanCompleted:
		i.takeVerdict(*r.Verdict)
	case activities.ScanFailed:
		i.takeFailure(ctx, *r.Failure)
	case activities.ScanCancelled:
		s.Unsure = true
		s.NotBefore = workflow.Now(ctx).Add(retryDelay(i.digest, 1))
	}
}

// closeScan forgets the scan under way; a rescan that was asked for while it ran stays wanted.
func (i *imageRun) closeScan(answered bool) {
	s := i.state
	if answered && s.Scan != nil && s.Scan.Rescan {
		s.Rescan = nil
	}
	s.Scan, i.child = nil, nil
}

func (i *imageRun) takeVerdict(v model.Verdict) {
	s := i.state
	s.Failure, s.Failures, s.Lost, s.Unsure, s.NotBefore = nil, 0, 0, false, time.Time{}
	at := slices.IndexFunc(s.Verdicts, func(old model.Verdict) bool { return old.Hub == v.Hub })
	switch {
	case at < 0:
		s.Verdicts = append(s.Verdicts, v)
	case v.Newer(s.Verdicts[at]):
		s.Verdicts[at] = v
	}
}

// judged replaces a verdict of the same hub by a newer one. It says nothing of any scan: not of one under way, nor of one
// that failed.
func (i *imageRun) judged(j Judged) {
	for at, old := range i.state.Verdicts {
		v := j.Verdict
		if v.ScanStarted.IsZero() {
			v.ScanStarted, v.SkippedHubs = old.ScanStarted, old.SkippedHubs
		}
		if old.Hub == v.Hub && v.Newer(old) {
			i.state.Verdicts[at] = v
		}
	}
}

// leavesWork reports whether a scan that failed at a step may have left something at a hub.
func leavesWork(at Step) bool { return at == StepUpload || at == StepAwait || at == StepVerdict }

// takeFailure notes why, and when the next try is: after a delay that doubles with every failure in a row.
func (i *imageRun) takeFailure(ctx workflow.Context, f model.Failure) {
	s := i.state
	s.Failures++
	s.Unsure = s.Unsure || leavesWork(Step(f.Step))
	f.Attempt = s.Failures
	s.NotBefore = workflow.Now(ctx).Add(retryDelay(i.digest, s.Failures))
	f.NextTry = s.NotBefore
	s.Failure = &f
	if len(s.Verdicts) > 0 && s.Rescan == nil {
		// A rescan that failed is tried again too; the old verdict stays until the new one is there.
		s.Rescan = &Rescan{Reason: "the rescan failed", Priority: s.Priority}
	}
}
