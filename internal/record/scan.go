package record

import (
	"slices"
	"time"

	"github.com/perceptor/perceptor/model"
)

// When the server is asked whether a scan is still open that has not reported, since a scan that was terminated never reports.
// The first time is CheckScanFirst after its start, which most scans do not reach. Each further time is when the scan is
// checkScanGrowth times as old, at most CheckScanMost after the one before: thousands of scans may wait in the backlog.
const (
	CheckScanFirst  = 45 * time.Second
	CheckScanMost   = time.Hour
	checkScanGrowth = 5
)

// Scan is what the record knows of the scan under way.
type Scan struct {
	// Chain is the first run id; empty while it is being started.
	Chain   string    `json:"chain,omitempty"`
	Started time.Time `json:"started"`
	Rescan  bool      `json:"rescan,omitempty"`
	// Checked is when the server was last asked whether the scan is open, or when the scan began. Doubted asks for a check at once.
	Checked time.Time `json:"checked"`
	Doubted bool      `json:"doubted,omitempty"`
	// Priority is the priority that the scan knows of; empty when the scan was running before the record knew of it.
	Priority model.Priority `json:"priority,omitempty"`
	// Unwanted is set once the scan was asked to stop because nothing refers to the image.
	Unwanted bool `json:"unwanted,omitempty"`
}

// Report is how a scan ended: with a verdict, with a failure, or with neither when it was cancelled.
type Report struct {
	Chain   string
	Started time.Time
	Verdict *model.Verdict
	Failure *model.Failure
	// LeftWork says that a failed scan may have left something at a hub.
	LeftWork bool
}

// CurrentPriority is the highest priority that the next verdict is wanted with.
func (i *Image) CurrentPriority() model.Priority {
	if r := i.Rescan; r != nil && r.Priority.Rank() < i.Priority.Rank() {
		return r.Priority
	}
	return i.Priority
}

// Prioritize takes a higher priority and the namespace that it counts for, which may be empty. The delay after a failure ends.
func (i *Image) Prioritize(p model.Priority, namespace string) {
	i.Attempts.tryNow()
	if p.Rank() >= i.Priority.Rank() {
		return
	}
	if i.Priority = p; namespace != "" {
		i.Namespace = namespace
	}
}

// RequestRescan asks for a new scan. The delay after a failure ends. A scan under way that does not exist any longer would be waited
// for in vain, so it is checked.
func (i *Image) RequestRescan(r model.Rescan) {
	i.Rescan = &r
	i.DoubtScan()
	i.Attempts.tryNow()
}

// WantsScan reports whether a scan is needed at all: the image has a reference and a name to be pulled by, none is under way,
// and there is no verdict or a new one was asked for.
func (i *Image) WantsScan() bool {
	return len(i.References.List) > 0 && len(i.Names) > 0 && i.Scan == nil && (len(i.Verdicts) == 0 || i.Rescan != nil)
}

// IsScanDue reports whether a scan is to start now.
func (i *Image) IsScanDue(now time.Time) bool {
	return i.WantsScan() && !now.Before(i.Attempts.NotBefore)
}

// IsRescan reports whether the next scan must not take over what a hub has. Without a verdict there is nothing to scan again:
// what a failed scan left at a hub is used.
func (i *Image) IsRescan() bool { return i.Rescan != nil && len(i.Verdicts) > 0 }

// NextTry is when the next scan starts after a failure; zero while a scan is under way, and when no delay is set.
func (i *Image) NextTry() time.Time {
	if i.Scan != nil {
		return time.Time{}
	}
	return i.Attempts.NotBefore
}

// StartScan notes that a scan is being started.
func (i *Image) StartScan(now time.Time) {
	i.Starts++
	i.Scan = &Scan{Started: now, Checked: now, Rescan: i.Rescan != nil, Priority: i.CurrentPriority()}
}

// ScanStarted notes the chain of the scan that has been started.
func (i *Image) ScanStarted(chain string) {
	if i.Scan != nil {
		i.Scan.Chain = chain
	}
}

// ScanWasRunning notes that another start has started the scan: it is no rescan, and its priority is not known.
func (i *Image) ScanWasRunning() {
	if i.Scan != nil {
		i.Scan.Rescan, i.Scan.Priority = false, ""
	}
}

