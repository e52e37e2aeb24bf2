// Package perceiver has what all perceivers share: the way to say what runs on a platform, the choice of namespaces and images, and
// how references are read.
//
// The contract: a perceiver reports model.PodReport with ever newer versions, first a snapshot, then changes: pods with their owning
// workload, the labels that an operator has chosen, the platform of their machine, and the images as they are named and as the runtime
// reports them. It may be asked to write rows of the join back (activities.VerdictWriter), and reports what it cannot do
// (package trouble). Package conformance runs the behaviours that every perceiver has; docs/perceivers.md explains them to users.
//
// The idea: a platform that can only be listed is watched by a Mirror. It is given a complete list each time, and reports what has
// changed since the last report that arrived. A platform that sends changes one by one has a package of its own for that.
//
// Rules:
//   - A perceiver knows a Reporter of one method and the nouns of package model, nothing of who is behind them.
//   - What comes from a platform is checked and bounded here, before it is reported.
//   - A list that is not complete is never reported as a snapshot: what could not be read is not absent.
//
// What may not go in: Temporal, the hub, a platform's client.
// Start reading at mirror.go.
package perceiver
