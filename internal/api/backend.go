package api

import (
	"context"
	"time"

	"github.com/perceptor/perceptor/model"
)

// Backend is what the APIs need from the rest of Perceptor. A method that changes something returns when the change is
// stored, not before. An error that is a Failure may be shown to the client; the text of any other error stays in the log.
type Backend interface {
	Reporter
	Joiner
	Images
	Hubs
	Watcher
	ExternalScanners
	// Ready returns why the backend cannot work at this moment, nil when it can.
	Ready(ctx context.Context) error
}

// Reporter takes the reports of perceivers.
type Reporter interface {
	// Report stores what a perceiver reports. The error is Stale when the cluster has a snapshot that is newer.
	Report(ctx context.Context, r model.PodReport) error
}

// Joiner knows the pods, and the verdicts of their images.
type Joiner interface {
	// Pods returns one page of the join of pods and verdicts.
	Pods(ctx context.Context, q PodQuery) (PodPage, error)
	// Clusters returns every cluster that is known.
	Clusters(ctx context.Context) ([]Cluster, error)
	// Cluster returns one cluster. The error is a Failure of class not-found when no perceiver has reported it.
	Cluster(ctx context.Context, name string) (Cluster, error)
	// ForgetCluster removes a cluster with everything in it.
	ForgetCluster(ctx context.Context, name string) error
}

// PodQuery selects rows of the join. An empty field does not narrow the selection.
type PodQuery struct {
	Cluster, Namespace string
	Status             model.ScanStatus
	OverallStatus      model.OverallStatus
	// Image is a part of a container's reference, or a digest.
	Image string
	// Workload is a workload's name, or its kind and name. Labels are labels that pods must have with these values.
	Workload string
	Labels   map[string]string
	// After is the Next of the previous page.
	After string
	// Limit is the largest number of rows in the page.
	Limit int
}

// PodPage is one page of the join.
type PodPage struct {
	Pods []model.PodVerdict `json:"pods" nullable:"false"`
	// Next asks for the page after this one; it is empty on the last page.
	Next string `json:"next,omitempty" doc:"The cursor of the next page; absent on the last page."`
	// Refused counts the pods that the namespaces of this page have beyond what can be stored. They are in no page.
	Refused int `json:"refused,omitempty" doc:"Pods of these namespaces beyond what can be stored. They are in no page."`
}

// Cluster is what a perceiver has reported of one platform.
type Cluster struct {
	Name       string      `json:"name"`
	Namespaces []Namespace `json:"namespaces" nullable:"false"`
	// Snapshot is when the last complete snapshot was stored.
	Snapshot time.Time `json:"snapshot,omitzero" doc:"When the last complete snapshot was stored; absent when there was none."`
	// Seen is when the last report of the cluster arrived.
	Seen      time.Time `json:"seen,omitzero" doc:"When the last report of the cluster arrived."`
	WriteBack bool      `json:"writeBack" doc:"Whether verdicts are written onto the pods."`
	Domain    string    `json:"domain,omitempty" doc:"The set of scanners that reaches the registries of the cluster."`
	// Troubles is what the perceiver cannot do now.
	Troubles []model.Trouble `json:"troubles,omitempty" doc:"What the perceiver cannot do now, such as write marks or read nodes."`
	// WritesRefused counts writes onto pods that failed since the perceiver began.
	WritesRefused int64 `json:"writesRefused,omitempty" doc:"Writes onto pods that failed since the perceiver began."`
	// Conflict is the identity of another cluster whose perceiver was refused under this name.
	Conflict string `json:"conflict,omitempty" doc:"Identity of another cluster whose perceiver was refused under this name."`
}

// Namespace counts the pods of one namespace.
type Namespace struct {
	Name       string `json:"name"`
	Pods       int    `json:"pods"`
	Unscanned  int    `json:"unscanned" doc:"Pods with an image that has no verdict."`
	Violations int    `json:"violations" doc:"Pods that are in violation."`
	Unknown    int    `json:"unknown" doc:"Pods whose overall status is UNKNOWN."`
	Refused    int    `json:"refused,omitempty" doc:"Pods beyond what can be stored."`
}

