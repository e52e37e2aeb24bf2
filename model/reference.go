package model

import "time"

// Observation says who refers to the image and how it can be pulled.
type Observation struct {
	Names     []Name    `json:"names"`
	Platform  Platform  `json:"platform"`
	Reference Reference `json:"reference"`
	Priority  Priority  `json:"priority"`
	// Namespace is where the image runs, as "cluster/namespace"; it shares out the backlog fairly.
	Namespace string `json:"namespace,omitempty"`
	// Domain is the set of scanners that can reach the registry; empty means the default domain.
	Domain string `json:"domain,omitempty"`
	// HubNames overrides what the image is called at the hub.
	HubNames *HubNames `json:"hubNames,omitempty"`
	// Known is the version of the summary that an inventory has. An inventory with another version is sent the summary.
	Known Version `json:"known,omitzero"`
}

// Rescan asks for a new scan.
type Rescan struct {
	// Reason is shown to everyone who looks at the image.
	Reason   string   `json:"reason,omitempty"`
	Priority Priority `json:"priority"`
	// LostHub is set when a hub no longer has its verdict on LostVersion, a VersionKey: the image does not have it either any longer.
	LostHub     string `json:"lostHub,omitempty"`
	LostVersion string `json:"lostVersion,omitempty"`
}

// Reference is one reason to keep an image.
type Reference struct {
	Kind ReferenceKind `json:"kind"`
	ID   string        `json:"id"`
	// Version orders what one referrer says: older never overwrites newer.
	Version Version `json:"version"`
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
