// Package inventory is the workflow Inventory: the pods of one namespace, the images that they run, and what is known of these.
//
// The join of pods and images is kept by the book of package internal/inventory. The workflow has its questions answered and its
// verdicts written. The rules:
//
//   - At most one step of each kind is under way, and a few for registries. A run does not end before its steps.
//   - The images are notified that the namespace runs them, and again twice a day; the reference lasts a day.
//   - Pods that could not be written to hold up no others.
//   - The cluster is sent the counts when they have changed, but not more often than every half minute.
//   - The inventory ends when the namespace has been empty for a day and its cluster knows that.
//
// The files: inventory.go is the loop. signals.go receives signals. resolve.go asks registries, steps.go notifies images and the
// cluster, write.go writes verdicts. status.go answers queries.
package inventory
