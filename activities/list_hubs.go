package activities

import (
	"context"
	"encoding/json"
	"fmt"
)

// HubState is what a scan needs to know of a hub before it asks it.
type HubState struct {
	Name string `json:"name"`
	// Unavailable says why the hub cannot be asked now, such as "paused"; empty when it can.
	Unavailable string `json:"unavailable,omitempty"`
}

// Pool is the one HubPool, seen from outside.
type Pool interface {
	// Hubs lists the enabled hubs.
	Hubs(ctx context.Context) ([]HubState, error)
	// Signal sends the pool a signal, starting a pool that is gone when the signal asks something of it.
	Signal(ctx context.Context, name string, value any) error
}

// ScanStarter starts scans and finds out which are open.
type ScanStarter interface {
	Holders
	// StartScan starts a scan unless one of the same image runs.
	StartScan(ctx context.Context, in StartScanInput) (StartScanResult, error)
}

// ScanSteps are the light steps of ScanImage and Image on the workflow queue.
type ScanSteps struct {
	pool  Pool
	scans ScanStarter
	hubs  HubsHere
}

// NewScanSteps asks p about hubs, and starts scans and asks about them through s. It asks the hubs of h itself, which may be nil.
func NewScanSteps(p Pool, s ScanStarter, h HubsHere) *ScanSteps {
	return &ScanSteps{pool: p, scans: s, hubs: h}
}

// ListHubsResult lists the enabled hubs.
type ListHubsResult struct {
	Hubs []HubState `json:"hubs"`
}

// ListHubs asks the pool which hubs there are and which can be asked.
func (s *ScanSteps) ListHubs(ctx context.Context) (ListHubsResult, error) {
	hubs, err := s.pool.Hubs(ctx)
	if err != nil {
		return ListHubsResult{}, fmt.Errorf("list hubs: %w", err)
	}
	return ListHubsResult{Hubs: hubs}, nil
}

// SignalPoolInput is one signal from a scan to the pool of hubs.
type SignalPoolInput struct {
	Name string `json:"name"`
	// Value is the signal's content, of the type the signal carries: a local step gets it as it was handed over, a step on a queue
	// as a json.RawMessage.
	Value any `json:"value"`
}

// UnmarshalJSON keeps the content as it was written: only the pool knows its type.
func (s *SignalPoolInput) UnmarshalJSON(text []byte) error {
	var written struct {
		Name  string          `json:"name"`
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(text, &written); err != nil {
		return fmt.Errorf("read a signal to the pool of hubs: %w", err)
	}
	s.Name, s.Value = written.Name, written.Value
	return nil
}

// SignalPool sends the pool of hubs a signal. As a local step it costs one event in the scan's history, where a signal
// between workflows costs five, and it has arrived when the step is done.
func (s *ScanSteps) SignalPool(ctx context.Context, in SignalPoolInput) error {
	if err := s.pool.Signal(ctx, in.Name, in.Value); err != nil {
		return fmt.Errorf("signal the pool of hubs: %w", err)
	}
	return nil
}

// StartScanInput is a scan to be started.
type StartScanInput struct {
	// Input is the input of ScanImage: a local step gets it as it was handed over.
	Input any `json:"input"`
	// Key names this start among all starts of scans. When the step has started a scan and could not say so, the next attempt of
	// the step finds the scan by it.
	Key string `json:"key"`
}

// StartScanResult names the scan that runs now.
type StartScanResult struct {
	// Chain is the first run ID of the scan.
	Chain string `json:"chain"`
	// Other says that another start than that of the key has started it.
	Other bool `json:"other,omitempty"`
}

// StartScan starts the scan of an image. As a local step it costs one event in the history of the image, where a child workflow
// costs seven. Where this worker has room, the scan's first task comes with the answer of the server.
func (s *ScanSteps) StartScan(ctx context.Context, in StartScanInput) (StartScanResult, error) {
	started, err := s.scans.StartScan(ctx, in)
	if err != nil {
		return started, fmt.Errorf("start the scan: %w", err)
	}
	return started, nil
}

// CheckScanInput names a scan; an empty chain means any run.
type CheckScanInput struct {
	Scan Holder `json:"scan"`
}

// CheckScanResult says whether it is open.
type CheckScanResult struct {
	Open bool `json:"open"`
}

// CheckScan asks whether an image's scan is still open.
func (s *ScanSteps) CheckScan(ctx context.Context, in CheckScanInput) (CheckScanResult, error) {
	open, err := s.scans.IsOpen(ctx, in.Scan)
	if err != nil {
		return CheckScanResult{}, fmt.Errorf("ask for %s: %w", in.Scan.WorkflowID, err)
	}
	return CheckScanResult{Open: open}, nil
}
