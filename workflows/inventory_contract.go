package workflows

import (
	"time"

	"github.com/perceptor/perceptor/internal/inventory"
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
	// Remark are pods whose marks someone else has changed: their verdicts are written again.
	Remark []model.PodKey `json:"remark,omitempty"`
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
	// Workload is a workload's name, or its kind and name such as "deployment/web".
	Workload string `json:"workload,omitempty"`
	// Labels are labels that pods must have with these values.
	Labels map[string]string `json:"labels,omitempty"`
	// UIDs are the pods asked for.
	UIDs []string `json:"uids,omitempty"`
	// Now is the time at which the rows are seen: a green status whose data have expired by then is UNKNOWN. Zero shows what
	// is stored.
	Now time.Time `json:"now,omitzero"`
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

// InventoryInput starts an Inventory, or carries it into its next run.
type InventoryInput struct {
	Cluster   string          `json:"cluster"`
	Namespace string          `json:"namespace"`
	State     *InventoryState `json:"state,omitempty"`
}

// InventoryState is all an Inventory knows; it goes with it into its next run.
type InventoryState struct {
	Book inventory.Packed[inventory.Book] `json:"book"`
	// Idle is when the namespace became empty; zero while it is not.
	Idle time.Time `json:"idle,omitzero"`
	// Forgotten is set when an operator has forgotten the cluster.
	Forgotten bool `json:"forgotten,omitempty"`
	// LastReported is what the cluster was last sent, at LastReportedAt.
	LastReported   NamespaceSeen `json:"lastReported,omitzero"`
	LastReportedAt time.Time     `json:"lastReportedAt,omitzero"`
	// Checked is when all images were last checked, and Glanced when at least those without a verdict were. EnsureAfter is when
	// images are notified again after a failure.
	Checked     time.Time `json:"checked,omitzero"`
	Glanced     time.Time `json:"glanced,omitzero"`
	EnsureAfter time.Time `json:"ensureAfter,omitzero"`
	// WriteAfter is when anything is written again after a step that failed, and RewriteAt when what could not be written is
	// tried again; WriteFailures counts failures in a row, and WriteFailure is the last.
	WriteAfter    time.Time `json:"writeAfter,omitzero"`
	RewriteAt     time.Time `json:"rewriteAt,omitzero"`
	WriteFailures int       `json:"writeFailures,omitempty"`
	// ExpireAfter is when pods whose green verdicts have ended are marked again: not all at one time.
	ExpireAfter  time.Time      `json:"expireAfter,omitzero"`
	WriteFailure *model.Failure `json:"writeFailure,omitempty"`
	// Rejected counts the messages that failed their checks and were dropped.
	Rejected model.Rejections `json:"rejected,omitzero"`
}

// InventoryView is what an Inventory answers to QueryStatus.
type InventoryView struct {
	NamespaceSeen
	// Images is how many images the namespace runs.
	Images int `json:"images"`
	// WriteBack says that verdicts are written onto the pods; Unwritten is how many pods wait for that.
	WriteBack bool `json:"writeBack,omitempty"`
	Unwritten int  `json:"unwritten,omitempty"`
	// WriteFailure is why the last write did not succeed, and when it is tried again.
	WriteFailure *model.Failure `json:"writeFailure,omitempty"`
	// Domain is the set of scanners that reach the registries.
	Domain string `json:"domain"`
	// Rejected counts the messages to the inventory that failed their checks and were dropped.
	Rejected model.Rejections `json:"rejected,omitzero"`
}

// AfterRow is the After of a page that goes on behind a row.
func AfterRow(row model.PodVerdict) string { return inventory.AfterRow(row) }
