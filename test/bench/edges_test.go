//go:build bench

package bench_test

import (
	"context"
	"sync"
	"time"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// noPull is a registry whose images are empty.
type noPull struct{}

func (noPull) Pull(_ context.Context, names []model.Name, _ model.Digest, _ string, _ func(done, total int64)) (activities.PulledImage, error) {
	return activities.PulledImage{Name: names[0]}, nil
}

// instantHub is a hub that is done with a scan the moment it is uploaded, and the scan client that uploads to it.
type instantHub struct {
	lock   sync.Mutex
	scans  map[string]model.HubScan
	judged map[string]chan struct{}
}

func newInstantHub() *instantHub {
	return &instantHub{scans: map[string]model.HubScan{}, judged: map[string]chan struct{}{}}
}

// expect returns what is closed when the verdict of the scan of that name is read.
func (h *instantHub) expect(name string) <-chan struct{} {
	h.lock.Lock()
	defer h.lock.Unlock()
	judged := make(chan struct{})
	h.judged[name] = judged
	return judged
}

func (h *instantHub) GenerateSBOM(context.Context, string, string, string, model.HubNames, func(phase string, done, total int64)) (int, error) {
	return 1, nil
}

func (h *instantHub) Upload(_ context.Context, _ string, _ model.UploadTarget, names model.HubNames, _ model.AttemptID, _ func(phase string, done, total int64)) (string, error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	now := time.Now()
	h.scans[names.Scan] = model.HubScan{Name: names.Scan, State: model.HubScanComplete, ScanID: names.Scan, StartedAt: now, UpdatedAt: now}
	return names.Scan, nil
}

func (h *instantHub) FindScan(_ context.Context, name string) (model.HubScan, error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if scan, ok := h.scans[name]; ok {
		return scan, nil
	}
	return model.HubScan{Name: name, State: model.HubScanAbsent}, nil
}

func (h *instantHub) ScanState(ctx context.Context, scan model.HubScan) (model.HubScan, error) {
	return h.FindScan(ctx, scan.Name)
}

func (h *instantHub) Verdict(_ context.Context, scan model.HubScan) (model.Verdict, error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if judged, ok := h.judged[scan.Name]; ok {
		close(judged)
		delete(h.judged, scan.Name)
	}
	return model.Verdict{OverallStatus: model.NotInViolation, Components: 1, JudgedAt: scan.UpdatedAt}, nil
}

func (h *instantHub) Findings(context.Context, string, int, int) (model.FindingsPage, error) {
	return model.FindingsPage{}, nil
}

func (h *instantHub) Ready(context.Context) error { return nil }

func (h *instantHub) UploadTarget(context.Context) (model.UploadTarget, error) {
	return model.UploadTarget{Hub: "instant"}, nil
}

func (h *instantHub) Changes(_ context.Context, _, until time.Time) ([]model.HubChange, time.Time, error) {
	return nil, until, nil
}

func (h *instantHub) Identity(context.Context) (model.HubIdentity, error) {
	return model.HubIdentity{}, nil
}

func (h *instantHub) DigestsOf(context.Context, string) ([]model.Digest, error) { return nil, nil }
