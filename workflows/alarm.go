package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"
)

// alarm is a timer that fires when the next thing is due. One that fires earlier is left alone, because replacing it costs
// two events and waking for nothing costs three.
type alarm struct {
	timer workflow.Future
	at    time.Time
	stop  workflow.CancelFunc
}

// set makes sure that the alarm goes off at a time, or earlier.
func (a *alarm) set(ctx workflow.Context, at time.Time, summary string) {
	if a.timer != nil && !a.at.After(at) {
		return
	}
	if a.timer != nil {
		a.stop()
	}
	var timerContext workflow.Context
	timerContext, a.stop = workflow.WithCancel(ctx)
	a.at = at
	a.timer = workflow.NewTimerWithOptions(timerContext, max(at.Sub(workflow.Now(ctx)), time.Second), workflow.TimerOptions{Summary: summary})
}

// listen wakes the selector when the alarm goes off.
func (a *alarm) listen(selector workflow.Selector) {
	selector.AddFuture(a.timer, func(workflow.Future) { a.timer = nil })
}

// deadline is the earliest of several times that have not passed.
type deadline struct{ now, at time.Time }

// earliest begins with the latest time that matters.
func earliest(now, at time.Time) deadline { return deadline{now, at} }

// add takes another time into account; zero and past ones are none.
func (d *deadline) add(at time.Time) {
	if !at.IsZero() && at.After(d.now) && at.Before(d.at) {
		d.at = at
	}
}
