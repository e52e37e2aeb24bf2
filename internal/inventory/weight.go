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
	w := podWeight + len(uid) + len(p.Name) + ownerWeight(p.Workload, p.Labels)
	for _, c := range p.Containers {
		w += containerWeight + len(c.Name)
	}
	return w
}

// labelWeight is that of a label without its key and its value.
const labelWeight = 8

func ownerWeight(w model.Workload, labels map[string]string) int {
	weight := len(w.Kind) + len(w.Name)
	//workflowcheck:ignore a sum does not depend on the order
	for key, value := range labels {
		weight += labelWeight + len(key) + len(value)
	}
	return weight
}

func (u *Use) weight() int {
	w := useWeight + reasonLength + 2*len(u.Reference) + len(u.Repository) + len(u.Credential) + len(u.Reported) + len(u.Problem) +
		len(u.PlatformProblem) + 2*len(u.Engine)
	if u.HubNames != nil {
		w += len(u.HubNames.Project) + len(u.HubNames.Version) + len(u.HubNames.Scan)
	}
	return w
}

// weightOf is that of everything in the book.
func weightOf(b *Book) int {
	return b.podWeight + b.useWeight + imageWeight*len(b.Images) + tombstoneWeight*(len(b.Gone)+len(b.GoneNames))
}

// hasRoom reports whether there is room for a pod. The weight is far above the packed size. So that size is measured now and
// then, and gives the next weight up to which there surely is room.
func (b *Book) hasRoom(p model.Pod, known *Pod) bool {
	weight := weightOf(b)
	next := weight + podWeight + len(p.UID) + len(p.Name) + ownerWeight(p.Workload, p.Labels)
	for _, c := range p.Containers {
		next += containerWeight + len(c.Name)
		if _, ok := b.byKey[keyOf(p, c)]; !ok {
			use := Use{
				Reference: c.Reference, Reported: c.Digest, Repository: c.Repository, Credential: p.Credential, HubNames: c.HubNames, Problem: c.Problem,
				PlatformProblem: p.PlatformProblem, Engine: c.Engine,
			}
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
	if moved := weight - b.Measured; b.Measured > 0 && max(moved, -moved) < weight/64 {
		return false
	}
	b.Measured = weight
	b.Allowed = max(surelyFits, weight+(Limit-b.measure())*3/4)
	return next <= b.Allowed
}

// refusedAtMost is how many pods without room are named.
const refusedAtMost = 1000

// Refusals are pods for which there is no room, by UID; at most refusedAtMost.
type Refusals map[string]model.Version

func (r Refusals) add(v model.Version, uid string) {
	if _, ok := r[uid]; ok || len(r) < refusedAtMost {
		r[clip(uid, model.UIDLength)] = v
	}
}
