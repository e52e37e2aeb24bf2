// Package scratch measures how much room a scan client takes in its scratch directory.
//
// A zip bomb is small until it is unpacked, so both sides watch: the client stops itself with a clear reason, and its
// runner stops a client that does not. What goes in: measuring a directory tree. What may not: deleting anything.
package scratch
