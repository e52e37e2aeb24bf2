package workflows

import (
	"time"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/model"
)

// ClusterInput starts a Cluster, or carries it into its next run.
type ClusterInput struct {
	Cluster string                         `json:"cluster"`
	State   inventory.Packed[ClusterState] `json:"state,omitzero"`
}

// ClusterState is all a Cluster knows; it goes with it into its next run.
type ClusterState struct {
	Namespaces map[string]*ClusterNamespace `json:"namespaces,omitempty"`
	// Pods and Images are the versions of the last complete snapshots of either kind; SnapshotAt is when the newer one came.
	Pods       model.Version `json:"pods,omitzero"`
	Images     model.Version `json:"images,omitzero"`
	SnapshotAt time.Time     `json:"snapshotAt,omitzero"`
	// Seen is when anything was last heard.
	Seen time.Time `json:"seen,omitzero"`
	// Settings are those of the newest snapshot.
	Settings inventory.Settings `json:"settings,omitzero"`
	// Forget is set while everything is being forgotten.
	Forget bool `json:"forget,omitempty"`
	// Rejected counts the messages that failed their checks and were dropped.
	Rejected model.Rejections `json:"rejected,omitzero"`
}

// ClusterNamespace is what a Cluster knows of a namespace.
type ClusterNamespace struct {
	Seen NamespaceSeen `json:"seen"`
	// Named says that the last snapshot named it.
	Named bool `json:"named,omitempty"`
	// Empty says that it is to be emptied: the last snapshot did not name it.
	Empty bool `json:"empty,omitempty"`
}

// NamespaceSeen are the counts of one namespace.
type NamespaceSeen = activities.NamespaceSeen

// SnapshotEnd names what a snapshot holds: the number of pods in each namespace.
type SnapshotEnd struct {
	Cluster    string         `json:"cluster"`
	Version    model.Version  `json:"version"`
	Namespaces map[string]int `json:"namespaces"`
	// Covers narrows it: namespaces of the other kind are left as they are.
	Scope     model.SnapshotScope `json:"scope,omitempty"`
	WriteBack bool                `json:"writeBack,omitempty"`
	Domain    string              `json:"domain,omitempty"`
}

// ForgetCluster is said by an operator.
type ForgetCluster struct {
	Version model.Version `json:"version"`
}

// ClusterQuery asks for the namespaces after one, in the order of their names; empty asks from the first.
type ClusterQuery struct {
	After string `json:"after,omitempty"`
}

// ClusterView is what a Cluster answers to QueryStatus.
type ClusterView struct {
	Cluster    string          `json:"cluster"`
	Namespaces []NamespaceSeen `json:"namespaces"`
	// Next is the After of the next page; empty when this is the last.
	Next string `json:"next,omitempty"`
	// Snapshot is the version of the last complete snapshot.
	Snapshot model.Version `json:"snapshot,omitzero"`
	// SnapshotAt and Seen are when the last snapshot was complete, and when anything was heard of the cluster.
	SnapshotAt time.Time `json:"snapshotAt,omitzero"`
	Seen       time.Time `json:"seen,omitzero"`
	WriteBack  bool      `json:"writeBack,omitempty"`
	Domain     string    `json:"domain,omitempty"`
	// Rejected counts the messages to the cluster that failed their checks and were dropped.
	Rejected model.Rejections `json:"rejected,omitzero"`
}
