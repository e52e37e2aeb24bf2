package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/perceptor/perceptor/model"
)

// Inventories reaches the workflows around the join: inventories, clusters and images.
type Inventories interface {
	// ObserveImage notifies an image that a namespace runs it; its workflow is started when there is none.
	ObserveImage(ctx context.Context, in EnsureImagesInput, e EnsureImage) error
	// CheckImage gives the first run id of an image's workflow, empty when there is none, and reports whether it shows what
	// the inventory knows of it.
	CheckImage(ctx context.Context, known model.Summary) (chain string, same bool, err error)
	// ForgetImage notifies an image that a namespace has stopped running it.
	ForgetImage(ctx context.Context, in EnsureImagesInput, d model.Digest) error
	// NotifyInventory sends an inventory what is known of an image. Open is false when there is no such inventory.
	NotifyInventory(ctx context.Context, inventory string, s model.Summary) (open bool, err error)
	// NotifyCluster sends a cluster the counts of a namespace; its workflow is started unless the namespace ended.
	NotifyCluster(ctx context.Context, s NamespaceSeen) error
	// EmptyNamespace notifies an inventory that nothing older than a version is left in its namespace, or asks it to end. Open is
	// false when there is no such inventory.
	EmptyNamespace(ctx context.Context, cluster string, n EmptyNamespace, forget bool) (open bool, err error)
}

// InventorySteps are the light steps of Inventory, Cluster and Image around the join.
type InventorySteps struct {
	inventories Inventories
}

// NewInventorySteps speaks to the workflows through i.
func NewInventorySteps(i Inventories) *InventorySteps { return &InventorySteps{inventories: i} }

// EnsureImagesInput names the images that a namespace runs or has stopped running. Their workflows are to be notified.
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
	// Check says that the image was notified before. It is notified again only if its workflow is gone, is of another chain
	// than Chain, or shows something else than Known.
	Check bool   `json:"check,omitempty"`
	Chain string `json:"chain,omitempty"`
}

// EnsureImagesResult names the images that could not be notified, each with the reason. All others were notified.
type EnsureImagesResult struct {
	Failed map[model.Digest]string `json:"failed,omitempty"`
	// Chains are the first run ids of the images that were found as they should be.
	Chains map[model.Digest]string `json:"chains,omitempty"`
}

// tellAtOnce is how many workflows one step speaks to at a time.
const notifyAtOnce = 8

// EnsureImages notifies the workflows of images that a namespace runs them, or has stopped running them.
func (s *InventorySteps) EnsureImages(ctx context.Context, in EnsureImagesInput) (EnsureImagesResult, error) {
	result := EnsureImagesResult{Failed: map[model.Digest]string{}, Chains: map[model.Digest]string{}}
	beat := startHeartbeat(ctx, Progress{Phase: "notify images"})
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
	forEach(in.Images, func(e EnsureImage) {
		chain, err := s.ensure(ctx, in, e)
		note(e.Known.Digest, chain, err)
	})
	forEach(in.Forget, func(d model.Digest) { note(d, "", s.inventories.ForgetImage(ctx, in, d)) })
	if len(result.Failed) > 0 {
		activity.GetLogger(ctx).Warn("images could not be notified", "count", len(result.Failed))
	}
	return result, ctx.Err()
}

// ensure notifies an image. One that is to be checked and is as it should be is not notified: its first run ID is the answer.
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
func forEach[T any](things []T, do func(T)) {
	var wait sync.WaitGroup
	slots := make(chan struct{}, notifyAtOnce)
	for _, thing := range things {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			do(thing)
		})
	}
	wait.Wait()
}

// PublishSummaryInput is what is known of an image, and the IDs of the inventories to notify.
type PublishSummaryInput struct {
	Summary model.Summary `json:"summary"`
	To      []string      `json:"to"`
}

// PublishSummaryResult names the inventories that have closed, and those that could not be notified.
type PublishSummaryResult struct {
	Closed []string `json:"closed,omitempty"`
	Failed []string `json:"failed,omitempty"`
}

// PublishSummary sends inventories what is known of an image.
func (s *InventorySteps) PublishSummary(ctx context.Context, in PublishSummaryInput) (PublishSummaryResult, error) {
	var result PublishSummaryResult
	var lock sync.Mutex
	forEach(in.To, func(id string) {
		open, err := s.inventories.NotifyInventory(ctx, id, in.Summary)
		lock.Lock()
		defer lock.Unlock()
		switch {
		case err != nil:
			activity.GetLogger(ctx).Warn("inventory could not be notified", "inventory", id, "error", err)
			result.Failed = append(result.Failed, id)
		case !open:
			result.Closed = append(result.Closed, id)
		}
	})
	return result, ctx.Err()
}

// NamespaceSeen are the counts of one namespace, which its Inventory sends to its Cluster.
type NamespaceSeen struct {
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	Pods      int    `json:"pods"`
	// Unscanned is how many pods have an image without a verdict.
	Unscanned int `json:"unscanned"`
	// Violations is how many pods are in violation.
	Violations int `json:"violations"`
	// Unknown is how many pods have the overall status UNKNOWN.
	Unknown int `json:"unknown"`
	// Refused is how many pods there are beyond what an inventory can hold.
	Refused int           `json:"refused,omitempty"`
	Version model.Version `json:"version"`
	// Snapshot is the version of the last complete snapshot of the namespace.
	Snapshot model.Version `json:"snapshot,omitzero"`
	// Ended says that the inventory is empty and closes.
	Ended bool `json:"ended,omitempty"`
}

// Check says what is wrong with the counts of a namespace.
func (n NamespaceSeen) Check(now time.Time) error {
	return errors.Join(
		model.CheckCluster(n.Cluster), model.CheckNamespace(n.Namespace), model.CheckCount("pods", n.Pods), model.CheckCount("unscanned", n.Unscanned),
		model.CheckCount("violations", n.Violations), model.CheckCount("refused", n.Refused), n.Version.Check(now), n.Snapshot.Check(now))
}

// NotifyCluster sends a cluster the counts of one of its namespaces.
func (s *InventorySteps) NotifyCluster(ctx context.Context, seen NamespaceSeen) error {
	return asApplicationError(s.inventories.NotifyCluster(ctx, seen))
}

// EmptyNamespace is a namespace that a snapshot of this version did not name.
type EmptyNamespace struct {
	Name    string        `json:"name"`
	Version model.Version `json:"version"`
}

// EmptyNamespacesInput are namespaces to be emptied.
type EmptyNamespacesInput struct {
	Cluster    string           `json:"cluster"`
	Namespaces []EmptyNamespace `json:"namespaces"`
	// Forget ends their inventories, whatever is in them.
	Forget bool `json:"forget,omitempty"`
}

// EmptyNamespacesResult names those without an inventory. With Forget these are all: each has been asked to end.
type EmptyNamespacesResult struct {
	Closed []string `json:"closed,omitempty"`
}

// EmptyNamespaces notifies inventories that their namespaces are gone.
func (s *InventorySteps) EmptyNamespaces(ctx context.Context, in EmptyNamespacesInput) (EmptyNamespacesResult, error) {
	var result EmptyNamespacesResult
	for _, n := range in.Namespaces {
		open, err := s.inventories.EmptyNamespace(ctx, in.Cluster, n, in.Forget)
		if err != nil {
			return result, asApplicationError(err)
		}
		if !open || in.Forget {
			result.Closed = append(result.Closed, n.Name)
		}
	}
	return result, nil
}
