package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/perceptor/perceptor/model"
)

// HubsHere are the hubs that the process of the workflows may ask itself.
type HubsHere interface {
	// HubHere gives a hub and the function that ends its use. It gives none where this process does not serve the queue of the hub,
	// and while as many of its workflows ask the hub as may at a time.
	HubHere(name string) (hub Hub, done func(), ok bool)
}

// LookUpHereResult is what the hub knows, if it was asked.
type LookUpHereResult struct {
	Asked bool          `json:"asked,omitempty"`
	Scan  model.HubScan `json:"scan"`
}

// lookUpHereWithin bounds a local look-up: a workflow task is open meanwhile.
const lookUpHereWithin = 3 * time.Second

// LookUpHere asks a hub from the process of the workflow, where that may be: as a local step it costs one event, and LookUpScan six.
// The rate of the hub is held by its driver, which all steps of the process share. A hub that does not answer at once is not asked
// here: LookUpScan then waits for its turn, tries again, and finds out what is wrong.
func (s *ScanSteps) LookUpHere(ctx context.Context, in LookUpScanInput) (LookUpHereResult, error) {
	if s.hubs == nil {
		return LookUpHereResult{}, nil
	}
	h, done, ok := s.hubs.HubHere(in.Hub)
	if !ok {
		return LookUpHereResult{}, nil
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, lookUpHereWithin)
	defer cancel()
	scan, err := h.FindScan(ctx, in.Name)
	if err != nil {
		activity.GetLogger(ctx).Info("hub did not answer at once; the question is queued", "hub", in.Hub, "error", err)
		return LookUpHereResult{}, nil
	}
	return LookUpHereResult{Asked: true, Scan: scan}, nil
}
