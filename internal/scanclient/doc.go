// Package scanclient runs a scan client as a child process: a program that lists what is in an image tar and sends
// that list to a hub, and that may hang, fork, flood, grow or die on any content of the image.
//
// The worker must outlive every such image, so nothing the client does is trusted. It speaks the line protocol of
// package protocol on its standard output and gets, besides, a time limit, a limit on the resident memory of its
// whole family of processes, a quota on its scratch directory, and an environment of a few variables. However a run
// ends, every process of the family is killed, the scratch directory is removed, and an unfinished SBOM too.
//
// The built-in client may be kept (kept.go): it lists one image after the other, each within the same limits, and is killed with
// its family after an image that failed or was odd, after many images, and when it holds much memory.
//
// How a client dies with its worker: it is started with a parent-death signal, and its standard input is a pipe whose
// other end only the worker holds. The kernel sends the signal when the *thread* that started the child ends, not the
// process, so that thread is locked to a goroutine which lives as long as the child (child.go).
//
// How a family is found (family.go): by process group, by descent, and by a mark in the environment that survives
// setsid and a parent's death. The worker does not make itself a child subreaper: that would be a setting of the whole
// process, and every orphan of every other library in it would land here with no process to reap it. Orphans that land
// here anyway, as they do where the worker is a container's first process, are reaped.
//
// What goes in: processes, their limits, and what their endings mean. What may not: reading images, talking to hubs.
package scanclient
