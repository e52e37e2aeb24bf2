package api

import (
	"context"
	"time"

	"github.com/perceptor/perceptor/model"
)

// Backend is what the API stands on. Every method that changes something returns when the change is durable, not before.
type Backend interface {
	Reporter
	Joiner
	Images
	Hubs
	// Ready says why the API cannot work at this moment; nil when it can.
	Ready(ctx context.Context) error
}

// Reporter takes what perceivers say.
type Reporter interface {
	Report(ctx context.Context, r model.PodReport) error
}

// Joiner knows which pods there are and what is known of their images.
type Joiner interface {
	Pods(ctx context.Context, q PodQuery) (PodPage, error)
	Clusters(ctx context.Context) ([]Cluster, error)
	// Cluster is a failure of class not-found for one nobody reports for.
	Cluster(ctx context.Context, name string) (Cluster, error)
	ForgetCluster(ctx context.Context, name string) error
}

// PodQuery asks for rows of the join; empty fields do not narrow them.
type PodQuery struct {
	Cluster, Namespace string
	Status             model.ScanStatus
	OverallStatus      model.OverallStatus
	// Image is a part of a container's reference, or a digest.
	Image string
	// After is the Next of the page before.
	After string
	Limit int
}

// PodPage is a page of the join.
type PodPage struct {
	Pods []model.PodVerdict `json:"pods" nullable:"false"`
	// Next asks for the page after this one; empty when this is the last.
	Next string `json:"next,omitempty" doc:"The cursor of the next page; absent on the last."`
	// Refused is how many pods the namespaces of this page have beyond what can be kept: they are in no page.
	Refused int `json:"refused,omitempty" doc:"Pods of these namespaces that are beyond what can be kept, and in no page."`
}

// Cluster is what a perceiver has reported of one platform.
type Cluster struct {
	Name       string      `json:"name"`
	Namespaces []Namespace `json:"namespaces" nullable:"false"`
	// Snapshot is when the last complete snapshot was taken.
	Snapshot time.Time `json:"snapshot,omitzero" doc:"When the last complete snapshot was taken; absent when there was none."`
	// Seen is when anything was heard of the cluster.
	Seen      time.Time `json:"seen,omitzero" doc:"When anything was heard of the cluster."`
	WriteBack bool      `json:"writeBack" doc:"Whether verdicts are written onto the pods."`
	Domain    string    `json:"domain,omitempty" doc:"The set of scanners that reaches the cluster's registries."`
}

// Namespace are the counts of one namespace.
type Namespace struct {
	Name       string `json:"name"`
	Pods       int    `json:"pods"`
	Unscanned  int    `json:"unscanned" doc:"Pods with an image that has no verdict."`
	Violations int    `json:"violations" doc:"Pods that are in violation."`
	Refused    int    `json:"refused,omitempty" doc:"Pods beyond what can be kept."`
}

// Images knows images by themselves.
type Images interface {
	Images(ctx context.Context, q ImageQuery) (ImagePage, error)
	// Image is a failure of class not-found for one nobody refers to.
	Image(ctx context.Context, d model.Digest) (Image, error)
	// Findings reads from the hub of one verdict of the image.
	Findings(ctx context.Context, d model.Digest, hub string) (Findings, error)
	// Scan resolves a reference and has what it names scanned.
	Scan(ctx context.Context, r ScanRequest) (ScanAccepted, error)
	Rescan(ctx context.Context, d model.Digest, reason string) error
	// CountImages counts images in a scan status, as Images lists them.
	CountImages(ctx context.Context, status model.ScanStatus) (int64, error)
}

// ImageQuery asks for images; empty fields do not narrow them.
type ImageQuery struct {
	Repository    string
	Status        model.ScanStatus
	OverallStatus model.OverallStatus
	After         string
	Limit         int
}

// ImagePage is a page of a list that lags a second or so behind.
type ImagePage struct {
	Images []ImageRow `json:"images" nullable:"false"`
	Next   string     `json:"next,omitempty" doc:"The cursor of the next page; absent on the last."`
}

// ImageRow is one image in a list.
type ImageRow struct {
	Digest        model.Digest        `json:"digest"`
	Repository    string              `json:"repository"`
	Hub           string              `json:"hub,omitempty"`
	Status        model.ScanStatus    `json:"status"`
	OverallStatus model.OverallStatus `json:"overallStatus"`
	Since         time.Time           `json:"since"`
}

// Image is all that is known of one image.
type Image struct {
	Digest model.Digest `json:"digest"`
	Names  []model.Name `json:"names" nullable:"false"`
	// Status is Complete once there is a verdict, also while a rescan is under way.
	Status        model.ScanStatus    `json:"status"`
	OverallStatus model.OverallStatus `json:"overallStatus"`
	Verdicts      []model.Verdict     `json:"verdicts,omitempty"`
	Failure       *model.Failure      `json:"failure,omitempty" doc:"Why the last scan brought no verdict, and when the next one starts."`
	Scanning      bool                `json:"scanning"`
	// WaitingFor says what a scan under way is at, or waits for.
	WaitingFor string `json:"waitingFor,omitempty"`
}

// Findings are those of one verdict, in the hub's order; Total is how many the hub has.
type Findings struct {
	Hub      string          `json:"hub"`
	Total    int             `json:"total"`
	Findings []model.Finding `json:"findings" nullable:"false"`
}

// ScanRequest asks for a scan in somebody's name.
type ScanRequest struct {
	Reference  string
	Platform   model.Platform
	Credential string
	Domain     string
	Rescan     bool
	Who        string
}

// ScanAccepted says what a reference names.
type ScanAccepted struct {
	Digest   model.Digest `json:"digest" doc:"The manifest that is scanned: ask for it by this digest."`
	Platform string       `json:"platform,omitempty"`
}
