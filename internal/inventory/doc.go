// Package inventory keeps the book of one namespace: its pods, which images they run, what is known of those images, and
// which pods are to be written to.
//
// Reports arrive twice, late and out of order; whatever their order, the book ends the same:
//   - a pod is known by its UID and has the version of the newest report that named it; an older one changes nothing;
//   - a pod that ended leaves a tombstone, so that a late report does not bring it back;
//   - a complete snapshot replaces everything older than itself: it removes what it does not name, it deletes the older
//     tombstones, and older reports are ignored from then on;
//   - a snapshot is complete when all its parts are there; one that never is removes nothing.
//
// A use is one way in which containers name an image: reference, reported digest, platform and credential. It is resolved
// once for all of them; what is known is kept once for each image, not for each container. The book refuses pods that
// would make it larger than a workflow's input may be, and says how many.
//
// What goes in: decisions. What may not: input and output, clocks (time is passed in), the order of a map, and the SDK; the
// book is a workflow's state, is replayed, and travels packed as JSON.
package inventory
