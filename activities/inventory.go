package activities

import (
	"context"

	"github.com/perceptor/perceptor/internal/image"
)

// Inventories reaches the workflows around the join.
type Inventories interface {
	// EmptyNamespace tells an inventory that nothing older than a version is left in its namespace. Open is false when
	// there is no such inventory.
	EmptyNamespace(ctx context.Context, cluster string, n EmptyNamespace, forget bool) (open bool, err error)
}

// InventorySteps are the light steps of Inventory, Cluster and Image around the join.
type InventorySteps struct {
	inventories Inventories
}

// NewInventorySteps speaks to the workflows through i.
func NewInventorySteps(i Inventories) *InventorySteps { return &InventorySteps{inventories: i} }

// EmptyNamespace is a namespace that a snapshot of this version did not name.
type EmptyNamespace struct {
	Name    string        `json:"name"`
	Version image.Version `json:"version"`
}

// EmptyNamespacesInput are namespaces to be emptied.
type EmptyNamespacesInput struct {
	Cluster    string           `json:"cluster"`
	Namespaces []EmptyNamespace `json:"namespaces"`
	// Forget ends their inventories, whatever is in them.
	Forget bool `json:"forget,omitempty"`
}

// EmptyNamespacesResult names those without an inventory. With Forget these are all: told to end, they are gone.
type EmptyNamespacesResult struct {
	Closed []string `json:"closed,omitempty"`
}

// EmptyNamespaces tells inventories that their namespaces are gone.
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
