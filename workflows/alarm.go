package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"
)

// Alarm is the one timer of a workflow: it goes off when the next thing is due. An alarm that goes off too early is left as
// it is. To replace it costs two events in the history, to wake for nothing costs three.
type Alarm struct {
	// Soonest is the shortest time until the alarm goes off; zero means one second.
	Soonest time.Duration

	timer workflow.Future
	at    time.Time
	stop  workflow.CancelFunc
}

// Set makes sure that the alarm goes off at a time, or earlier.
func (a *Alarm) Set(ctx workflow.Context, at time.Time, summary string) {
	if a.timer != nil && !a.at.After(at) {
		return
	}
	a.Stop()
	soonest := a.Soonest
	if soonest == 0 {
		soonest = time.Second
	}
	var timerContext workflow.Context
	timerContext, a.stop = workflow.WithCancel(ctx)
	a.at = at
	a.timer = workflow.NewTimerWithOptions(timerContext, max(at.Sub(workflow.Now(ctx)), soonest), workflow.TimerOptions{Summary: summary})
}

// Stop cancels the alarm, if it is set.
func (a *Alarm) Stop() {
	if a.timer != nil {
		a.stop()
		a.timer = nil
	}
}

// Listen wakes the selector when the alarm goes off, and then calls a function, which may be nil.
func (a *Alarm) Listen(selector workflow.Selector, then func()) {
	if a.timer == nil {
		return
	}
	selector.AddFuture(a.timer, func(workflow.Future) {
		a.timer = nil
		if then != nil {
			then()
		}
	})
}

// IsRinging reports whether the alarm has gone off since it was set. Silence ends that.
func (a *Alarm) IsRinging() bool { return a.timer != nil && a.timer.IsReady() }

// Silence makes an alarm that has gone off ready to be set again.
func (a *Alarm) Silence() {
	if a.IsRinging() {
		a.timer = nil
	}
}

// Earliest is the earliest of several times after now, and at most the limit. Zero and past times do not count.
func Earliest(now, limit time.Time, times ...time.Time) time.Time {
	for _, at := range times {
		if at.After(now) && at.Before(limit) {
			limit = at
		}
	}
	return limit
}
