package record

import (
	"slices"
	"time"

	"github.com/perceptor/perceptor/model"
)

const (
	// publishAtOnce is how many inventories one step sends the summary to.
	publishAtOnce = 500
	// publishAgain is the pause after a step that could not reach all of them.
	publishAgain = 10 * time.Second
)

// Publication is what inventories are sent of an image, and which of them do not have it yet.
type Publication struct {
	// Summary is what inventories were last sent, with its version; nil before the first.
	Summary *model.Summary `json:"summary,omitempty"`
	// Pending are the ids of inventories that do not have it yet.
	Pending []string `json:"pending,omitempty"`
	// NotBefore is when sending it to them is tried again; zero means at once.
	NotBefore time.Time `json:"notBefore,omitzero"`

	// pending are those of Pending; nil when it is to be made again.
	pending map[string]bool
}

// update takes a summary that differs from the last one, for every inventory that refers to the image. Its version is the time
// of the change, so that it grows even in a run that was reset. The epoch of all versions is the one of the first.
func (p *Publication) update(now time.Time, epoch int64, next *model.Summary, to *References) {
	if next == nil || sameSummary(next, p.Summary) {
		return
	}
	next.Version = model.Version{Epoch: epoch, Counter: now.UnixNano()}
	if last := p.Summary; last != nil {
		next.Version = model.Version{Epoch: last.Version.Epoch, Counter: max(next.Version.Counter, last.Version.Counter+1)}
	}
	p.Summary, p.Pending, p.pending = next, nil, nil
	for _, r := range to.inventories() {
		p.Pending = append(p.Pending, r.ID)
	}
}

// noteKnown notes an inventory that has another summary than the published one. What is not published yet reaches it with the
// others.
func (p *Publication) noteKnown(inventory string, known model.Version) {
	if p.Summary != nil && known != p.Summary.Version {
		p.notePending(inventory)
	}
}

func (p *Publication) notePending(inventory string) {
	if p.pending == nil {
		p.pending = make(map[string]bool, len(p.Pending))
		for _, id := range p.Pending {
			p.pending[id] = true
		}
	}
	if !p.pending[inventory] {
		p.pending[inventory] = true
		p.Pending = append(p.Pending, inventory)
	}
}

// isDue reports whether an inventory is to be sent the summary now.
func (p *Publication) isDue(now time.Time) bool {
	return len(p.Pending) > 0 && !now.Before(p.NotBefore)
}

// takeBatch takes the next inventories to send the summary to.
func (p *Publication) takeBatch() []string {
	ids := p.Pending[:min(len(p.Pending), publishAtOnce)]
	p.Pending = slices.Clone(p.Pending[len(ids):])
	for _, id := range ids {
		delete(p.pending, id)
	}
	return ids
}

// retry notes the inventories that could not be reached: they are sent the summary later.
func (p *Publication) retry(now time.Time, failed []string) {
	for _, id := range failed {
		p.notePending(id)
	}
	if len(failed) > 0 {
		p.NotBefore = now.Add(publishAgain)
	}
}

// sameSummary reports whether inventories would show the same.
func sameSummary(a, b *model.Summary) bool {
	if a == nil || b == nil {
		return a == b
	}
	return sameFailure(a.Failure, b.Failure) && a.Status == b.Status && a.OverallStatus == b.OverallStatus && a.PolicyViolations == b.PolicyViolations &&
		a.Vulnerabilities == b.Vulnerabilities && a.Findings == b.Findings && a.FindingCounts == b.FindingCounts &&
		a.NotAssessed == b.NotAssessed && sameCoverage(a.Coverage, b.Coverage) &&
		a.ComponentsURL == b.ComponentsURL && a.JudgedAt.Equal(b.JudgedAt) && slices.Equal(a.Hubs, b.Hubs)
}

func sameFailure(a, b *model.Failure) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Class == b.Class && a.Reason == b.Reason && a.Step == b.Step && a.Attempt == b.Attempt && a.At.Equal(b.At) && a.NextTry.Equal(b.NextTry)
}

func sameCoverage(a, b model.CoverageSummary) bool {
	times := a.AsOf.Equal(b.AsOf) && a.ValidUntil.Equal(b.ValidUntil) && a.ExceptionsEnd.Equal(b.ExceptionsEnd)
	a.AsOf, a.ValidUntil, a.ExceptionsEnd = b.AsOf, b.ValidUntil, b.ExceptionsEnd
	return times && a == b
}
