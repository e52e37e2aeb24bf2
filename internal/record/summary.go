package record

import (
	"time"

	"github.com/perceptor/perceptor/model"
)

// Status never says Complete without a verdict, and never hides a failure behind a queue.
func (i *Image) Status() model.ScanStatus {
	switch {
	case len(i.Verdicts) > 0:
		return model.StatusComplete
	case i.Attempts.Failure != nil:
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

// CurrentFailure is why the last scan brought no verdict, with the time of the next try, which is zero while a scan is under
// way; nil when the last scan did not fail.
func (i *Image) CurrentFailure() *model.Failure { return i.Attempts.failure(i.NextTry()) }

// summary is what inventories are sent, without its version; nil while there is neither verdict nor failure: they know by
// themselves that an image waits. That a scan has begun is no news to them, so the time of its try stays.
func (i *Image) summary() *model.Summary {
	if len(i.Verdicts) == 0 && i.Attempts.Failure == nil && i.Publication.Summary == nil {
		return nil
	}
	summary := model.Summary{Digest: i.Digest, Status: i.Status(), OverallStatus: i.OverallStatus(), Failure: i.Attempts.failure(i.Attempts.NotBefore)}
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

// Coverage is what the verdicts rest on; zero without one.
func (i *Image) Coverage() model.CoverageSummary { return model.CoverageOf(i.Verdicts) }

// ShouldPublish notes what has changed, and reports whether an inventory is to be sent the summary now. A changed summary is
// for every inventory that refers to the image. The epoch is that of the versions of a first summary.
func (i *Image) ShouldPublish(now time.Time, epoch int64) bool {
	i.Publication.update(now, epoch, i.summary(), &i.References)
	return i.Publication.isDue(now)
}

// TakeBatch takes the next inventories to send the summary to. It answers their ids, and their references as they are now.
func (i *Image) TakeBatch() (ids []string, references []model.Reference) {
	ids = i.Publication.takeBatch()
	for _, id := range ids {
		if at, known := i.References.find(referrer{model.ReferenceInventory, id}); known {
			references = append(references, i.References.List[at])
		}
	}
	return ids, references
}

// BatchSent takes what became of a batch, with the references that TakeBatch answered. An inventory that is closed refers to
// nothing, unless it has sent a newer reference since. One that could not be reached is sent the summary later.
func (i *Image) BatchSent(now time.Time, references []model.Reference, closed, failed []string) {
	for _, id := range closed {
		i.References.removeClosed(id, references)
	}
	i.Publication.retry(now, failed)
}
