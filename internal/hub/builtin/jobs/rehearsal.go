package jobs

import "time"

// Rehearsal lets a test decide how scans go. The production hub has none.
type Rehearsal interface {
	// Admit refuses an upload while that many scans are in progress. It is asked inside the transaction that accepts.
	Admit(inProgress uint64) error
	// Plan says how an accepted scan goes.
	Plan(scanName string) Plan
	// Held is how long stuck scans stay so: 0 when they do not, less than 0 when no end is in sight. Changed closes when
	// the answer may be another one.
	Held() (left time.Duration, changed <-chan struct{})
}

// Plan is how one scan goes.
type Plan struct {
	// Work is how long it works.
	Work time.Duration
	// Lost means that it is deleted when it should be done.
	Lost bool
	// Stuck means that it stays in progress while the rehearsal holds it.
	Stuck bool
}

// steady is the production hub: every scan is accepted and takes its time.
type steady struct{ work time.Duration }

func (s steady) Admit(uint64) error                     { return nil }
func (s steady) Plan(string) Plan                       { return Plan{Work: s.work} }
func (s steady) Held() (time.Duration, <-chan struct{}) { return 0, nil }
