package inventory

import (
	"slices"

	"github.com/perceptor/perceptor/model"
)

// arrivingAtMost is how many incomplete snapshots are kept track of, newest first.
const arrivingAtMost = 3

// Arrivals are the snapshots of the namespace.
type Arrivals struct {
	// Snapshot is the last complete one; Arriving are those of which some parts are here.
	Snapshot model.Version `json:"snapshot,omitzero"`
	Arriving []Arriving    `json:"arriving,omitempty"`
}

// Arriving is a snapshot of which some parts have arrived.
type Arriving struct {
	Version model.Version `json:"version"`
	Parts   int           `json:"parts"`
	Have    []int         `json:"have"`
}

// partArrived notes a part and reports whether all of them are there.
func (a *Arrivals) partArrived(v model.Version, part, parts int) bool {
	of := func(each Arriving) bool { return each.Version == v }
	at := slices.IndexFunc(a.Arriving, of)
	if at < 0 {
		a.Arriving = append(a.Arriving, Arriving{Version: v, Parts: parts})
		slices.SortFunc(a.Arriving, func(x, y Arriving) int { return compare(y.Version, x.Version) })
		a.Arriving = a.Arriving[:min(len(a.Arriving), arrivingAtMost)]
		if at = slices.IndexFunc(a.Arriving, of); at < 0 {
			return false
		}
	}
	arriving := &a.Arriving[at]
	if part >= 1 && part <= arriving.Parts && !slices.Contains(arriving.Have, part) {
		arriving.Have = append(arriving.Have, part)
	}
	return len(arriving.Have) == arriving.Parts
}

// completed notes the last complete snapshot.
func (a *Arrivals) completed(v model.Version) {
	a.Snapshot = v
	a.Arriving = slices.DeleteFunc(a.Arriving, func(each Arriving) bool { return !v.Before(each.Version) })
}
