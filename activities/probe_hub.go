package activities

import (
	"context"

	"github.com/perceptor/perceptor/model"
)

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
	beat := startHeartbeat(ctx, askingHub(in.Hub))
	defer beat.end()
	scan, err := h.FindScan(ctx, in.Name)
	if err != nil {
		return CheckHubScanResult{Trouble: troubleOf(err)}, nil
	}
	return CheckHubScanResult{Scan: scan}, nil
}
