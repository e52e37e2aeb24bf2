package activities

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/activity"
)

// Holder is a ScanImage as the pool of hubs knows it.
type Holder struct {
	WorkflowID string `json:"workflowID"`
	// Chain is the first run id of its chain of runs.
	Chain string `json:"chain"`
}

// Holders finds out which scans are open.
type Holders interface {
	// IsOpen reports whether the chain is still running under that workflow id.
	IsOpen(ctx context.Context, h Holder) (bool, error)
	// ListOpen lists every ScanImage that is open.
	ListOpen(ctx context.Context) ([]Holder, error)
}

// Queues are the task queues of the hubs, as the server keeps them.
type Queues interface {
	// StopHubQueue lets the server hand out nothing from a hub's queue, until OpenHubQueue. A rate set by hand stays as it is.
	StopHubQueue(ctx context.Context, namespace, hub string) error
	// OpenHubQueue ends what StopHubQueue began, and nothing else.
	OpenHubQueue(ctx context.Context, namespace, hub string) error
}

// PoolSteps are the steps of HubPool on the workflow queue.
type PoolSteps struct {
	holders Holders
	queues  Queues
	scans   Scans
}

// NewPoolSteps asks h about holders, stops and opens the hubs' queues through q, and sends signals to scans through s.
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

// SwitchQueueInput says whether steps for a hub may start.
type SwitchQueueInput struct {
	Hub  string `json:"hub"`
	Open bool   `json:"open"`
}

// SwitchQueue stops or opens a hub's queue: steps that are under way or due for another try then wait at the server,
// and no longer call a hub that is down.
func (s *PoolSteps) SwitchQueue(ctx context.Context, in SwitchQueueInput) error {
	namespace := activity.GetInfo(ctx).Namespace
	if in.Open {
		return asApplicationError(s.queues.OpenHubQueue(ctx, namespace, in.Hub))
	}
	return asApplicationError(s.queues.StopHubQueue(ctx, namespace, in.Hub))
}
