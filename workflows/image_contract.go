package workflows

import (
	"time"

	"github.com/perceptor/perceptor/internal/inventory"
	"github.com/perceptor/perceptor/internal/record"
	"github.com/perceptor/perceptor/model"
)

// ImageInput starts an Image, or carries it into its next run.
type ImageInput struct {
	Digest model.Digest `json:"digest"`
	// State is what the run before knew. It is packed: thousands of namespaces may refer to an image.
	State inventory.Packed[record.Image] `json:"state,omitzero"`
}

// Reference is one reason to keep an image.
type Reference = model.Reference

// ReferenceKind is who refers to an image.
type ReferenceKind = model.ReferenceKind

// The kinds of references.
const (
	ReferenceInventory = model.ReferenceInventory
	ReferencePerson    = model.ReferencePerson
)

// Observe says who refers to the image and how it can be pulled.
type Observe = model.Observation

// Rescan asks for a new scan.
type Rescan = model.Rescan

// Forget takes the reference of that kind and id away, unless a newer version of it has arrived.
type Forget struct {
	Reference Reference `json:"reference"`
}

// Judged is a hub's newer judgement.
type Judged struct {
	Verdict model.Verdict `json:"verdict"`
}

// Prioritize gives an image, and its scan under way, a higher priority. One that is as high already stays as it is.
type Prioritize struct {
	Priority Priority `json:"priority"`
	// Namespace is whose share of the backlog it counts in; empty leaves that as it is.
	Namespace string `json:"namespace,omitempty"`
}

// ImageView is what an Image answers to QueryStatus.
type ImageView struct {
	Digest model.Digest `json:"digest"`
	Names  []model.Name `json:"names"`
	// Status is Complete once there is a verdict, also while a rescan is under way.
	Status        model.ScanStatus    `json:"status"`
	OverallStatus model.OverallStatus `json:"overallStatus"`
	Verdicts      []model.Verdict     `json:"verdicts,omitempty"`
	// Failure is why the last scan brought no verdict. Its NextTry is the time of the next try, zero while a scan is under way.
	Failure *model.Failure `json:"failure,omitempty"`
	// Scanning is set while a scan is under way; ScanImageID has its progress.
	Scanning bool `json:"scanning"`
	// References are the first 100 references, Referrers counts all.
	References []Reference `json:"references"`
	Referrers  int         `json:"referrers"`
	// LastStarted is when the newest reported scan began; zero before the first report.
	LastStarted time.Time `json:"lastStarted"`
	// Rejected counts the messages to the image that failed their checks and were dropped.
	Rejected model.Rejections `json:"rejected,omitzero"`
}
