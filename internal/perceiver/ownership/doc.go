// Package ownership decides whose the labels and annotations on a pod are, and what a perceiver sends to bring a pod to the
// marks that its images say. It also decides whether a leader may still write, and whether a row is fresh enough.
//
// The rules:
//   - One perceiver in one form of keys is one field manager. Marks of its earlier forms and prefixes are taken away.
//   - A pod that was written to has a record: an annotation with the form and the prefix. It says that the keys of that form
//     are the perceiver's own, also after a restore or an edit, when other field managers own them.
//   - A key without a prefix of Perceptor's that another manager had before the first write stays as it is, and a second
//     annotation names it.
//
// Everything here is pure: no input and output, no clock, no state.
// Start reading at manager.go, then plan.go.
package ownership
