// Package registry watches the tags of one registry, and reports the image that each of them leads to.
//
// The idea: an event of a registry says only where to look. What is reported is what the registry answers afterwards, so nothing
// depends on the order of events, and an event that arrives twice, late or from an attacker changes nothing. All tags are read at the
// start and from time to time, which makes up for events that never arrive.
//
// What becomes what:
//
//	              namespace                       pod          UID
//	a tag         the repository, with colons     the tag      the sum of repository and tag
//	              in place of slashes
//
// Rules:
//   - An event is answered with 200 only after Perceptor has its report, or when nothing is to be reported.
//   - What the registry could not answer is not absent: what was known before stays, and no snapshot lacks it.
//   - Of an event nothing is used but names of repositories and tags. The registry is the configured one, whatever an event names.
//   - A registry that would send an event for ever gets an answer that ends it, and the event's place is read by the next walk.
//
// What may not go in: Temporal, the hub, what an image is judged by.
// Start reading at perceiver.go, then receiver.go, walk.go and state.go.
package registry
