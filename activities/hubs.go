package activities

import (
	"context"
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
	// Ensure starts the pool if it is not running.
	Ensure(ctx context.Context) error
}

// ScanSteps are the light steps of ScanImage and Image on the workflow queue.
type ScanSteps struct {
	pool    Pool
	holders Holders
}

// NewScanSteps asks p about hubs and h about scans.
func NewScanSteps(p Pool, h Holders) *ScanSteps { return &ScanSteps{pool: p, holders: h} }

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

// EnsureHubPool starts the pool if it is gone.
func (s *ScanSteps) EnsureHubPool(ctx context.Context) error {
	if err := s.pool.Ensure(ctx); err != nil {
		return fmt.Errorf("start the pool of hubs: %w", err)
	}
	return nil
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
	open, err := s.holders.IsOpen(ctx, in.Scan)
	if err != nil {
		return CheckScanResult{}, fmt.Errorf("ask for %s: %w", in.Scan.WorkflowID, err)
	}
	return CheckScanResult{Open: open}, nil
}
