// Package lease keeps the book of the hubs' capacity: which scan holds a unit of which hub, which scans wait, and when a
// unit is free again.
//
// A lease belongs to a chain of workflow runs and to a digest. It is never freed because its holder ended, but because the
// hub is done: a lease whose holder is gone drains, the hub is asked for the scan, and the lease is freed when the hub has
// finished it, or has twice answered that it knows no such scan after everything that could still upload it is surely dead.
// Everything that arrives here may arrive twice, late, or never; what arrives twice or late changes nothing.
//
// The rules that must hold at every moment:
//   - a grant never takes a hub over the limit in force when it is made; draining and stuck leases count;
//   - a digest has one lease at a time, even if several scans ask;
//   - attempt ids grow strictly, also across a book that lost its state;
//   - among waiters of one priority none is overtaken on a hub that it accepts; every tenth grant of a hub goes to the one of any
//     priority that waited longest, so that a waiter is served after at most ten times as many grants of that hub as there were
//     waiters when it got its priority;
//   - a cold book, one that lost its state, grants nothing until every holder has been heard.
//
// What goes in: decisions. What may not: input and output, clocks (time is passed in), randomness, maps whose order could
// show, and the SDK; the book is part of a workflow's state, is replayed, and travels as JSON.
package lease
