//go:build bench

package main_test

import (
	"context"
	"sync"
	"time"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/image"
)

// noPull is a registry whose images are empty.
type noPull struct{}

func (noPull) Pull(_ context.Context, names []image.Name, _ image.Digest, _ string, _ func(done, total int64)) (activities.PulledImage, error) {
	return activities.PulledImage{Name: names[0]}, nil
}

// instantHub is a hub that is done with a scan the moment it is uploaded, and the scan client that uploads to it.
type instantHub struct {
	lock   sync.Mutex
	scans  map[string]image.HubScan
	judged map[string]chan struct{}
}

func newInstantHub() *instantHub {
	return &instantHub{scans: map[string]image.HubScan{}, judged: map[string]chan struct{}{}}
}

// expect returns what is closed when the verdict of the scan of that name is read.
func (h *instantHub) expect(name string) <-chan struct{} {
	h.lock.Lock()
	defer h.lock.Unlock()
	judged := make(chan struct{})
	h.judged[name] = judged
	return judged
}

func (h *instantHub) List(context.Context, string, string, string, image.HubNames, func(phase string, done, total int64)) (int, error) {
	return 1, nil
}

func (h *instantHub) Upload(_ context.Context, _ string, _ image.UploadTarget, names image.HubNames, _ image.AttemptID, _ func(phase string, done, total int64)) (string, error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	now := time.Now()
	h.scans[names.Scan] = image.HubScan{Name: names.Scan, State: image.HubScanComplete, ScanID: names.Scan, StartedAt: now, UpdatedAt: now}
	return names.Scan, nil
}

func (h *instantHub) FindScan(_ context.Context, name string) (image.HubScan, error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if scan, ok := h.scans[name]; ok {
		return scan, nil
	}
	return image.HubScan{Name: name, State: image.HubScanAbsent}, nil
}

func (h *instantHub) ScanState(ctx context.Context, scan image.HubScan) (image.HubScan, error) {
	return h.FindScan(ctx, scan.Name)
}

func (h *instantHub) Verdict(_ context.Context, scan image.HubScan) (image.Verdict, error) {
	h.lock.Lock()
	defer h.lock.Unlock()
	if judged, ok := h.judged[scan.Name]; ok {
		close(judged)
		delete(h.judged, scan.Name)
	}
	return image.Verdict{OverallStatus: image.NotInViolation, Components: 1, JudgedAt: scan.UpdatedAt}, nil
}

func (h *instantHub) Findings(context.Context, string, int, int) (image.FindingsPage, error) {
	return image.FindingsPage{}, nil
}

func (h *instantHub) Ready(context.Context) error { return nil }

func (h *instantHub) UploadTarget(context.Context) (image.UploadTarget, error) {
	return image.UploadTarget{Hub: "instant"}, nil
}

func (h *instantHub) Changes(_ context.Context, _, until time.Time) ([]image.HubChange, time.Time, error) {
	return nil, until, nil
}

func (h *instantHub) DigestsOf(context.Context, string) ([]image.Digest, error) { return nil, nil }
