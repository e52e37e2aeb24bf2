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
	// Identity tells this cluster from others, such as the UID of its namespace kube-system; empty until a perceiver gave it.
	Identity string `json:"identity,omitempty"`
	// Conflict is the other cluster whose perceiver was refused last; nil when there is none.
	Conflict *ClusterConflict `json:"conflict,omitempty"`
	// Epoch is the newest one that was given to a perceiver.
	Epoch int64 `json:"epoch,omitempty"`
	// Health is what the perceiver said last of its own work, at HealthAt.
	Health   model.PerceiverHealth `json:"health,omitzero"`
	HealthAt time.Time             `json:"healthAt,omitzero"`
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

// ClusterConflict is a second cluster that uses the name of this one.
type ClusterConflict struct {
	// Identity is that of the other cluster; empty where its perceiver could not read it.
	Identity string `json:"identity"`
	// Since and Last are when its perceiver was refused first and last; Count is how often.
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
	Count int       `json:"count"`
}

// The updates that a Cluster takes, and the type of the error by which it refuses another cluster.
const (
	// UpdateBegin registers a perceiver that begins to report, with a BeginCluster. The answer is a BegunCluster.
	UpdateBegin = "begin"
	// UpdateAdopt lets another cluster have the name, with an AdoptCluster. The answer is a ClusterView without namespaces.
	UpdateAdopt = "adopt"
	// ErrorOtherCluster is the type of the error for a perceiver of another cluster.
	ErrorOtherCluster = "other-cluster"
)

// BeginCluster is said by a perceiver before it reports.
type BeginCluster struct {
	// Identity tells its cluster from others; empty where the perceiver cannot read it.
	Identity string `json:"identity,omitempty"`
	// Epoch is the one with which the perceiver reports already; 0 when it begins.
	Epoch int64 `json:"epoch,omitempty"`
}

// BegunCluster is the answer to BeginCluster.
type BegunCluster struct {
	// Epoch is newer than every one that was given before, whatever the clocks say. It is the perceiver's own while nothing newer
	// was reported.
	Epoch int64 `json:"epoch"`
}

// AdoptCluster is said by an operator.
type AdoptCluster struct {
	// Identity is that of the cluster that gets the name; empty means the one that was refused last.
	Identity string `json:"identity,omitempty"`
}

// ResetVersion is said by an operator to a Cluster and to its inventories.
type ResetVersion struct{}

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
	// Identity, Conflict, Health and HealthAt are those of ClusterState.
	Identity string                `json:"identity,omitempty"`
	Conflict *ClusterConflict      `json:"conflict,omitempty"`
	Health   model.PerceiverHealth `json:"health,omitzero"`
	HealthAt time.Time             `json:"healthAt,omitzero"`
}