// Images knows single images.
type Images interface {
	// Images returns one page of the list of images.
	Images(ctx context.Context, q ImageQuery) (ImagePage, error)
	// Image returns one image. The error is a Failure of class not-found when nothing refers to the image.
	Image(ctx context.Context, d model.Digest) (Image, error)
	// Runs reports whether a cluster runs the image, or has reported it without a pod. An image that is not known runs nowhere.
	Runs(ctx context.Context, cluster string, d model.Digest) (bool, error)
	// Findings reads the findings of one verdict of the image from the hub. An empty hub means the first verdict.
	Findings(ctx context.Context, d model.Digest, hub string) (Findings, error)
	// Scan resolves a reference and scans the image that it names.
	Scan(ctx context.Context, r ScanRequest) (ScanAccepted, error)
	// Rescan scans an image again although it has a verdict.
	Rescan(ctx context.Context, d model.Digest, reason string) error
	// Prioritize moves an image that waits to the front of every queue. The error is a Failure of class not-found when
	// nothing refers to the image.
	Prioritize(ctx context.Context, d model.Digest) error
	// CountImages counts the images in a scan status and with an overall status, as Images lists them. Empty means any.
	CountImages(ctx context.Context, status model.ScanStatus, overall model.OverallStatus) (int64, error)
}

// ImageQuery selects images. An empty field does not narrow the selection.
type ImageQuery struct {
	// Cluster selects the images that the cluster runs. A page then may have fewer than Limit images, and not be the last.
	Cluster       string
	Repository    string
	Status        model.ScanStatus
	OverallStatus model.OverallStatus
	// After is the Next of the previous page.
	After string
	// Limit is the largest number of images in the page.
	Limit int
}

// ImagePage is one page of the list of images, which is about a second behind.
type ImagePage struct {
	Images []ImageRow `json:"images" nullable:"false"`
	// Next asks for the page after this one; it is empty on the last page.
	Next string `json:"next,omitempty" doc:"The cursor of the next page; absent on the last page."`
}

// ImageRow is one image in the list of images.
type ImageRow struct {
	Digest        model.Digest        `json:"digest"`
	Repository    string              `json:"repository"`
	Hub           string              `json:"hub,omitempty"`
	Status        model.ScanStatus    `json:"status"`
	OverallStatus model.OverallStatus `json:"overallStatus"`
	// Assessed is how many components of how many were assessed.
	Assessed   string    `json:"assessed,omitempty" doc:"How many components of how many were assessed, such as 118 of 120; absent without a verdict."`
	Reason     string    `json:"reason,omitempty" doc:"Why the coverage is not enough for a green status."`
	ValidUntil time.Time `json:"validUntil,omitzero" doc:"When a green status ends because the vulnerability data are too old by then, or an exception ends."`
	Since      time.Time `json:"since"`
}

// Image is everything known about one image.
type Image struct {
	Digest model.Digest `json:"digest"`
	// Names are without the names of credentials.
	Names []Name `json:"names" nullable:"false"`
	// Status is Complete once there is a verdict, also while the image is scanned again.
	Status        model.ScanStatus    `json:"status"`
	OverallStatus model.OverallStatus `json:"overallStatus"`
	Verdicts      []model.Verdict     `json:"verdicts,omitempty"`
	Failure       *model.Failure      `json:"failure,omitempty" doc:"Why the last scan brought no verdict, and when the next scan starts."`
	Scanning      bool                `json:"scanning"`
	// WaitingFor is what a scan in progress does, or waits for.
	WaitingFor string `json:"waitingFor,omitempty" doc:"What a scan in progress does, or waits for."`
}

// Name is one place an image can be pulled from. The name of the credential is left out: it is for scanners alone.
type Name struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag,omitempty" doc:"The tag the image was seen under; absent when it was only seen by digest."`
}

// Findings are the findings of one verdict, in the order of the hub. Total is how many findings the hub has.
type Findings struct {
	Hub      string          `json:"hub"`
	Total    int             `json:"total"`
	Findings []model.Finding `json:"findings" nullable:"false"`
}

// ScanRequest asks for a scan on behalf of a person.
type ScanRequest struct {
	// Reference is what to scan, as `docker pull` takes it.
	Reference string
	// Platform selects an image of an index; the zero value means the platform of the scanner.
	Platform model.Platform
	// Credential is the name of a credential that the scanners have.
	Credential string
	// Domain is the set of scanners to ask; empty means the default one.
	Domain string
	// Rescan scans again an image that has a verdict.
	Rescan bool
	// Who is the person, for the image's list of references.
	Who string
	// Cluster is that of an operator of one cluster: only credentials that its pods may name are used. Empty means no limit.
	Cluster string
}

// ScanAccepted is the image that a reference names.
type ScanAccepted struct {
	Digest   model.Digest `json:"digest" doc:"The digest of the manifest that is scanned. Use it to ask for the image."`
	Platform string       `json:"platform,omitempty"`
}

