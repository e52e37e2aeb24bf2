package pool

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/lease"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// shownAtMost is how many leases and waiters an answer lists, so that it stays below what the server lets pass.
const shownAtMost = 500

func (p *hubPool) status(now time.Time) workflows.HubPoolStatus {
	s := workflows.HubPoolStatus{
		Hubs: []workflows.HubStatus{}, Leases: []workflows.LeaseStatus{}, Waiters: []workflows.WaiterStatus{}, Problem: p.Problem,
		LeaseCount: len(p.Book.Leases), WaiterCount: len(p.Book.Waiters), Rejected: p.Rejected,
		List: p.List, Conflict: p.conflict(now),
	}
	if c := p.Book.Cold; c != nil {
		s.ColdUntil, s.ColdWaitsFor = c.Until, coldReason(c)
	}
	for i := range p.Book.Hubs {
		s.Hubs = append(s.Hubs, p.hubStatus(&p.Book.Hubs[i]))
	}
	for i := range p.Book.Leases[:min(len(p.Book.Leases), shownAtMost)] {
		l := &p.Book.Leases[i]
		each := workflows.LeaseStatus{
			Holder: l.Holder, Digest: l.Digest, Hub: l.Hub, State: workflows.LeaseState(l.State), Priority: model.PriorityOf(l.Priority), Attempt: l.Attempt, GrantedAt: l.GrantedAt,
		}
		if l.Drain != nil {
			each.DrainingSince = l.Drain.Since
		}
		s.Leases = append(s.Leases, each)
	}
	for i := range p.Book.Waiters[:min(len(p.Book.Waiters), shownAtMost)] {
		w := &p.Book.Waiters[i]
		s.Waiters = append(s.Waiters, workflows.WaiterStatus{
			Holder: w.Holder, Digest: w.Digest, Priority: model.PriorityOf(w.Priority), Since: w.Since, Hubs: w.Hubs, WaitsFor: p.waitsFor(w),
		})
	}
	return s
}

func (p *hubPool) hubStatus(h *lease.Hub) workflows.HubStatus {
	s := workflows.HubStatus{Name: h.Name, Limit: h.Limit, Configured: h.Configured, Paused: h.Paused, Disabled: h.Disabled, Removed: h.Removed}
	for i := range p.Book.Leases {
		if l := &p.Book.Leases[i]; l.Hub == h.Name {
			s.InUse++
			switch l.State {
			case lease.Granted:
				s.Granted++
			case lease.Held:
				s.Held++
			case lease.Draining:
				s.Draining++
			case lease.Stuck:
				s.Stuck++
			}
		}
	}
	for i := range p.Book.Waiters {
		if hubs := p.Book.Waiters[i].Hubs; len(hubs) == 0 || slices.Contains(hubs, h.Name) {
			s.Waiting++
		}
	}
	if health := p.health(h.Name); health != nil && health.Tripped() {
		s.TrippedSince, s.Class, s.Reason, s.NextProbe = health.TrippedSince, health.Class, health.Reason, health.NextProbe
	}
	return s
}

// coldReason says what a cold pool waits for.
func coldReason(c *lease.Cold) string {
	switch {
	case !c.Listed:
		return "the list of open scans"
	case len(c.Silent) > 0:
		return fmt.Sprintf("%d open scans to say what they hold, %s among them", len(c.Silent), c.Silent[0].Name)
	default:
		return "a first answer of " + strings.Join(c.Unasked, ", ")
	}
}

// waitsFor says why a waiter has no lease yet.
func (p *hubPool) waitsFor(w *lease.Waiter) string {
	if p.Book.Cold != nil {
		return "the pool, which lost its state and asks the open scans what they hold"
	}
	for i := range p.Book.Leases {
		if l := &p.Book.Leases[i]; l.Digest == w.Digest {
			return fmt.Sprintf("hub %s, which has this image from %s (%s)", l.Hub, l.Holder, l.State)
		}
	}
	names := w.Hubs
	if len(names) == 0 {
		for i := range p.Book.Hubs {
			names = append(names, p.Book.Hubs[i].Name)
		}
	}
	if len(names) == 0 {
		return "a hub: none is configured"
	}
	reasons := make([]string, len(names))
	for i, name := range names {
		reasons[i] = name + ": " + p.whyNotNow(name)
	}
	return strings.Join(reasons, "; ")
}

// whyNotNow is why a hub gives out nothing at this moment.
func (p *hubPool) whyNotNow(hub string) string {
	if why := p.whyNot(hub); why != "" {
		return why
	}
	h := p.Book.Hub(hub)
	if used := p.Book.InUse(hub); used >= h.Limit {
		return fmt.Sprintf("%d of %d leases are out", used, h.Limit)
	}
	return "its turn"
}

// whyNot is why a hub gets no scans at all; empty when it does.
func (p *hubPool) whyNot(hub string) string {
	h := p.Book.Hub(hub)
	switch {
	case h == nil, h.Removed:
		return "not configured"
	case h.Disabled:
		return "disabled in the configuration"
	case h.Paused:
		return "paused by an operator"
	case h.Tripped:
		if health := p.health(hub); health != nil {
			return fmt.Sprintf("tripped since %s (%s: %s), asked again at %s",
				health.TrippedSince.Format(time.RFC3339), health.Class, health.Reason, health.NextProbe.Format(time.RFC3339))
		}
		return "tripped"
	}
	return ""
}

// details is the pool's page in Web UI.
func (p *hubPool) details(ctx workflow.Context) string {
	lines := []string{fmt.Sprintf("%d leases out, %d scans wait", len(p.Book.Leases), len(p.Book.Waiters)), ""}
	if c := p.Book.Cold; c != nil {
		lines = append(lines, fmt.Sprintf("**Grants nothing** before %s: waits for %s.", c.Until.Format(time.RFC3339), coldReason(c)), "")
	}
	if p.Problem != "" {
		lines = append(lines, "**The newest list of hubs was refused:** "+p.Problem, "")
	}
	if c := p.conflict(workflow.Now(ctx)); c != nil {
		lines = append(lines, "**Another list of hubs is not used:** "+strings.NewReplacer("\n", " ", "\r", " ").Replace(c.From)+" has it.", "")
	}
	if text := p.Rejected.Text(); text != "" {
		lines = append(lines, text, "")
	}
	if len(p.Book.Hubs) == 0 {
		return strings.Join(append(lines, "No hub is configured."), "\n")
	}
	lines = append(lines, "| hub | in use | limit | draining | stuck | waiting | state |", "|---|---|---|---|---|---|---|")
	for i := range p.Book.Hubs {
		s := p.hubStatus(&p.Book.Hubs[i])
		state := p.whyNot(s.Name)
		if state == "" {
			state = "available"
		}
		// A reason may hold anything a hub answered, which must not break the table.
		state = strings.NewReplacer("|", "/", "\n", " ", "\r", " ").Replace(state)
		lines = append(lines, fmt.Sprintf("| %s | %d | %d | %d | %d | %d | %s |", s.Name, s.InUse, s.Limit, s.Draining, s.Stuck, s.Waiting, state))
	}
	return strings.Join(append(lines, "", "as of "+workflow.Now(ctx).UTC().Format(time.RFC3339)), "\n")
}
