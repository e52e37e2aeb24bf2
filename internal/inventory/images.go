package inventory

import (
	"slices"
	"time"

	"github.com/perceptor/perceptor/model"
)

// Image is one image that is run here and what is known of it.
type Image struct {
	Summary model.Summary `json:"summary"`
	// NotifiedAt is when its workflow was last notified that it is run here; zero before the first time.
	NotifiedAt time.Time `json:"notifiedAt,omitzero"`
	// Expired is the end of a green verdict for which the pods were marked to be written to again.
	Expired time.Time `json:"expired,omitzero"`
	// Chain is the first run ID of that workflow, once it was checked.
	Chain string `json:"chain,omitempty"`

	// notifying is set while its workflow is being notified or checked.
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

// ImageTable are the images of the namespace.
type ImageTable struct {
	// Images are those that uses lead to.
	Images map[model.Digest]*Image `json:"images,omitempty"`
	// Dropped are images that no pod here runs any longer and whose workflows have not been notified of that.
	Dropped map[model.Digest]bool `json:"dropped,omitempty"`

	// pending are the images whose workflows are to be notified or checked.
	pending map[model.Digest]bool
}

// addUse leads a resolved use to its image.
func (t *ImageTable) addUse(use *Use, number int) {
	known := t.Images[use.Digest]
	if known == nil {
		known = &Image{Summary: model.Unscanned(use.Digest)}
		t.Images[use.Digest] = known
	}
	delete(t.Dropped, use.Digest)
	known.addUse(number)
	if use.HubNames != nil {
		known.NotifiedAt = time.Time{} // the image does not know these names yet
	}
	if known.NotifiedAt.IsZero() {
		t.pending[use.Digest] = true
	}
}

// removeUse takes a use away from its image; an image that no pod runs any longer is dropped.
func (t *ImageTable) removeUse(d model.Digest, number int) {
	known := t.Images[d]
	if known == nil {
		return
	}
	delete(known.uses, number)
	if len(known.uses) > 0 {
		return
	}
	delete(t.Images, d)
	delete(t.pending, d)
	if !known.NotifiedAt.IsZero() || known.notifying {
		t.Dropped[d] = true
	}
}

// summaryOf is what is known of the image a use leads to; without one, whether it could not be found, and why.
func (t *ImageTable) summaryOf(use *Use) model.Summary {
	if known := t.Images[use.Digest]; known != nil {
		return known.Summary
	}
	s := model.Unscanned("")
	if use.Failure != nil {
		s.Status, s.Failure = model.StatusFailed, use.Failure
	}
	return s
}

// Learn records what an image says of itself, unless something as new is known.
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
		b.markDirtyAll(b.Uses[number])
	}
}

// ends is when the image's green verdict ends and its pods have to be written to again; zero when that is not ahead.
func (i *Image) ends() time.Time {
	s := i.Summary
	if s.OverallStatus != model.NotInViolation && s.OverallStatus != model.InViolationOverridden || s.Coverage.ValidUntil.Equal(i.Expired) {
		return time.Time{}
	}
	return s.Coverage.ValidUntil
}

// Expire marks the pods of images whose green verdicts have ended, until that many pods are marked: the others follow with the
// next call. It reports whether any were marked.
func (b *Book) Expire(now time.Time, atMost int) bool {
	some := false
	for _, d := range sorted(b.Images) {
		known := b.Images[d]
		if end := known.ends(); end.IsZero() || now.Before(end) {
			continue
		}
		if atMost <= 0 {
			break
		}
		known.Expired, b.counts, some = known.Summary.Coverage.ValidUntil, nil, true
		for _, number := range sorted(known.uses) {
			b.markDirtyAll(b.Uses[number])
			atMost -= len(b.Uses[number].pods)
		}
	}
	return some
}

// NextExpiry is when the next green verdict ends; zero when none does.
func (t *ImageTable) NextExpiry() time.Time {
	var next time.Time
	for _, d := range sorted(t.Images) {
		if end := t.Images[d].ends(); !end.IsZero() && (next.IsZero() || end.Before(next)) {
			next = end
		}
	}
	return next
}

// hubsAtMost bounds how many hubs of an image are kept.
const hubsAtMost = 5

// Ensure is what to send to the workflow of an image.
type Ensure struct {
	Digest   model.Digest
	Names    []model.Name
	Platform model.Platform
	HubNames *model.HubNames
	// Known is what is known of it here.
	Known model.Summary
	// Check says that it was notified not long ago: it is notified again only if it is not as it is known here.
	Check bool
	Chain string
}

// namesAtMost bounds the names that are sent of one image.
const namesAtMost = 10

// HasImages reports whether anything here runs an image that is known.
func (t *ImageTable) HasImages() bool { return len(t.Images) > 0 }

// Check has every image checked, or only those without a verdict.
func (t *ImageTable) Check(unscanned bool) {
	for _, d := range sorted(t.Images) {
		if !unscanned || t.Images[d].Summary.Status != model.StatusComplete {
			t.pending[d] = true
		}
	}
}

// Ensures are at most that many images whose workflows are to be notified or checked. Those last notified before a time are
// notified again. The work on them counts as under way until ImageNotified or ImageNotNotified is called.
func (b *Book) Ensures(before time.Time, atMost int) []Ensure {
	var ensures []Ensure
	for _, d := range sorted(b.pending) {
		known := b.Images[d]
		if len(ensures) == atMost {
			break
		}
		if known.notifying {
			continue
		}
		known.notifying = true
		delete(b.pending, d)
		e := ensureOf(d, known, b.Uses)
		e.Check, e.Chain = known.NotifiedAt.After(before), known.Chain
		ensures = append(ensures, e)
	}
	return ensures
}

// ensureOf is what to send to an image: the names of its uses, the most recently seen first, and what is known of it.
func ensureOf(d model.Digest, known *Image, uses map[int]*Use) Ensure {
	e := Ensure{Digest: d, Known: known.Summary}
	numbers := sorted(known.uses)
	slices.SortStableFunc(numbers, func(a, b int) int { return uses[b].At.Compare(uses[a].At) })
	for _, number := range numbers {
		use := uses[number]
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

// ImageNotified records that the workflow of an image has been notified; chain is set where it was only checked. An image of
// which nothing is known waits from then on.
func (t *ImageTable) ImageNotified(now time.Time, d model.Digest, chain string) {
	known := t.Images[d]
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

// ImageNotNotified records that the workflow of an image could not be notified: it is tried again.
func (t *ImageTable) ImageNotNotified(d model.Digest) {
	if known := t.Images[d]; known != nil {
		known.notifying, t.pending[d] = false, true
	}
}

// Forgets are at most that many images that no pod runs any longer; Forgotten records that their workflows know.
func (t *ImageTable) Forgets(atMost int) []model.Digest {
	dropped := sorted(t.Dropped)
	return dropped[:min(len(dropped), atMost)]
}

// Forgotten records that the workflow of an image knows that it is not run here. An image that is run again meanwhile is
// notified of that.
func (t *ImageTable) Forgotten(d model.Digest) {
	delete(t.Dropped, d)
	if known := t.Images[d]; known != nil {
		known.NotifiedAt, t.pending[d] = time.Time{}, true
	}
}
