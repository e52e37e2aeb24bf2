package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"golang.org/x/sync/errgroup"
)

// Scans are the scans that run, as the pool of hubs sends signals to them.
type Scans interface {
	// SignalScan sends a signal to the newest run of a scan; it reports false when there is none.
	SignalScan(ctx context.Context, workflowID, name string, value any) (bool, error)
}

// ScanSignal is one signal from the pool of hubs to a scan.
type ScanSignal struct {
	Scan Holder `json:"scan"`
	Name string `json:"name"`
	// Value is the signal's content; the step sends on what it reads, a json.RawMessage.
	Value any `json:"value"`
}

// UnmarshalJSON keeps the content as it was written: only the scan knows its type.
func (s *ScanSignal) UnmarshalJSON(text []byte) error {
	var written struct {
		Scan  Holder          `json:"scan"`
		Name  string          `json:"name"`
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(text, &written); err != nil {
		return fmt.Errorf("read a signal to a scan: %w", err)
	}
	s.Scan, s.Name, s.Value = written.Scan, written.Name, written.Value
	return nil
}

// NotifyScansInput is what to send to scans.
type NotifyScansInput struct {
	Signals []ScanSignal `json:"signals"`
}

// NotifyScansResult names the scans that were not notified: Gone have ended, Missed gave no answer in time.
type NotifyScansResult struct {
	Gone   []Holder `json:"gone,omitempty"`
	Missed []Holder `json:"missed,omitempty"`
}

// NotifyAtMost is how many scans one step notifies, so that it ends within its time when none of them answers: scansAtOnce
// at a time, each within scanWithin.
const (
	NotifyAtMost = 64
	scansAtOnce  = 16
	scanWithin   = 2 * time.Second
)

// NotifyScans sends signals to scans. It never fails: the result names the scans that did not get theirs.
func (s *PoolSteps) NotifyScans(ctx context.Context, in NotifyScansInput) (NotifyScansResult, error) {
	var (
		group  errgroup.Group
		lock   sync.Mutex
		result NotifyScansResult
	)
	group.SetLimit(scansAtOnce)
	for _, signal := range in.Signals {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, scanWithin)
			defer cancel()
			found, err := s.scans.SignalScan(ctx, signal.Scan.WorkflowID, signal.Name, signal.Value)
			lock.Lock()
			defer lock.Unlock()
			switch {
			case err != nil:
				activity.GetLogger(ctx).Warn("scan could not be notified", "scan", signal.Scan.WorkflowID, "signal", signal.Name, "error", err)
				result.Missed = append(result.Missed, signal.Scan)
			case !found:
				result.Gone = append(result.Gone, signal.Scan)
			}
			return nil
		})
	}
	return result, group.Wait()
}
