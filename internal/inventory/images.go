package inventory

import (
	"slices"
	"time"

	"github.com/perceptor/perceptor/model"
)

// Image is one image that is run here and what is known of it.
type Image struct {
	Summary model.Summary `json:"summary"`
	// Told is when its workflow was last told that it is run here; zero before the first time.
	NotifiedAt time.Time `json:"told,omitzero"`
	// Chain is the first run id of that workflow, once it was looked after.
	Chain string `json:"chain,omitempty"`

	// telling is set while its workflow is being told or looked after.
	notifying bool
	// uses are the numbers of the uses that lead to it.
	uses map[int]bool
}

func (i *Image) addUse(use int) {
	if i.uses == nil {
		i.uses = map[int]bool{}
	}
	i.uses[use] = true
}

// link leads a use to its image.
func (b *Book) link(number int) {
	d := b.Uses[number].Digest
	known := b.Images[d]
	if known == nil {
		known = &Image{Summary: model.Unscanned(d)}
		b.Images[d] = known
		b.weight += imageWeight
	}
	delete(b.Dropped, d)
	known.addUse(number)
	if b.Uses[number].HubNames != nil {
		known.NotifiedAt = time.Time{} // the image does not know these names yet
	}
	if known.NotifiedAt.IsZero() {
		b.untold[d] = true
	}
	b.counts = nil
}

// unlink takes a use away from its image; an image that nothing runs any more is dropped.
func (b *Book) unlink(number int) {
	d := b.Uses[number].Digest
	known := b.Images[d]
	if known == nil {
		return
	}
	delete(known.uses, number)
	if len(known.uses) > 0 {
		return
	}
	delete(b.Images, d)
	delete(b.untold, d)
	b.weight -= imageWeight
	if !known.NotifiedAt.IsZero() || known.notifying {
		b.Dropped[d] = true
	}
}

// Learn takes what an image says of itself, unless something as new is known.
func (b *Book) Learn(s model.Summary) {
	known := b.Images[s.Digest]
	if known == nil || !known.Summary.Version.Before(s.Version) {
		return
	}
	s.ComponentsURL = clip(s.ComponentsURL, urlLength)
	s.Hubs = s.Hubs[:min(len(s.Hubs), hubsAtMost)]
	if s.Failure != nil {
		short := *s.Failure
		short.Reason = clip(short.Reason, reasonLength)
		s.Failure = &short
	}
	known.Summary, b.counts = s, nil
	for _, number := range sorted(known.uses) {
		b.touchAll(b.Uses[number])
	}
}

// hubsAtMost bounds how many hubs of an image are kept.
const hubsAtMost = 5

// Ensure is what the workflow of an image is to be told.
type Ensure struct {
	Digest   model.Digest
	Names    []model.Name
	Platform model.Platform
	HubNames *model.HubNames
	// Known is what is known of it here.
	Known model.Summary
	// Check says that it was told not long ago: it need only be told again if it is not what is known here.
	Check bool
	Chain string
}

// namesAtMost bounds the names that are told of one image.
const namesAtMost = 10

// HasImages reports whether anything here runs an image that is known.
func (b *Book) HasImages() bool { return len(b.Images) > 0 }

// Check has every image looked after, or only those without a verdict.
func (b *Book) Check(unscanned bool) {
	for _, d := range sorted(b.Images) {
		if !unscanned || b.Images[d].Summary.Status != model.StatusComplete {
			b.untold[d] = true
		}
	}
}

// Ensures are at most that many images whose workflows are to be told, or that are to be looked after; those last told before a
// time are told again then. They count as being told until Told or Untold is called.
func (b *Book) Ensures(before time.Time, atMost int) []Ensure {
	var ensures []Ensure
	for _, d := range sorted(b.untold) {
		known := b.Images[d]
		if len(ensures) == atMost {
			break
		}
		if known.notifying {
			continue
		}
		known.notifying = true
		delete(b.untold, d)
		e := b.ensure(d)
		e.Check, e.Chain = known.NotifiedAt.After(before), known.Chain
		ensures = append(ensures, e)
	}
	return ensures
}

func (b *Book) ensure(d model.Digest) Ensure {
	known := b.Images[d]
	e := Ensure{Digest: d, Known: known.Summary}
	for _, number := range sorted(known.uses) {
		use := b.Uses[number]
		if !slices.Contains(e.Names, use.Name) && len(e.Names) < namesAtMost {
			e.Names = append(e.Names, use.Name)
		}
		if e.Platform == (model.Platform{}) {
			e.Platform = use.Platform
		}
		if use.HubNames != nil {
			e.HubNames = use.HubNames
		}
	}
	return e
}

// Told notes that the workflow of an image has been told; chain is set where it was only looked after. An image of which nothing
// is known waits from then on.
func (b *Book) ImageNotified(now time.Time, d model.Digest, chain string) {
	known := b.Images[d]
	if known == nil {
		return
	}
	known.notifying, known.Chain = false, chain
	if chain != "" {
		return
	}
	known.NotifiedAt = now
	if known.Summary.Status == model.StatusUnknown {
		known.Summary.Status = model.StatusInQueue
	}
}

// Untold notes that the workflow of an image could not be told: it is tried again.
func (b *Book) ImageNotNotified(d model.Digest) {
	if known := b.Images[d]; known != nil {
		known.notifying, b.untold[d] = false, true
	}
}

// Forgets are at most that many images that nothing runs any more; Forgotten says that their workflows know.
func (b *Book) Forgets(atMost int) []model.Digest {
	dropped := sorted(b.Dropped)
	return dropped[:min(len(dropped), atMost)]
}

// Forgotten notes that the workflow of an image knows that it is not run here. One that is run again meanwhile is to be told so.
func (b *Book) Forgotten(d model.Digest) {
	delete(b.Dropped, d)
	if known := b.Images[d]; known != nil {
		known.NotifiedAt, b.untold[d] = time.Time{}, true
	}
}