// ScanLost notes that the scan under way closed without a report, and answers its chain. A scan that could not even be started
// has left nothing at a hub, and the next start takes its number: perhaps it was started after all.
func (i *Image) ScanLost(now time.Time, started bool) (chain string) {
	chain = i.Scan.Chain
	i.Scan = nil
	if !started {
		i.Starts--
	}
	i.Attempts.noteLost(now, started)
	return chain
}

// nextCheck is when the server is asked next whether the scan is open.
func (s *Scan) nextCheck() time.Time {
	pause := (checkScanGrowth - 1) * s.Checked.Sub(s.Started)
	return s.Checked.Add(min(max(pause, CheckScanFirst), CheckScanMost))
}

// ShouldCheckScan reports whether the server is to be asked whether the scan under way is open.
func (i *Image) ShouldCheckScan(now time.Time) bool {
	return i.Scan != nil && (i.Scan.Doubted || !now.Before(i.Scan.nextCheck()))
}

// DoubtScan has the scan under way, if there is one, checked at once.
func (i *Image) DoubtScan() {
	if i.Scan != nil {
		i.Scan.Doubted = true
	}
}

// ScanChecked notes that the server is being asked now.
func (s *Scan) ScanChecked(now time.Time) { s.Checked, s.Doubted = now, false }

// IsScanUnwanted reports whether the scan under way is to be asked to stop.
func (i *Image) IsScanUnwanted(now time.Time) bool {
	return i.Scan != nil && !i.Scan.Unwanted && i.References.idleFor(now, UnwantedAfter)
}

// HasMoreUrgentScan reports whether the scan under way is to learn that its priority is higher now.
func (i *Image) HasMoreUrgentScan() bool {
	return i.Scan != nil && i.CurrentPriority().Rank() < i.Scan.Priority.Rank()
}

// ScanEnded takes the report of a scan and reports whether it was the scan under way. A report of an older scan than the
// newest reported one is stale.
func (i *Image) ScanEnded(now time.Time, r Report) bool {
	current := i.Scan == nil || i.Scan.Chain == "" || i.Scan.Chain == r.Chain
	if current {
		// A rescan that was asked for while the scan ran stays wanted, and so does one whose scan was cancelled.
		if i.Scan != nil && i.Scan.Rescan && (r.Verdict != nil || r.Failure != nil) {
			i.Rescan = nil
		}
		i.Scan = nil
	}
	if r.Started.Before(i.LastStarted) {
		return current
	}
	i.LastStarted = r.Started
	switch {
	case r.Verdict != nil:
		i.takeVerdict(*r.Verdict)
	case r.Failure != nil:
		i.Attempts.noteFailure(now, i.Digest, *r.Failure, r.LeftWork)
		if len(i.Verdicts) > 0 && i.Rescan == nil {
			// A rescan that failed is tried again too; the old verdict stays until the new one is there.
			i.Rescan = &model.Rescan{Reason: "the rescan failed", Priority: i.Priority}
		}
	default:
		i.Attempts.noteCancelled(now, i.Digest)
	}
	return current
}

func (i *Image) takeVerdict(v model.Verdict) {
	i.Attempts.noteSuccess()
	at := slices.IndexFunc(i.Verdicts, func(old model.Verdict) bool { return old.Hub == v.Hub })
	switch {
	case at < 0 && len(i.Verdicts) < verdictsAtMost:
		i.Verdicts = append(i.Verdicts, v)
	case at < 0:
		// An image is judged by one hub, or by a few. What comes beyond that is no hub of ours.
	case v.Newer(i.Verdicts[at]):
		i.Verdicts[at] = v
	}
}

// Judge replaces a verdict of the same hub by a newer one. It says nothing of any scan: not of one under way, nor of one
// that failed.
func (i *Image) Judge(verdict model.Verdict) {
	for at, old := range i.Verdicts {
		v := verdict
		if v.ScanStarted.IsZero() {
			v.ScanStarted, v.SkippedHubs = old.ScanStarted, old.SkippedHubs
		}
		if old.Hub == v.Hub && v.Newer(old) {
			i.Verdicts[at] = v
		}
	}
}
