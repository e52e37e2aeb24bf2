package workflows

import (
	"time"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// PodsChanged is what changed in one namespace. Applied twice, late or out of order it changes nothing.
type PodsChanged struct {
	Cluster   string        `json:"cluster"`
	Namespace string        `json:"namespace"`
	Version   model.Version `json:"version"`
	Pods      []model.Pod   `json:"pods,omitempty"`
	// Gone leaves tombstones until the next snapshot, so that a late report brings no pod back.
	Gone []model.PodKey `json:"gone,omitempty"`
	// WriteBack says that a perceiver serves PerceiverQueue of the cluster.
	WriteBack bool `json:"writeBack,omitempty"`
	// Domain is the set of scanners that reach the cluster's registries; empty means DefaultDomain.
	Domain string `json:"domain,omitempty"`
}

// SnapshotPart is one of Parts parts of all pods of a namespace, counted from 1. Parts 0 is an empty namespace.
type SnapshotPart struct {
	PodsChanged
	Part  int `json:"part"`
	Parts int `json:"parts"`
	// Forget says that an operator has forgotten the cluster: the inventory ends, whatever is in it.
	Forget bool `json:"forget,omitempty"`
}

// JoinQuery asks for rows; empty fields do not narrow them.
type JoinQuery struct {
	Status        model.ScanStatus    `json:"status,omitempty"`
	OverallStatus model.OverallStatus `json:"overallStatus,omitempty"`
	// Image is a part of a container's reference, or a digest.
	Image string `json:"image,omitempty"`
	// UIDs are the pods asked for.
	UIDs []string `json:"uids,omitempty"`
	// After is the last row of the page before, as JoinPage.Next gave it.
	After string `json:"after,omitempty"`
	// Limit is how many rows to answer at the most; 0 means as many as fit into an answer.
	Limit int `json:"limit,omitempty"`
}

// JoinPage is the answer, in the order of names and UIDs.
type JoinPage struct {
	Rows []model.PodVerdict `json:"rows"`
	// Next is the After of the next page; empty when this is the last.
	Next string `json:"next,omitempty"`
	// Refused is how many pods the namespace has beyond what an inventory can hold: they are in no row.
	Refused int `json:"refused,omitempty"`
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
}
