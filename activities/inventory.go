package activities

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/perceptor/perceptor/model"
)

// Inventories reaches the workflows around the join: inventories, clusters and images.
type Inventories interface {
	// ObserveImage tells an image that a namespace runs it; its workflow is started when there is none.
	ObserveImage(ctx context.Context, in EnsureImagesInput, e EnsureImage) error
	// CheckImage gives the first run id of an image's workflow, empty when there is none, and reports whether it shows what
	// the inventory knows of it.
	CheckImage(ctx context.Context, known model.Summary) (chain string, same bool, err error)
	// ForgetImage tells an image that a namespace does not run it any more.
	ForgetImage(ctx context.Context, in EnsureImagesInput, d model.Digest) error
	// TellSummary tells an inventory what is known of an image. Open is false when there is no such inventory.
	NotifyInventory(ctx context.Context, inventory string, s model.Summary) (open bool, err error)
	// TellCluster tells a cluster the counts of a namespace; its workflow is started unless the namespace ended.
	NotifyCluster(ctx context.Context, s NamespaceSeen) error
	// EmptyNamespace tells an inventory that nothing older than a version is left in its namespace, or to end. Open is
	// false when there is no such inventory.
	EmptyNamespace(ctx context.Context, cluster string, n EmptyNamespace, forget bool) (open bool, err error)
}

// InventorySteps are the light steps of Inventory, Cluster and Image around the join.
type InventorySteps struct {
	inventories Inventories
}

// NewInventorySteps speaks to the workflows through i.
func NewInventorySteps(i Inventories) *InventorySteps { return &InventorySteps{inventories: i} }

// EnsureImagesInput are the images of a namespace whose workflows are to know that it runs them, or does no more.
type EnsureImagesInput struct {
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	// Version orders what this namespace says to an image; Until is when its reference ends unless it is repeated.
	Version model.Version `json:"version"`
	Until   time.Time     `json:"until"`
	// Class and Domain are those of a scan, should one be needed.
	Priority string `json:"priority"`
	Domain   string `json:"domain"`

	Images []EnsureImage  `json:"images,omitempty"`
	Forget []model.Digest `json:"forget,omitempty"`
}

// EnsureImage is one image of a namespace.
type EnsureImage struct {
	Names    []model.Name    `json:"names"`
	Platform model.Platform  `json:"platform,omitzero"`
	HubNames *model.HubNames `json:"hubNames,omitempty"`
	// Known is what the namespace knows of it; its digest names the image.
	Known model.Summary `json:"known"`
	// Check says that the image need only be told if it is gone, is another than the Chain that was told, or shows something
	// else than what is known.
	Check bool   `json:"check,omitempty"`
	Chain string `json:"chain,omitempty"`
}

// EnsureImagesResult names the images that could not be told, each with why; the others were.
type EnsureImagesResult struct {
	Failed map[model.Digest]string `json:"failed,omitempty"`
	// Chains are the first run ids of the images that were found as they should be.
	Chains map[model.Digest]string `json:"chains,omitempty"`
}

// tellAtOnce is how many workflows one step speaks to at a time.
const tellAtOnce = 8

// EnsureImages tells the workflows of images that a namespace runs them, and others that it does no more.
func (s *InventorySteps) EnsureImages(ctx context.Context, in EnsureImagesInput) (EnsureImagesResult, error) {
	result := EnsureImagesResult{Failed: map[model.Digest]string{}, Chains: map[model.Digest]string{}}
	beat := startPulse(ctx, Progress{Phase: "tell images"})
	defer beat.end()
	var lock sync.Mutex
	note := func(d model.Digest, chain string, err error) {
		lock.Lock()
		defer lock.Unlock()
		switch {
		case err != nil:
			result.Failed[d] = err.Error()
		case chain != "":
			result.Chains[d] = chain
		}
	}
	each(in.Images, func(e EnsureImage) {
		chain, err := s.ensure(ctx, in, e)
		note(e.Known.Digest, chain, err)
	})
	each(in.Forget, func(d model.Digest) { note(d, "", s.inventories.ForgetImage(ctx, in, d)) })
	if len(result.Failed) > 0 {
		activity.GetLogger(ctx).Warn("images not told", "count", len(result.Failed))
	}
	return result, ctx.Err()
}

// ensure tells an image, unless it is to be checked and is as it should be: then it gives its first run id.
func (s *InventorySteps) ensure(ctx context.Context, in EnsureImagesInput, e EnsureImage) (string, error) {
	if e.Check {
		chain, same, err := s.inventories.CheckImage(ctx, e.Known)
		if err != nil {
			return "", err
		}
		if same && (e.Chain == "" || e.Chain == chain) {
			return chain, nil
		}
	}
	return "", s.inventories.ObserveImage(ctx, in, e)
}

// each does something for several things, a few at a time.
func each[T any](things []T, do func(T)) {
	var wait sync.WaitGroup
	places := make(chan struct{}, tellAtOnce)
	for _, thing := range things {
		places <- struct{}{}
		wait.Go(func() {
			defer func() { <-places }()
			do(thing)
		})
	}
	wait.Wait()
}

// PublishSummaryInput is what is known of an image, and the ids of the inventories to be told.
type PublishSummaryInput struct {
	Summary model.Summary `json:"summary"`
	To      []string      `json:"to"`
}

// PublishSummaryResult names the inventories that are not there any more, and those that could not be told.
type PublishSummaryResult struct {
	Closed []string `json:"closed,omitempty"`
	Failed []string `json:"failed,omitempty"`
}

// PublishSummary tells inventories what is known of an image.
func (s *InventorySteps) PublishSummary(ctx context.Context, in PublishSummaryInput) (PublishSummaryResult, error) {
	var result PublishSummaryResult
	var lock sync.Mutex
	each(in.To, func(id string) {
		open, err := s.inventories.NotifyInventory(ctx, id, in.Summary)
		lock.Lock()
		defer lock.Unlock()
		switch {
		case err != nil:
			activity.GetLogger(ctx).Warn("summary not told", "inventory", id, "error", err)
			result.Failed = append(result.Failed, id)
		case !open:
			result.Closed = append(result.Closed, id)
		}
	})
	return result, ctx.Err()
}
