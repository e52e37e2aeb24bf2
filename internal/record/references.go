package record

import (
	"slices"
	"time"

	"github.com/perceptor/perceptor/model"
)

// References are the reasons to keep an image.
type References struct {
	// List has at most one reference for each kind and id.
	List []model.Reference `json:"list,omitempty"`
	// Removed are the versions of removed references, so that a late observation does not bring one back.
	Removed []model.Reference `json:"removed,omitempty"`
	// IdleSince is when the last reference went; zero while there is one, and before Expire has found that there is none.
	IdleSince time.Time `json:"idleSince,omitzero"`
}

// Add takes a reference in place of an older one of the same kind and id, and reports whether it was news. A reference as old
// as what is known of its referrer changes nothing.
func (r *References) Add(reference model.Reference) bool {
	newer := func(known model.Reference) bool {
		return sameReferrer(reference)(known) && !known.Version.Before(reference.Version)
	}
	if slices.ContainsFunc(r.List, newer) || slices.ContainsFunc(r.Removed, newer) {
		return false
	}
	r.List = append(slices.DeleteFunc(r.List, sameReferrer(reference)), reference)
	r.IdleSince = time.Time{}
	return true
}

// Remove removes the reference of that kind and id, unless a newer version of it has arrived.
func (r *References) Remove(reference model.Reference) {
	if slices.ContainsFunc(r.List, func(known model.Reference) bool {
		return sameReferrer(reference)(known) && reference.Version.Before(known.Version)
	}) {
		return
	}
	r.List = slices.DeleteFunc(r.List, sameReferrer(reference))
	r.Removed = append(slices.DeleteFunc(r.Removed, sameReferrer(reference)), reference)
	if len(r.Removed) > removedAtMost {
		r.Removed = r.Removed[1:]
	}
}

// Expire removes references whose time is over and notes since when there is none.
func (r *References) Expire(now time.Time) {
	r.List = slices.DeleteFunc(r.List, func(known model.Reference) bool { return !known.Until.IsZero() && !known.Until.After(now) })
	if len(r.List) == 0 && r.IdleSince.IsZero() {
		r.IdleSince = now
	}
}

// removeClosed removes the references of an inventory that is closed, as far as they are among those given: a newer one stays.
func (r *References) removeClosed(inventory string, given []model.Reference) {
	r.List = slices.DeleteFunc(r.List, func(known model.Reference) bool { return known.ID == inventory && slices.Contains(given, known) })
}

// idleFor reports whether there has been no reference for that long.
func (r *References) idleFor(now time.Time, d time.Duration) bool {
	return !r.IdleSince.IsZero() && now.Sub(r.IdleSince) >= d
}

// inventories are the references of inventories.
func (r *References) inventories() []model.Reference {
	var references []model.Reference
	for _, known := range r.List {
		if known.Kind == model.ReferenceInventory {
			references = append(references, known)
		}
	}
	return references
}

// deadlines are when references end, and when something is due because there has been none for long. Zero means never.
func (r *References) deadlines() []time.Time {
	var times []time.Time
	for _, known := range r.List {
		times = append(times, known.Until)
	}
	if !r.IdleSince.IsZero() {
		times = append(times, r.IdleSince.Add(UnwantedAfter), r.IdleSince.Add(Grace))
	}
	return times
}

func sameReferrer(r model.Reference) func(model.Reference) bool {
	return func(other model.Reference) bool { return other.Kind == r.Kind && other.ID == r.ID }
}
