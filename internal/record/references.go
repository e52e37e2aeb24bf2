package record

import (
	"errors"
	"slices"
	"time"

	"github.com/perceptor/perceptor/model"
)

// The bounds of the references of one image, so that its record fits into one payload when it is packed.
const (
	referencesAtMost = 20_000
	// referrersAtMost bounds the bytes of the IDs of all referrers.
	referrersAtMost = 500_000
)

// ErrFull says that the record has as many references or verdicts as it can hold.
var ErrFull = errors.New("the record of the image is full")

// References are the reasons to keep an image.
type References struct {
	// List has at most one reference for each kind and id.
	List []model.Reference `json:"list,omitempty"`
	// Removed are the versions of removed references, so that a late observation does not bring one back.
	Removed []model.Reference `json:"removed,omitempty"`
	// IdleSince is when the last reference went; zero while there is one, and before Expire has found that there is none.
	IdleSince time.Time `json:"idleSince,omitzero"`

	// index finds a referrer in List; nil when it is to be made again. ids counts the bytes of the IDs.
	index map[referrer]int
	ids   int
	// soonest is not after the end of any reference; zero when it is to be found again.
	soonest time.Time
}

// referrer tells references apart.
type referrer struct {
	kind model.ReferenceKind
	id   string
}

func referrerOf(r model.Reference) referrer { return referrer{r.Kind, r.ID} }

// find gives the place of a referrer in the list.
func (r *References) find(who referrer) (int, bool) {
	if r.index == nil {
		r.index, r.ids = make(map[referrer]int, len(r.List)), 0
		for at, known := range r.List {
			r.index[referrerOf(known)] = at
			r.ids += len(known.ID)
		}
	}
	at, known := r.index[who]
	return at, known
}

// Add takes a reference in place of an older one of the same kind and id, and reports whether it was news. A reference as old
// as what is known of its referrer changes nothing. It answers ErrFull when there is no room for another referrer.
func (r *References) Add(reference model.Reference) (bool, error) {
	who := referrerOf(reference)
	at, known := r.find(who)
	removed := func(other model.Reference) bool {
		return referrerOf(other) == who && !other.Version.Before(reference.Version)
	}
	if known && !r.List[at].Version.Before(reference.Version) || slices.ContainsFunc(r.Removed, removed) {
		return false, nil
	}
	switch {
	case known:
		r.List[at] = reference
	case len(r.List) >= referencesAtMost || r.ids+len(reference.ID) > referrersAtMost:
		return false, ErrFull
	default:
		r.index[who] = len(r.List)
		r.List, r.ids = append(r.List, reference), r.ids+len(reference.ID)
	}
	if !reference.Until.IsZero() && reference.Until.Before(r.soonest) {
		r.soonest = reference.Until
	}
	r.IdleSince = time.Time{}
	return true, nil
}

// Remove removes the reference of that kind and id, unless a newer version of it has arrived.
func (r *References) Remove(reference model.Reference) {
	who := referrerOf(reference)
	at, known := r.find(who)
	if known && reference.Version.Before(r.List[at].Version) {
		return
	}
	if known {
		r.removeAt(at)
	}
	r.Removed = append(slices.DeleteFunc(r.Removed, func(other model.Reference) bool { return referrerOf(other) == who }), reference)
	if len(r.Removed) > removedAtMost {
		r.Removed = r.Removed[1:]
	}
}

// removeAt removes one reference; the last of the list takes its place, so that many can be removed in a short time.
func (r *References) removeAt(at int) {
	last := len(r.List) - 1
	delete(r.index, referrerOf(r.List[at]))
	r.ids -= len(r.List[at].ID)
	if at < last {
		r.List[at] = r.List[last]
		r.index[referrerOf(r.List[at])] = at
	}
	r.List = r.List[:last]
}

// Expire removes references whose time is over and notes since when there is none.
func (r *References) Expire(now time.Time) {
	if soonest := r.nextEnd(); !soonest.IsZero() && !soonest.After(now) {
		r.List = slices.DeleteFunc(r.List, func(known model.Reference) bool { return !known.Until.IsZero() && !known.Until.After(now) })
		r.index, r.soonest = nil, time.Time{}
	}
	if len(r.List) == 0 && r.IdleSince.IsZero() {
		r.IdleSince = now
	}
}

// removeClosed removes the references of an inventory that is closed, as far as they are among those given: a newer one stays.
func (r *References) removeClosed(inventory string, given []model.Reference) {
	at, known := r.find(referrer{model.ReferenceInventory, inventory})
	if known && slices.Contains(given, r.List[at]) {
		r.removeAt(at)
	}
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

// nextEnd is when a reference may end next, and not after that; zero when none does.
func (r *References) nextEnd() time.Time {
	if !r.soonest.IsZero() {
		return r.soonest
	}
	for _, known := range r.List {
		if !known.Until.IsZero() && (r.soonest.IsZero() || known.Until.Before(r.soonest)) {
			r.soonest = known.Until
		}
	}
	return r.soonest
}

// deadlines are when references end, and when something is due because there has been none for long. Zero means never.
func (r *References) deadlines() []time.Time {
	times := []time.Time{r.nextEnd()}
	if !r.IdleSince.IsZero() {
		times = append(times, r.IdleSince.Add(UnwantedAfter), r.IdleSince.Add(Grace))
	}
	return times
}
