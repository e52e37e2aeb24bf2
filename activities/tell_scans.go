package activities

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Scans are the scans that run, as the pool of hubs speaks to them.
type Scans interface {
	// SignalScan sends a signal to the newest run of a scan; an error says that there is none, or that nobody knows.
	SignalScan(ctx context.Context, workflowID, name string, value any) error
}

// ScanSignal is one signal from the pool of hubs to a scan.
type ScanSignal struct {
	Scan Holder `json:"scan"`
	Name string `json:"name"`
	// Value is the signal's content, of the type the signal carries: a local step gets it as it was handed over.
	Value any `json:"value"`
}

// TellScansInput is what scans are to be told.
type TellScansInput struct {
	Signals []ScanSignal `json:"signals"`
}

// TellScansResult is what they were told, for whoever reads the pool's history, and which of them were not reached.
type TellScansResult struct {
	Told      []ScanSignal `json:"told,omitempty"`
	Unreached []Holder     `json:"unreached,omitempty"`
}

// The pool decides nothing while it tells scans what it has decided: grantsAtOnce of them are told at a time, and what takes
// longer than grantsWithin is given up, since a grant is sent again until it is confirmed.
const (
	grantsAtOnce = 8
	grantsWithin = 3 * time.Second
)

// TellScans sends signals to scans. It never fails: the pool looks after those that were not reached.
func (s *PoolSteps) TellScans(ctx context.Context, in TellScansInput) (TellScansResult, error) {
	ctx, cancel := context.WithTimeout(ctx, grantsWithin)
	defer cancel()
	var (
		group  errgroup.Group
		lock   sync.Mutex
		result TellScansResult
	)
	group.SetLimit(grantsAtOnce)
	for _, signal := range in.Signals {
		group.Go(func() error {
			err := s.scans.SignalScan(ctx, signal.Scan.WorkflowID, signal.Name, signal.Value)
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				result.Unreached = append(result.Unreached, signal.Scan)
			} else {
				result.Told = append(result.Told, signal)
			}
			return nil
		})
	}
	return result, group.Wait()
}
