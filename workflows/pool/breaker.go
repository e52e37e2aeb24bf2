package pool

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/backoff"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// probePause is the growing pause before a probe of a tripped hub.
var probePause = backoff.Delay{First: 5 * time.Second, Most: 5 * time.Minute}

// The circuit breaker.
const (
	// failuresToTrip is how many transient failures in a row trip a hub; each is what a step returned after its own retries.
	failuresToTrip = 5
	// longestRetryAfter bounds what a hub may ask for, so that a hub's mistake does not end its use.
	longestRetryAfter = time.Hour
	// waitingAtMost is how many scans are kept in mind that wait for a hub to answer again. A scan asks again by itself too.
	waitingAtMost = 4_000
	// reasonLength bounds what is kept of what a hub said.
	reasonLength = 500
)

// health finds the breaker of a hub, nil when the hub has none.
func (p *hubPool) health(hub string) *workflows.HubHealth {
	for i := range p.Health {
		if p.Health[i].Hub == hub {
			return &p.Health[i]
		}
	}
	return nil
}

// receiveReport takes a scan's experience with a hub.
func (p *hubPool) receiveReport(r workflows.HubReport, now time.Time) {
	if p.Book.Hub(r.Hub) == nil {
		p.logger.Warn("report of a hub ignored: the hub is not configured", "hub", r.Hub, "holder", r.Holder)
		return
	}
	p.noteExperience(r.Hub, r.Class, r.Reason, r.RetryAfter, now)
	if h := p.ensureHealth(r.Hub); r.Waiting && p.waiting() < waitingAtMost && !slices.Contains(h.Waiting, r.Holder) {
		h.Waiting = append(h.Waiting, r.Holder)
	}
}

// waiting counts the scans that wait for a hub to answer again.
func (p *hubPool) waiting() int {
	n := 0
	for i := range p.Health {
		n += len(p.Health[i].Waiting)
	}
	return n
}

func (p *hubPool) ensureHealth(hub string) *workflows.HubHealth {
	if h := p.health(hub); h != nil {
		return h
	}
	p.Health = append(p.Health, workflows.HubHealth{Hub: hub})
	return &p.Health[len(p.Health)-1]
}

// noteExperience lets one success or failure change the breaker. This is the one place that says which failures trip a hub.
func (p *hubPool) noteExperience(hub string, class model.FailureClass, reason string, after time.Duration, now time.Time) {
	if class == "" {
		p.noteSuccess(hub, now)
		return
	}
	h := p.ensureHealth(hub)
	switch class {
	case model.Throttled, model.Unauthorized, model.Invalid:
		// Throttled: the hub said so. Unauthorized and invalid: every scan would fail alike until an operator fixes it.
		p.tripHub(h, class, reason, after, now)
	case model.Transient:
		h.Failures++
		if h.Tripped() || h.Failures >= failuresToTrip {
			p.tripHub(h, class, reason, after, now)
		}
	default:
		// The hub works and refuses this one scan.
	}
}

// noteSuccess ends a row of failures. A tripped hub becomes available by its probe alone. The probe comes at once, unless the hub
// itself asked for a pause.
func (p *hubPool) noteSuccess(hub string, now time.Time) {
	h := p.health(hub)
	if h == nil {
		return
	}
	h.Failures = 0
	if h.Tripped() && h.Class != model.Throttled {
		h.NextProbe = now
	}
}

func (p *hubPool) tripHub(h *workflows.HubHealth, class model.FailureClass, reason string, after time.Duration, now time.Time) {
	if !h.Tripped() {
		h.TrippedSince, h.Probes, h.NextProbe = now, 0, now.Add(probePause.After(1))
		p.Book.Trip(h.Hub)
		p.logger.Warn("hub tripped: it gets no calls until a probe succeeds", "hub", h.Hub, "class", class, "reason", reason)
	}
	h.Class, h.Reason = class, model.Clip(reason, reasonLength)
	if next := now.Add(min(after, longestRetryAfter)); next.After(h.NextProbe) {
		h.NextProbe = next
	}
}

// probeTripped sends the single probe to every tripped hub whose pause is over.
func (p *hubPool) probeTripped(now time.Time) {
	p.Health = slices.DeleteFunc(p.Health, func(h workflows.HubHealth) bool { return p.Book.Hub(h.Hub) == nil })
	for i := range p.Health {
		if h := &p.Health[i]; h.Tripped() && !h.NextProbe.After(now) {
			p.probe(h.Hub)
		}
	}
}

