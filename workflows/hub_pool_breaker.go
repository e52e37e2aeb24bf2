package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// The circuit breaker.
const (
	// failuresToClose is how many transient failures in a row close a hub; each is what a step returned after its own retries.
	failuresToClose = 5
	// firstProbe and longestProbe bound the growing pause between two probes of a closed hub.
	firstProbe   = 5 * time.Second
	longestProbe = 5 * time.Minute
	// longestRetryAfter bounds what a hub may ask for, so that a hub's mistake does not end its use.
	longestRetryAfter = time.Hour
)

// HubHealth is the circuit breaker of one hub.
type HubHealth struct {
	Hub string `json:"hub"`
	// Failures counts transient failures in a row.
	Failures int `json:"failures,omitempty"`
	// TrippedSince is zero while the hub is used.
	TrippedSince time.Time `json:"trippedSince,omitzero"`
	// Class and Reason are the newest failure.
	Class  model.FailureClass `json:"class,omitempty"`
	Reason string             `json:"reason,omitempty"`
	// Probes counts the probes since the hub was closed, NextProbe is when the next one is due.
	Probes    int       `json:"probes,omitempty"`
	NextProbe time.Time `json:"nextProbe,omitzero"`
	// Waiting are the scans to be told when the hub answers again.
	Waiting []string `json:"waiting,omitempty"`
	// Queue is what the hub's queue was last made; empty while that is not known.
	Queue QueueState `json:"queue,omitempty"`
}

func (h *HubHealth) tripped() bool { return !h.TrippedSince.IsZero() }

// health finds the breaker of a hub, nil when the hub has none.
func (p *hubPool) health(hub string) *HubHealth {
	for i := range p.Health {
		if p.Health[i].Hub == hub {
			return &p.Health[i]
		}
	}
	return nil
}

// report takes a scan's experience with a hub.
func (p *hubPool) report(r HubReport, now time.Time) {
	if p.Book.Hub(r.Hub) == nil {
		p.logger.Warn("a report about a hub that is not configured is ignored", "hub", r.Hub, "holder", r.Holder)
		return
	}
	p.experience(r.Hub, r.Class, r.Reason, r.RetryAfter, now)
	if h := p.ensureHealth(r.Hub); r.Waiting && r.Holder != "" && !slices.Contains(h.Waiting, r.Holder) {
		h.Waiting = append(h.Waiting, r.Holder)
	}
}

func (p *hubPool) ensureHealth(hub string) *HubHealth {
	if h := p.health(hub); h != nil {
		return h
	}
	p.Health = append(p.Health, HubHealth{Hub: hub})
	return &p.Health[len(p.Health)-1]
}

// experience lets one success or failure change the breaker. This is the one place that says which failures close a hub.
func (p *hubPool) experience(hub string, class model.FailureClass, reason string, after time.Duration, now time.Time) {
	if class == "" {
		p.success(hub, now)
		return
	}
	h := p.ensureHealth(hub)
	switch class {
	case model.Throttled, model.Unauthorized, model.Invalid:
		// Throttled: the hub said so. Unauthorized and invalid: every scan would fail alike until somebody mends it.
		p.tripHub(h, class, reason, after, now)
	case model.Transient:
		h.Failures++
		if h.tripped() || h.Failures >= failuresToClose {
			p.tripHub(h, class, reason, after, now)
		}
	default:
		// The hub works and refuses this one scan.
	}
}

// success ends a row of failures. A closed hub is opened by its probe alone, but that comes at once, unless the hub itself
// asked for a pause.
func (p *hubPool) success(hub string, now time.Time) {
	h := p.health(hub)
	if h == nil {
		return
	}
	h.Failures = 0
	if h.tripped() && h.Class != model.Throttled {
		h.NextProbe = now
	}
}

func (p *hubPool) tripHub(h *HubHealth, class model.FailureClass, reason string, after time.Duration, now time.Time) {
	if !h.tripped() {
		h.TrippedSince, h.Probes, h.NextProbe = now, 0, now.Add(firstProbe)
		p.Book.Trip(h.Hub)
		p.logger.Warn("hub closed", "hub", h.Hub, "class", class, "reason", reason)
	}
	h.Class, h.Reason = class, reason
	if next := now.Add(min(after, longestRetryAfter)); next.After(h.NextProbe) {
		h.NextProbe = next
	}
}

// probeClosed sends the single probe to every closed hub whose pause is over.
func (p *hubPool) probeTripped(now time.Time) {
	p.Health = slices.DeleteFunc(p.Health, func(h HubHealth) bool { return p.Book.Hub(h.Hub) == nil })
	for i := range p.Health {
		if h := &p.Health[i]; h.tripped() && !h.NextProbe.After(now) {
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
	future := workflow.ExecuteActivity(probeStep(p.steps, hub, "does "+hub+" answer?"), hubSteps.ProbeHub, activities.ProbeHubInput{Hub: hub})
	p.ask(future, func(ctx workflow.Context, f workflow.Future) { p.takeProbe(ctx, f, hub) })
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
	p.experience(hub, result.Trouble.Class, result.Trouble.Reason, result.Trouble.RetryAfter, now)
	if h := p.health(hub); h != nil && h.tripped() {
		h.Probes++
		if next := now.Add(probePause(h.Probes)); next.After(h.NextProbe) {
			h.NextProbe = next
		}
	}
}

func (p *hubPool) resetHub(hub string) {
	h := p.health(hub)
	if h == nil || !h.tripped() {
		return
	}
	p.logger.Info("hub open again", "hub", hub, "closed since", h.TrippedSince)
	h.Failures, h.Probes, h.TrippedSince, h.NextProbe, h.Class, h.Reason = 0, 0, time.Time{}, time.Time{}, "", ""
	p.Book.MakeAvailable(hub)
}

// probePause doubles from probe to probe.
func probePause(probes int) time.Duration {
	pause := firstProbe
	for ; probes > 0 && pause < longestProbe; probes-- {
		pause *= 2
	}
	return min(pause, longestProbe)
}

// nextProbe is when the next probe is due; zero means never.
func (p *hubPool) nextProbe() time.Time {
	var next time.Time
	for i := range p.Health {
		h := &p.Health[i]
		if h.tripped() && !p.probing[h.Hub] && (next.IsZero() || h.NextProbe.Before(next)) {
			next = h.NextProbe
		}
	}
	return next
}

// tellWaiting tells those who wait for a hub that it may be asked again: at once when the pool does not think it closed.
func (p *hubPool) notifyWaiting(ctx workflow.Context) {
	for i := range p.Health {
		h := &p.Health[i]
		for !h.tripped() && len(h.Waiting) > 0 && p.room() > 0 {
			p.sendSignal(SignalHubAvailable.SendTo(ctx, h.Waiting[0], HubAvailable{Hub: h.Hub}), "")
			h.Waiting = h.Waiting[1:]
		}
	}
}
