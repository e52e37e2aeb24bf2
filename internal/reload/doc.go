// Package reload keeps what was read from files up to date: a change is taken when the value is asked for next, within a second.
// It looks at what stands at the path, so files that are replaced, or are links to what is, as Kubernetes mounts them, are seen.
package reload
