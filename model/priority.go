package model

// Priority says why an image is scanned, and with that how urgent its scan is.
type Priority string

// The priorities, most urgent first: a person waits; a pod runs the image; the image was reported by itself; nothing waits.
const (
	PriorityInteractive Priority = "interactive"
	PriorityPod         Priority = "pod"
	PriorityImage       Priority = "image"
	PriorityBackground  Priority = "background"
)

var priorities = []Priority{PriorityInteractive, PriorityPod, PriorityImage, PriorityBackground}

// Rank is 0 for the most urgent priority and grows from there. An unknown priority ranks after all others.
func (p Priority) Rank() int {
	for rank, each := range priorities {
		if each == p {
			return rank
		}
	}
	return len(priorities)
}

// PriorityOf is the inverse of Rank; it is empty for a rank that no priority has.
func PriorityOf(rank int) Priority {
	if rank < 0 || rank >= len(priorities) {
		return ""
	}
	return priorities[rank]
}
