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
	namesAtMost   = 20
	removedAtMost = 100
	// verdictsAtMost bounds the hubs that judge one image.
	verdictsAtMost = 10
)

// Image is the record of one image. Its times are those that callers pass as now.
type Image struct {
	Digest model.Digest `json:"digest"`
	// Names are the most recently seen first. They, Platform, Domain, Priority, Namespace and HubNames come from observations of the image.
	Names     []model.Name    `json:"names,omitempty"`
	Platform  model.Platform  `json:"platform"`
	Domain    string          `json:"domain,omitempty"`
	Priority  model.Priority  `json:"priority,omitempty"`
	Namespace string          `json:"namespace,omitempty"`
	HubNames  *model.HubNames `json:"hubNames,omitempty"`
	// References are the reasons to keep the image.
	References References `json:"references"`
	// Verdicts has one verdict for each hub that has judged the image.
	Verdicts []model.Verdict `json:"verdicts,omitempty"`
	// Attempts are the scans that brought no verdict.
	Attempts Attempts `json:"attempts"`
	// Scan is the scan under way; Starts counts those that were started.
	Scan   *Scan `json:"scan,omitempty"`
	Starts int   `json:"starts,omitempty"`
	// LastStarted is when the newest reported scan began: reports of older ones are stale.
	LastStarted time.Time `json:"lastStarted"`
	// Rescan is set while a new scan is wanted although there is a verdict.
	Rescan *model.Rescan `json:"rescan,omitempty"`
	// Publication is what inventories are sent.
	Publication Publication `json:"publication"`
	// Rejected counts the messages that failed their checks and were dropped.
	Rejected model.Rejections `json:"rejected,omitzero"`
}

// Observe takes a reference and what it says of the image. An observation as old as what is known changes nothing.
// It answers ErrFull when there is no room for another referrer.
func (i *Image) Observe(o model.Observation) error {
	news, err := i.References.Add(o.Reference)
	if !news {
		return err
	}
	i.seen(o.Names)
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
	if o.Reference.Kind == model.ReferenceInventory {
		i.Publication.noteKnown(o.Reference.ID, o.Known)
	}
	return nil
}

// seen puts names that were just seen before the others: it is there that the image can be pulled from, if anywhere. Where there
// are too many, those not seen for the longest time go.
func (i *Image) seen(names []model.Name) {
	var order []model.Name
	for _, name := range slices.Concat(names, i.Names) {
		if !slices.Contains(order, name) && len(order) < namesAtMost {
			order = append(order, name)
		}
	}
	i.Names = order
}

// IsForgettable reports whether the image has been without a reference for so long that it need not be remembered.
func (i *Image) IsForgettable(now time.Time) bool {
	return i.Scan == nil && i.References.idleFor(now, Grace)
}

// Deadlines are the times at which something is due by itself; zero times count for nothing.
func (i *Image) Deadlines() []time.Time {
	times := i.References.deadlines()
	if len(i.Publication.Pending) > 0 {
		times = append(times, i.Publication.NotBefore)
	}
	if i.WantsScan() {
		times = append(times, i.Attempts.NotBefore)
	}
	if i.Scan != nil {
		times = append(times, i.Scan.nextCheck())
	}
	return times
}
