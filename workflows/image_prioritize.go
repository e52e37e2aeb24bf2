package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"
)

// class is how urgent the next verdict is: as urgent as the most urgent of those who asked for it.
func (i *imageRun) priority() Priority {
	if r := i.state.Rescan; r != nil && r.Priority.Rank() < i.state.Priority.Rank() {
		return r.Priority
	}
	return i.state.Priority
}

// raise notes that somebody more urgent waits. Nobody who raises an image waits for the delay after a failure.
func (i *imageRun) setPriority(r Prioritize) {
	s := i.state
	s.NotBefore = time.Time{}
	if r.Priority.Rank() >= s.Priority.Rank() {
		return
	}
	if s.Priority = r.Priority; r.Namespace != "" {
		s.Namespace = r.Namespace
	}
}

// raised reports whether the scan under way is to learn that it has become more urgent.
func (i *imageRun) needsPrioritizing() bool {
	s := i.state
	return s.Scan != nil && i.busy == 0 && i.priority().Rank() < s.Scan.Priority.Rank()
}

// raiseScan tells the scan. One that has closed needs no word.
func (i *imageRun) prioritizeScan(ctx workflow.Context) {
	s := i.state
	s.Scan.Priority = i.priority()
	if workflow.GetVersion(ctx, "scans-are-raised", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return
	}
	if err := SignalPrioritize.SendTo(ctx, ScanImageID(i.digest), Prioritize{Priority: s.Scan.Priority, Namespace: s.Namespace}).Get(ctx, nil); err != nil {
		i.logger.Info("raised scan is gone", "error", err)
	}
}
