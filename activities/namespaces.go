package activities

import (
	"context"

	"github.com/perceptor/perceptor/model"
)

// NamespaceSeen are the counts of one namespace, told by its Inventory to its Cluster.
type NamespaceSeen struct {
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	Pods      int    `json:"pods"`
	// Unscanned is how many pods have an image without a verdict.
	Unscanned int `json:"unscanned"`
	// Violations is how many pods are in violation.
	Violations int `json:"violations"`
	// Refused is how many pods there are beyond what an inventory can hold.
	Refused int           `json:"refused,omitempty"`
	Version model.Version `json:"version"`
	// Snapshot is the version of the last complete snapshot of the namespace.
	Snapshot model.Version `json:"snapshot,omitzero"`
	// Ended says that the inventory is empty and closes.
	Ended bool `json:"ended,omitempty"`
}

// TellCluster tells a cluster the counts of one of its namespaces.
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

// EmptyNamespacesResult names those without an inventory. With Forget these are all: told to end, they are as good as gone.
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