// probe makes the cheapest call to a hub, one at a time.
func (p *hubPool) probe(hub string) {
	if p.probing[hub] {
		return
	}
	p.probing[hub] = true
	future := workflow.ExecuteActivity(workflows.ProbeStep(p.steps, hub, "does "+hub+" answer"), hubSteps.ProbeHub, activities.ProbeHubInput{Hub: hub})
	p.track(future, func(ctx workflow.Context, f workflow.Future) { p.takeProbe(ctx, f, hub) })
}

func (p *hubPool) takeProbe(ctx workflow.Context, f workflow.Future, hub string) {
	delete(p.probing, hub)
	p.Book.HubAsked(hub)
	now := workflow.Now(ctx).UTC()
	var result activities.ProbeHubResult
	if err := f.Get(ctx, &result); err != nil {
		class, reason := activities.FailureOf(err)
		result.Trouble = &activities.HubTrouble{Class: class, Reason: reason}
	}
	if result.Trouble == nil {
		p.resetHub(hub)
		return
	}
	p.noteExperience(hub, result.Trouble.Class, result.Trouble.Reason, result.Trouble.RetryAfter, now)
	if h := p.health(hub); h != nil && h.Tripped() {
		h.Probes++
		if next := now.Add(probePause.After(h.Probes + 1)); next.After(h.NextProbe) {
			h.NextProbe = next
		}
	}
}

func (p *hubPool) resetHub(hub string) {
	h := p.health(hub)
	if h == nil || !h.Tripped() {
		return
	}
	p.logger.Info("hub available again", "hub", hub, "trippedSince", h.TrippedSince)
	h.Failures, h.Probes, h.TrippedSince, h.NextProbe, h.Class, h.Reason = 0, 0, time.Time{}, time.Time{}, "", ""
	p.Book.MakeAvailable(hub)
}

// nextProbe is when the next probe is due; zero means never.
func (p *hubPool) nextProbe() time.Time {
	var next time.Time
	for i := range p.Health {
		h := &p.Health[i]
		if h.Tripped() && !p.probing[h.Hub] && (next.IsZero() || h.NextProbe.Before(next)) {
			next = h.NextProbe
		}
	}
	return next
}

// notifyWaiting sends the waiting scans word that a hub may be asked again: at once when the hub is not tripped.
func (p *hubPool) notifyWaiting(ctx workflow.Context) {
	for i := range p.Health {
		h := &p.Health[i]
		for !h.Tripped() && len(h.Waiting) > 0 && p.room() > 0 {
			p.sendSignal(workflows.SignalHubAvailable.SendTo(ctx, h.Waiting[0], workflows.HubAvailable{Hub: h.Hub}), "")
			h.Waiting = h.Waiting[1:]
		}
	}
}

// switchQueues stops the queues of tripped hubs and opens the others, where that is not so already. A pool that lost its
// state does it for every hub once, because the pool before it may have stopped the queue. It waits until the hub has been
// asked.
func (p *hubPool) switchQueues() {
	for i := range p.Book.Hubs {
		hub := p.Book.Hubs[i].Name
		h := p.ensureHealth(hub)
		wanted := workflows.QueueOpen
		if h.Tripped() {
			wanted = workflows.QueueStopped
		}
		unasked := p.Book.Cold != nil && slices.Contains(p.Book.Cold.Unasked, hub)
		if h.Queue == wanted || p.switching[hub] || unasked {
			continue
		}
		p.switching[hub] = true
		future := workflow.ExecuteActivity(workflows.LightStep(p.steps, "switch the queue of "+hub+": "+string(wanted)), poolSteps.SwitchQueue,
			activities.SwitchQueueInput{Hub: hub, Open: wanted == workflows.QueueOpen})
		p.track(future, func(ctx workflow.Context, f workflow.Future) { p.takeSwitch(ctx, f, hub, wanted) })
	}
}

// takeSwitch notes what the queue is now. A server that keeps no rates is not asked again: the breaker holds without them.
func (p *hubPool) takeSwitch(ctx workflow.Context, f workflow.Future, hub string, now workflows.QueueState) {
	delete(p.switching, hub)
	if err := f.Get(ctx, nil); err != nil {
		p.logger.Warn("queue of a hub could not be switched", "hub", hub, "wanted", now, "error", err)
	}
	if h := p.health(hub); h != nil {
		h.Queue = now
	}
}
