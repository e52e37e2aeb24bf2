package api

import (
	"cmp"
	"slices"

	"github.com/perceptor/perceptor/model"
)

// queue lists the images that wait for their scan. The real backlog has an order of its own, shared out among namespaces.
func (m *coreModel) queue() {
	for sha, each := range m.Images {
		if each.ScanStatus == string(model.StatusInQueue) {
			m.ImageScanQueue = append(m.ImageScanQueue, modelQueued{Key: sha})
		}
	}
	slices.SortFunc(m.ImageScanQueue, func(a, b modelQueued) int { return cmp.Compare(a.Key, b.Key) })
}

func (m *coreModel) oldQueue() []oldImageKey {
	queue := make([]oldImageKey, len(m.ImageScanQueue))
	for i, each := range m.ImageScanQueue {
		queue[i] = oldImageKey{Name: m.Images[each.Key].RepoTags[0].Repository, Sha: each.Key}
	}
	return queue
}

// modelHubOf shows a hub in the original's words: a breaker that lets nothing through was called disabled.
func modelHubOf(h Hub) modelHub {
	shown := modelHub{Host: h.Name, Status: "up", Errors: []string{}, ConcurrentScanLimit: h.Limit, InProgress: h.InUse, CircuitBreaker: modelBreaker{State: "enabled"}}
	if !h.TrippedSince.IsZero() {
		shown.Status, shown.Errors = "down", []string{h.Reason}
		shown.CircuitBreaker = modelBreaker{State: "disabled", NextCheckTime: &h.NextProbe}
	}
	return shown
}
