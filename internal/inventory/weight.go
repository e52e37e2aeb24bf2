package inventory

import (
	"github.com/perceptor/perceptor/model"
)

// inputLimit is the server's limit of one payload, and Limit how large a packed book may become: four fifths of it, so that
// what is learned of the images that are here still fits.
const (
	inputLimit = 2 << 20
	Limit      = inputLimit * 4 / 5
)

// surelyFits is a weight at which a book fits even if nothing in it can be compressed: packed text is a third larger than
// what it packs.
const surelyFits = Limit * 3 / 4

// The weights bound from above what things are as JSON.
const (
	podWeight       = 110
	containerWeight = 40
	useWeight       = 400
	imageWeight     = 1500
	tombstoneWeight = 110
)

func (p *Pod) weight(uid string) int {
	w := podWeight + len(uid) + len(p.Name)
	for _, c := range p.Containers {
		w += containerWeight + len(c.Name)
	}
	return w
}

func (u *Use) weight() int {
	w := useWeight + reasonLength + 2*len(u.Reference) + len(u.Credential) + len(u.Reported)
	if u.HubNames != nil {
		w += len(u.HubNames.Project) + len(u.HubNames.Version) + len(u.HubNames.Scan)
	}
	return w
}

// room reports whether there is room for a pod. What is weighed is far above the packed size, so that is measured now and
// then, and the weight up to which there surely is room is set anew.
func (b *Book) room(p model.Pod, known *Pod) bool {
	next := b.weight + podWeight + len(p.UID) + len(p.Name)
	for _, c := range p.Containers {
		next += containerWeight + len(c.Name)
		if _, ok := b.byKey[keyOf(p, c)]; !ok {
			use := Use{Reference: c.Reference, Reported: c.Digest, Credential: p.Credential, HubNames: c.HubNames}
			next += use.weight() + imageWeight
		}
	}
	if known != nil {
		next -= known.weight(p.UID)
	}
	if next <= b.Allowed {
		return true
	}
	// A book whose weight has hardly changed since it was measured is not measured again.
	if moved := b.weight - b.Measured; b.Measured > 0 && max(moved, -moved) < b.weight/64 {
		return false
	}
	b.Measured = b.weight
	b.Allowed = max(surelyFits, b.weight+(Limit-b.measure())*3/4)
	return next <= b.Allowed
}

// refuse notes a pod for which there is no room.
func (b *Book) refuse(v model.Version, uid string) {
	if _, ok := b.Refused[uid]; ok || len(b.Refused) < refusedAtMost {
		b.Refused[clip(uid, model.UIDLength)] = v
		b.counts = nil
	}
}

// admit takes a pod off the list of those without room.
func (b *Book) admit(uid string) {
	if _, ok := b.Refused[uid]; ok {
		delete(b.Refused, uid)
		b.counts = nil
	}
}
