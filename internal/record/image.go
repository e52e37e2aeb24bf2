package record

import (
	"slices"
	"time"

	"github.com/perceptor/perceptor/model"
)

const (
	// Grace is how long an image without references is remembered.
	Grace = 24 * time.Hour
	// UnwantedAfter is how long a waiting scan is kept after the last reference to its image has gone.
	UnwantedAfter = 10 * time.Minute
)

// Bounds of what a record keeps, far above what is ever useful, so that it stays small.
const (
	namesAtMost     = 20
	forgottenAtMost = 100
)

// Image is the record of one image. Its times are those that callers pass as now.
type Image struct {
	Digest model.Digest `json:"digest"`
	// Names, Platform, Domain, Priority, Namespace and HubNames come from observations of the image.
	Names     []model.Name    `json:"names,omitempty"`
	Platform  model.Platform  `json:"platform"`
	Domain    string          `json:"domain,omitempty"`
	Priority  model.Priority  `json:"priority,omitempty"`
	Namespace string          `json:"namespace,omitempty"`
	HubNames  *model.HubNames `json:"hubNames,omitempty"`
	// References are the reasons to keep the image, at most one for each kind and id.
	References []Reference `json:"references,omitempty"`
	// Forgotten are the versions of removed references, so that a late observation does not bring one back.
	Forgotten []Reference `json:"forgotten,omitempty"`
	// Verdicts has one verdict for each hub that has judged the image.
	Verdicts []model.Verdict `json:"verdicts,omitempty"`
	// Failure is why the last scan brought no verdict; its NextTry is always zero, NextTry gives it. Failures counts failed
	// scans in a row, Lost those in a row that closed without a report.
	Failure  *model.Failure `json:"failure,omitempty"`
	Failures int            `json:"failures,omitempty"`
	Lost     int            `json:"lost,omitempty"`
	// Unsure is set while a hub may have a scan of this image that was never reported.
	Unsure bool `json:"unsure,omitempty"`
	// Scan is the scan under way.
	Scan *Scan `json:"scan,omitempty"`
	// LastStarted is when the newest reported scan began: reports of older ones are stale.
	LastStarted time.Time `json:"lastStarted"`
	// Rescan is set while a new scan is wanted although there is a verdict.
	Rescan *Rescan `json:"rescan,omitempty"`
	// NotBefore is when the next scan may start.
	NotBefore time.Time `json:"notBefore"`
	// Idle is when the last reference went; zero while there is one.
	Idle time.Time `json:"idle"`
	// Published is what inventories were last sent, with its version.
	Published *model.Summary `json:"published,omitempty"`
	// PendingInventories are the ids of inventories that do not have it yet.
	PendingInventories []string `json:"pendingInventories,omitempty"`
	// PublishAfter is when sending it to them is tried again.
	PublishAfter time.Time `json:"publishAfter,omitzero"`
}

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

// Observation says who refers to the image and how it can be pulled.
type Observation struct {
	Names     []model.Name   `json:"names"`
	Platform  model.Platform `json:"platform"`
	Reference Reference      `json:"reference"`
	Priority  model.Priority `json:"priority"`
	// Namespace is where the image runs, as "cluster/namespace"; it shares out the backlog fairly.
	Namespace string `json:"namespace,omitempty"`
	// Domain is the set of scanners that can reach the registry; empty means the default domain.
	Domain string `json:"domain,omitempty"`
	// HubNames overrides what the image is called at the hub.
	HubNames *model.HubNames `json:"hubNames,omitempty"`
	// Known is the version of the summary that an inventory has. An inventory with another version is sent the summary.
	Known model.Version `json:"known,omitzero"`
}

// Rescan asks for a new scan.
type Rescan struct {
	// Reason is shown to everyone who looks at the image.
	Reason   string         `json:"reason,omitempty"`
	Priority model.Priority `json:"priority"`
}

// Observe takes a reference and what it says of the image. An observation as old as what is known changes nothing.
func (i *Image) Observe(o Observation) {
	if i.isStale(o.Reference) {
		return
	}
	i.References = append(slices.DeleteFunc(i.References, sameReferrer(o.Reference)), o.Reference)
	for _, name := range o.Names {
		if !slices.Contains(i.Names, name) && len(i.Names) < namesAtMost {
			i.Names = append(i.Names, name)
		}
	}
	if i.Priority == "" || o.Priority.Rank() < i.Priority.Rank() {
		i.Priority, i.Namespace = o.Priority, o.Namespace
	}
	if i.Domain == "" {
		i.Domain = o.Domain
	}
	if i.Platform == (model.Platform{}) {
		i.Platform = o.Platform
	}
	if o.HubNames != nil {
		i.HubNames = o.HubNames
	}
	i.Idle = time.Time{}
	i.notePending(o)
}

// isStale reports whether something as new is already known of the same referrer.
func (i *Image) isStale(r Reference) bool {
	newer := func(known Reference) bool { return sameReferrer(r)(known) && !known.Version.Before(r.Version) }
	return slices.ContainsFunc(i.References, newer) || slices.ContainsFunc(i.Forgotten, newer)
}

func sameReferrer(r Reference) func(Reference) bool {
	return func(other Reference) bool { return other.Kind == r.Kind && other.ID == r.ID }
}

// Forget removes the reference of that kind and id, unless a newer version of it has arrived.
func (i *Image) Forget(r Reference) {
	if slices.ContainsFunc(i.References, func(known Reference) bool { return sameReferrer(r)(known) && r.Version.Before(known.Version) }) {
		return
	}
	i.References = slices.DeleteFunc(i.References, sameReferrer(r))
	i.Forgotten = append(slices.DeleteFunc(i.Forgotten, sameReferrer(r)), r)
	if len(i.Forgotten) > forgottenAtMost {
		i.Forgotten = i.Forgotten[1:]
	}
}

// Expire removes references whose time is over and notes since when there is none.
func (i *Image) Expire(now time.Time) {
	i.References = slices.DeleteFunc(i.References, func(r Reference) bool { return !r.Until.IsZero() && !r.Until.After(now) })
	if len(i.References) == 0 && i.Idle.IsZero() {
		i.Idle = now
	}
}

// IsForgettable reports whether the image has been without a reference for so long that it need not be remembered.
func (i *Image) IsForgettable(now time.Time) bool { return i.Scan == nil && i.idleFor(now, Grace) }

func (i *Image) idleFor(now time.Time, d time.Duration) bool {
	return !i.Idle.IsZero() && now.Sub(i.Idle) >= d
}

// Deadlines are the times at which something is due by itself; zero times count for nothing. A scan whose end is watched needs
// no check.
func (i *Image) Deadlines(watched bool) []time.Time {
	var times []time.Time
	for _, r := range i.References {
		times = append(times, r.Until)
	}
	if len(i.PendingInventories) > 0 {
		times = append(times, i.PublishAfter)
	}
	if i.WantsScan() {
		times = append(times, i.NotBefore)
	}
	if !i.Idle.IsZero() {
		times = append(times, i.Idle.Add(UnwantedAfter), i.Idle.Add(Grace))
	}
	if i.Scan != nil && !watched {
		times = append(times, i.Scan.Checked.Add(CheckScanEvery))
	}
	return times
}
