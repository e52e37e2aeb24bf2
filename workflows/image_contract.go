package workflows

import (
	"time"

	"github.com/perceptor/perceptor/model"
)

// Reference is one reason to keep an image.
type Reference struct {
	Kind ReferenceKind `json:"kind"`
	ID   string        `json:"id"`
	// Version orders what one referrer says: older never overwrites newer.
	Version model.Version `json:"version"`
	// Until is when the reference ends by itself; zero means never.
	Until time.Time `json:"until"`
}

// ReferenceKind is who refers to an image.
type ReferenceKind string

// The kinds of references.
const (
	ReferenceInventory ReferenceKind = "inventory"
	ReferencePerson    ReferenceKind = "person"
)

// Observe says who refers to the image and how it can be pulled.
type Observe struct {
	Names     []model.Name   `json:"names"`
	Platform  model.Platform `json:"platform"`
	Reference Reference      `json:"reference"`
	Priority  Priority       `json:"priority"`
	// Namespace is where the image runs, as "cluster/namespace"; it shares out the backlog fairly.
	Namespace string `json:"namespace,omitempty"`
	// Domain is the set of scanners that can reach the registry; empty means DefaultDomain.
	Domain string `json:"domain,omitempty"`
	// HubNames overrides what the image is called at the hub.
	HubNames *model.HubNames `json:"hubNames,omitempty"`
	// Known is the version of the summary that an inventory has: if the image's is newer, the inventory is told.
	Known model.Version `json:"known,omitzero"`
}

// Forget takes the reference of that kind and id away, unless a newer version of it has arrived.
type Forget struct {
	Reference Reference `json:"reference"`
}

// Judged is a hub's newer judgement.
type Judged struct {
	Verdict model.Verdict `json:"verdict"`
}

// Rescan asks for a new scan.
type Rescan struct {
	// Reason is shown to whoever looks at the image.
	Reason   string   `json:"reason,omitempty"`
	Priority Priority `json:"priority"`
}

// Raise makes an image, and its scan under way, as urgent as a class; what is as urgent already stays as it is.
type Prioritize struct {
	Priority Priority `json:"priority"`
	// Namespace is whose share of the backlog it counts in; empty leaves that as it is.
	Namespace string `json:"namespace,omitempty"`
}
