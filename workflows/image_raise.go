package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"
)

// class is how urgent the next verdict is: as urgent as the most urgent of those who asked for it.
func (i *imageRun) class() Class {
	if r := i.state.Rescan; r != nil && r.Class.Urgency() < i.state.Class.Urgency() {
		return r.Class
	}
	return i.state.Class
}

// raise notes that somebody more urgent waits. Nobody who raises an image waits for the delay after a failure.
func (i *imageRun) raise(r Raise) {
	s := i.state
	s.NotBefore = time.Time{}
	if r.Class.Urgency() >= s.Class.Urgency() {
		return
	}
	if s.Class = r.Class; r.Namespace != "" {
		s.Namespace = r.Namespace
	}
}

// raised reports whether the scan under way is to learn that it has become more urgent.
func (i *imageRun) raised() bool {
	s := i.state
	return s.Scan != nil && i.busy == 0 && i.class().Urgency() < s.Scan.Class.Urgency()
}

// raiseScan tells the scan. One that has closed needs no word.
func (i *imageRun) raiseScan(ctx workflow.Context) {
	s := i.state
	s.Scan.Class = i.class()
	if workflow.GetVersion(ctx, "scans-are-raised", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return
	}
	if err := SignalRaise.SendTo(ctx, ScanImageID(i.digest), Raise{Class: s.Scan.Class, Namespace: s.Namespace}).Get(ctx, nil); err != nil {
		i.logger.Info("raised scan is gone", "error", err)
	}
}
