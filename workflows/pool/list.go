package pool

import (
	"time"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

const (
	// conflictShown is after which time without a repetition a conflict is over: that process has ended, or has another list now.
	conflictShown = workflows.ListAbandoned
	// conflictHubs is how many names of the other list are shown.
	conflictHubs = 20
)

// replaces decides whether a list of hubs takes the place of the one in use, which is another.
func replaces(c workflows.Configure, inUse workflows.HubList, now time.Time) bool {
	switch {
	case inUse.Hash == "", c.Setup, c.Generation > inUse.Generation:
		return true
	case c.Generation < inUse.Generation:
		return false
	default:
		return c.From == inUse.From || c.Replaces == inUse.Hash || now.Sub(inUse.Confirmed) >= workflows.ListAbandoned
	}
}

// configure takes a list of hubs, unless another process owns the one in use. A wrong list changes nothing; a signal cannot be refused,
// so the status says why.
func (p *hubPool) configure(c workflows.Configure, now time.Time) {
	hash := workflows.ListHash(c.Hubs)
	switch {
	case hash == p.List.Hash:
		p.List.Confirmed, p.List.Generation = now, max(p.List.Generation, c.Generation)
		p.endConflict(c.From)
	case !replaces(c, p.List, now):
		p.noteConflict(c, now)
	case p.useHubs(c.Hubs):
		p.List = workflows.HubList{Hash: hash, Generation: c.Generation, From: c.From, Since: now, Confirmed: now}
		p.endConflict(c.From)
	}
}

// noteConflict notes that a process has another list than the one in use.
func (p *hubPool) noteConflict(c workflows.Configure, now time.Time) {
	known := p.Conflict
	if known == nil || known.From != c.From || now.Sub(known.Last) >= conflictShown {
		known = &workflows.HubListConflict{From: c.From, Since: now}
		p.Conflict = known
		p.logger.Error("a process has another list of hubs; the list in use stays", "from", c.From, "generation", c.Generation, "inUse", p.List.From)
	}
	known.Hubs, known.Generation, known.Last = nil, c.Generation, now
	known.Count++
	for _, h := range c.Hubs[:min(len(c.Hubs), conflictHubs)] {
		known.Hubs = append(known.Hubs, h.Name)
	}
}

// endConflict forgets the conflict with a process that has the list in use now.
func (p *hubPool) endConflict(from string) {
	if p.Conflict != nil && p.Conflict.From == from {
		p.Conflict = nil
	}
}

// conflict is the conflict that is not over; nil when there is none.
func (p *hubPool) conflict(now time.Time) *workflows.HubListConflict {
	if p.Conflict == nil || now.Sub(p.Conflict.Last) >= conflictShown {
		return nil
	}
	return p.Conflict
}

// useHubs replaces the list of hubs, unless the new one is wrong.
func (p *hubPool) useHubs(hubs []workflows.HubConfig) bool {
	p.Problem = ""
	known := map[string]bool{}
	for i := range p.Book.Hubs {
		known[p.Book.Hubs[i].Name] = true
	}
	if err := p.Book.Configure(bookHubs(hubs)); err != nil {
		p.Problem = model.Clip(err.Error(), model.ReasonLength)
		p.logger.Error("new list of hubs refused", "error", p.Problem)
		return false
	}
	for _, h := range hubs {
		if !known[h.Name] {
			p.restore(h.Name)
		}
	}
	return true
}
