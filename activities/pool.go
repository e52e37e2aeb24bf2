package activities

import (
	"context"
	"fmt"

	"github.com/perceptor/perceptor/model"
)

// Holder is a ScanImage as the pool of hubs knows it.
type Holder struct {
	WorkflowID string `json:"workflowID"`
	// Chain is the first run id of its chain of runs.
	Chain string `json:"chain"`
}

// Holders tells which scans are open.
type Holders interface {
	// IsOpen reports whether the chain is still running under that workflow id.
	IsOpen(ctx context.Context, h Holder) (bool, error)
	// ListOpen lists every ScanImage that is open.
	ListOpen(ctx context.Context) ([]Holder, error)
}

// PoolSteps are the steps of HubPool on the workflow queue.
type PoolSteps struct {
	holders Holders
	queues  Queues
	scans   Scans
}

// NewPoolSteps asks h about holders, stops and opens the hubs' queues through q, and speaks to scans through s.
func NewPoolSteps(h Holders, q Queues, s Scans) *PoolSteps {
	return &PoolSteps{holders: h, queues: q, scans: s}
}

// CheckHoldersInput names the holders to ask about.
type CheckHoldersInput struct {
	Holders []Holder `json:"holders"`
}

// CheckHoldersResult names the holders that have closed.
type CheckHoldersResult struct {
	Closed []Holder `json:"closed"`
}

// CheckHolders finds the holders that are closed.
func (s *PoolSteps) CheckHolders(ctx context.Context, in CheckHoldersInput) (CheckHoldersResult, error) {
	var result CheckHoldersResult
	for _, h := range in.Holders {
		open, err := s.holders.IsOpen(ctx, h)
		if err != nil {
			return result, fmt.Errorf("ask for %s: %w", h.WorkflowID, err)
		}
		if !open {
			result.Closed = append(result.Closed, h)
		}
	}
	return result, nil
}

// ListHoldersResult lists the open scans.
type ListHoldersResult struct {
	Holders []Holder `json:"holders"`
}

// ListHolders lists every open scan, for a pool that lost its state.
func (s *PoolSteps) ListHolders(ctx context.Context) (ListHoldersResult, error) {
	holders, err := s.holders.ListOpen(ctx)
	if err != nil {
		return ListHoldersResult{}, fmt.Errorf("list open scans: %w", err)
	}
	return ListHoldersResult{Holders: holders}, nil
}

// ProbeHubInput names the hub to probe.
type ProbeHubInput struct {
	Hub string `json:"hub"`
}

// ProbeHubResult says whether the hub works; Trouble is nil when it does.
type ProbeHubResult struct {
	Trouble *HubTrouble `json:"trouble,omitempty"`
}

// ProbeHub makes the one cheap call that shows whether a closed hub works again. It runs on the hub's control queue.
func (s *HubSteps) ProbeHub(ctx context.Context, in ProbeHubInput) (ProbeHubResult, error) {
	h, err := s.hub(in.Hub)
	if err != nil {
		return ProbeHubResult{}, asApplicationError(err)
	}
	if err := h.Ready(ctx); err != nil {
		return ProbeHubResult{Trouble: troubleOf(err)}, nil
	}
	return ProbeHubResult{}, nil
}

// CheckHubScanInput names a scan at a hub.
type CheckHubScanInput struct {
	Hub  string `json:"hub"`
	Name string `json:"name"`
}

// CheckHubScanResult is what the hub knows, or why it could not say.
type CheckHubScanResult struct {
	Scan    model.HubScan `json:"scan"`
	Trouble *HubTrouble   `json:"trouble,omitempty"`
}

// CheckHubScan asks a hub whether it is done with a scan whose holder is gone.
func (s *HubSteps) CheckHubScan(ctx context.Context, in CheckHubScanInput) (CheckHubScanResult, error) {
	h, err := s.hub(in.Hub)
	if err != nil {
		return CheckHubScanResult{}, asApplicationError(err)
	}
	beat := startPulse(ctx, asking(in.Hub))
	defer beat.end()
	scan, err := h.FindScan(ctx, in.Name)
	if err != nil {
		return CheckHubScanResult{Trouble: troubleOf(err)}, nil
	}
	return CheckHubScanResult{Scan: scan}, nil
}

// troubleOf carries an edge's error as a result.
func troubleOf(err error) *HubTrouble {
	class, after := ClassOf(err)
	return &HubTrouble{Class: class, Reason: err.Error(), RetryAfter: after}
}
