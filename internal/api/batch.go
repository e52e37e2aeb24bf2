package api

import (
	"net/http"

	"github.com/perceptor/perceptor/model"
)

// StatusPartial is the status of a batch with some wrong items. It is a success, because the other items are stored. It
// is not 200, because a client that reads only the status must not believe that all items are stored.
const StatusPartial = http.StatusMultiStatus

const (
	// rejectedAtMost is how many wrong items an answer names.
	rejectedAtMost = 100
	// nameShown is how many bytes of a name an answer repeats.
	nameShown = 200
)

// Batch collects the items of a body: the good ones as pods, and what is wrong with the others.
type Batch struct {
	// Pods are the good items. Of several items with one name only the last one is here.
	Pods []model.Pod
	// Accepted counts the good items.
	Accepted int
	// Rejected are the wrong items, the first hundred of them; More counts the rest.
	Rejected []RejectedItem
	More     int

	index map[string]int
}

// RejectedItem is one item of a batch that was not accepted.
type RejectedItem struct {
	// Index counts from 0, in the order of the body.
	Index  int
	Name   string
	Reason string
}

// Add takes a pod, or notes why the item is wrong.
func (b *Batch) Add(i int, name string, p model.Pod, wrong error) {
	if wrong != nil {
		b.Reject(i, name, wrong)
		return
	}
	b.Accepted++
	same := p.UID
	if !p.Bare {
		same = p.Namespace + "/" + p.Name
	}
	if at, seen := b.index[same]; seen {
		b.Pods[at] = p
		return
	}
	if b.index == nil {
		b.index = map[string]int{}
	}
	b.index[same] = len(b.Pods)
	b.Pods = append(b.Pods, p)
}

// Reject notes why an item is wrong.
func (b *Batch) Reject(i int, name string, wrong error) {
	if len(b.Rejected) >= rejectedAtMost {
		b.More++
		return
	}
	if len(name) > nameShown {
		name = name[:nameShown] + "..."
	}
	b.Rejected = append(b.Rejected, RejectedItem{Index: i, Name: name, Reason: wrong.Error()})
}