// Hubs knows the hubs, their leases and the queue for them.
type Hubs interface {
	// Hubs returns every hub, every lease and the scans that wait.
	Hubs(ctx context.Context) (HubsView, error)
	// LimitHub changes how many scans a hub may have at a time.
	LimitHub(ctx context.Context, hub string, limit int) (Hub, error)
	// PauseHub stops giving new scans to a hub.
	PauseHub(ctx context.Context, hub string) (Hub, error)
	// ResumeHub ends a pause.
	ResumeHub(ctx context.Context, hub string) (Hub, error)
	// RetryHub probes a tripped hub now instead of at its next probe.
	RetryHub(ctx context.Context, hub string) error
	// ResetLeases releases the lease of one image, or every stuck lease when the digest is empty.
	ResetLeases(ctx context.Context, d model.Digest) ([]model.Digest, error)
}

// Watcher knows the workflows that cannot go on by themselves.
type Watcher interface {
	// Stuck returns what the last look at all workflows found. The error says that there was none lately.
	Stuck(ctx context.Context) (Stuck, error)
}

// Stuck is what a look at all workflows found.
type Stuck struct {
	// At is when the look ended.
	At time.Time
	// Count counts the workflows that cannot go on by themselves; Workflows names the first of them.
	Count     int
	Workflows []StuckWorkflow
}

// StuckWorkflow is a workflow that cannot go on by itself.
type StuckWorkflow struct {
	WorkflowID string `json:"workflowID"`
	Problem    string `json:"problem" doc:"What is wrong."`
	Remedy     string `json:"remedy" doc:"What rebuilds it once perceptor doctor --repair has terminated it."`
}

// HubsView is every hub, every lease and the scans that wait.
type HubsView struct {
	Hubs    []Hub    `json:"hubs" nullable:"false"`
	Leases  []Lease  `json:"leases" nullable:"false"`
	Waiters []Waiter `json:"waiters" nullable:"false"`
	// ColdUntil is set while the pool grants no lease because it lost its state.
	ColdUntil    time.Time `json:"coldUntil,omitzero" doc:"Set while no lease is granted because the pool of hubs lost its state."`
	ColdWaitsFor string    `json:"coldWaitsFor,omitempty" doc:"What the pool of hubs waits for before it grants leases again."`
	Hidden       bool      `json:"hidden,omitempty" doc:"Set when leases, waiters and stuck workflows are left out, because the token is for one cluster only."`
	Problem      string    `json:"problem,omitempty" doc:"Why the newest list of hubs was refused."`
	// Conflict is the process that has another list of hubs than the one in use.
	Conflict string `json:"conflict,omitempty" doc:"The process that has another list of hubs than the one in use."`
	// Stuck are workflows that cannot go on by themselves; NotWatched says why that is not known now.
	Stuck      []StuckWorkflow `json:"stuck,omitempty" doc:"Workflows that cannot go on by themselves, at most 100."`
	NotWatched string          `json:"notWatched,omitempty" doc:"Why it is not known now whether all workflows go on by themselves."`
}

// Hub is one hub. InUse is the sum of Granted, Held, Draining and Stuck.
type Hub struct {
	Name       string `json:"name"`
	Limit      int    `json:"limit" doc:"How many scans of Perceptor the hub may have at a time."`
	Configured int    `json:"configured" doc:"The limit in the configuration."`
	InUse      int    `json:"inUse"`
	Granted    int    `json:"granted"`
	Held       int    `json:"held"`
	Draining   int    `json:"draining"`
	Stuck      int    `json:"stuck"`
	Waiting    int    `json:"waiting" doc:"Scans in the queue that accept this hub."`
	Paused     bool   `json:"paused,omitempty"`
	Disabled   bool   `json:"disabled,omitempty"`
	Removed    bool   `json:"removed,omitempty"`
	// TrippedSince, Class, Reason and NextProbe are set while the circuit breaker keeps scans away from the hub.
	TrippedSince time.Time          `json:"trippedSince,omitzero" doc:"Since when the hub is tripped: it failed and gets no scans. Absent while it is available."`
	Class        model.FailureClass `json:"class,omitempty" doc:"The class of the failure that tripped the hub."`
	Reason       string             `json:"reason,omitempty" doc:"The failure that tripped the hub."`
	NextProbe    time.Time          `json:"nextProbe,omitzero" doc:"When a tripped hub is probed next."`
}

// Lease is one unit of a hub in use.
type Lease struct {
	Digest    model.Digest `json:"digest"`
	Hub       string       `json:"hub"`
	State     string       `json:"state"`
	GrantedAt time.Time    `json:"grantedAt"`
}

// Waiter is one scan in the queue.
type Waiter struct {
	Digest   model.Digest `json:"digest"`
	Since    time.Time    `json:"since"`
	WaitsFor string       `json:"waitsFor"`
}
