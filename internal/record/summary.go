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

// Status never says Complete without a verdict, and never hides a failure behind a queue.
func (i *Image) Status() model.ScanStatus {
	switch {
	case len(i.Verdicts) > 0:
		return model.StatusComplete
	case i.Failure != nil:
		return model.StatusFailed
	case i.Scan != nil:
		return model.StatusInQueue
	default:
		return model.StatusUnknown
	}
}

// OverallStatus is the worst of all hubs' verdicts, and Unknown without one.
func (i *Image) OverallStatus() model.OverallStatus {
	if len(i.Verdicts) == 0 {
		return model.OverallUnknown
	}
	worst := i.Verdicts[0].OverallStatus
	for _, v := range i.Verdicts[1:] {
		worst = worst.Worst(v.OverallStatus)
	}
	return worst
}

// failure is a copy of the failure with the time of the next try.
func (i *Image) failure(next time.Time) *model.Failure {
	if i.Failure == nil {
		return nil
	}
	f := *i.Failure
	f.NextTry = next
	return &f
}

// CurrentFailure is why the last scan brought no verdict, with the time of the next try, which is zero while a scan is under
// way; nil when the last scan did not fail.
func (i *Image) CurrentFailure() *model.Failure { return i.failure(i.NextTry()) }

// summary is what inventories are sent, without its version; nil while there is neither verdict nor failure: they know by
// themselves that an image waits. That a scan has begun is no news to them, so the time of its try stays.
func (i *Image) summary() *model.Summary {
	if len(i.Verdicts) == 0 && i.Failure == nil {
		return nil
	}
	summary := model.Summary{Digest: i.Digest, Status: i.Status(), OverallStatus: i.OverallStatus(), Failure: i.failure(i.NotBefore)}
	var newest model.Verdict
	for at, v := range i.Verdicts {
		summary.Hubs = append(summary.Hubs, v.Hub)
		if at == 0 || v.Newer(newest) {
			newest = v
		}
	}
	summary.PolicyViolations, summary.Vulnerabilities, summary.Findings = newest.PolicyViolations, newest.Vulnerabilities, newest.Findings
	summary.FindingCounts = newest.FindingCounts
	summary.NotAssessed, summary.ComponentsURL, summary.JudgedAt = newest.NotAssessed, newest.ComponentsURL, newest.JudgedAt
	summary.Coverage = i.Coverage()
	return &summary
}

// sameSummary reports whether inventories would show the same.
func sameSummary(a, b *model.Summary) bool {
	if a == nil || b == nil {
		return a == b
	}
	return sameFailure(a.Failure, b.Failure) && a.Status == b.Status && a.OverallStatus == b.OverallStatus && a.PolicyViolations == b.PolicyViolations &&
		a.Vulnerabilities == b.Vulnerabilities && a.Findings == b.Findings && a.FindingCounts == b.FindingCounts && a.NotAssessed == b.NotAssessed && sameCoverage(a.Coverage, b.Coverage) &&
		a.ComponentsURL == b.ComponentsURL && a.JudgedAt.Equal(b.JudgedAt) && slices.Equal(a.Hubs, b.Hubs)
}

// Coverage is what the verdicts rest on; zero without one.
func (i *Image) Coverage() model.CoverageSummary { return model.CoverageOf(i.Verdicts) }

func sameCoverage(a, b model.CoverageSummary) bool {
	asOf, validUntil := a.AsOf.Equal(b.AsOf), a.ValidUntil.Equal(b.ValidUntil)
	a.AsOf, a.ValidUntil = b.AsOf, b.ValidUntil
	return asOf && validUntil && a == b
}

func sameFailure(a, b *model.Failure) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Class == b.Class && a.Reason == b.Reason && a.Step == b.Step && a.Attempt == b.Attempt && a.At.Equal(b.At) && a.NextTry.Equal(b.NextTry)
}

// notePending notes an inventory that has another summary than the published one. What is not published yet reaches it with
// the others.
func (i *Image) notePending(o Observation) {
	if o.Reference.Kind != ReferenceInventory || i.Published == nil || o.Known == i.Published.Version {
		return
	}
	if !slices.Contains(i.PendingInventories, o.Reference.ID) {
		i.PendingInventories = append(i.PendingInventories, o.Reference.ID)
	}
}

// ShouldPublish notes what has changed, and reports whether an inventory is to be sent the summary now. A changed summary is
// for every inventory that refers to the image. Its version is the time of the change, so that it grows even in a run that was
// reset. The epoch of all versions is the one of the first.
func (i *Image) ShouldPublish(now time.Time, epoch int64) bool {
	if next := i.summary(); next != nil && !sameSummary(next, i.Published) {
		next.Version = model.Version{Epoch: epoch, Counter: now.UnixNano()}
		if last := i.Published; last != nil {
			next.Version = model.Version{Epoch: last.Version.Epoch, Counter: max(next.Version.Counter, last.Version.Counter+1)}
		}
		i.Published, i.PendingInventories = next, i.inventories()
	}
	return len(i.PendingInventories) > 0 && !now.Before(i.PublishAfter)
}

// inventories are the ids of those that refer to the image.
func (i *Image) inventories() []string {
	var ids []string
	for _, r := range i.References {
		if r.Kind == ReferenceInventory {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// TakeBatch takes the next inventories to send the summary to. It answers their ids, and their references as they are now.
func (i *Image) TakeBatch() (ids []string, references []Reference) {
	ids = i.PendingInventories[:min(len(i.PendingInventories), publishAtOnce)]
	i.PendingInventories = slices.Clone(i.PendingInventories[len(ids):])
	for _, r := range i.References {
		if r.Kind == ReferenceInventory && slices.Contains(ids, r.ID) {
			references = append(references, r)
		}
	}
	return ids, references
}

// BatchSent takes what became of a batch, with the references that TakeBatch answered. An inventory that is closed refers to
// nothing, unless it has sent a newer reference since. One that could not be reached is sent the summary later.
func (i *Image) BatchSent(now time.Time, references []Reference, closed, failed []string) {
	for _, id := range closed {
		i.References = slices.DeleteFunc(i.References, func(r Reference) bool { return r.ID == id && slices.Contains(references, r) })
	}
	for _, id := range failed {
		if !slices.Contains(i.PendingInventories, id) {
			i.PendingInventories = append(i.PendingInventories, id)
		}
	}
	if len(failed) > 0 {
		i.PublishAfter = now.Add(publishAgain)
	}
}
