// Package samples makes images to be scanned and pushes them to a registry.
//
// Idea: nothing is faked. The images hold programs that were built beside this
// one, two of them with a library of which vulnerabilities are published and
// mended, and, where the machine can make one, a Debian root file system.
//
// Rules: the same inputs give the same digests, so that a restart pushes
// nothing and scans nothing again. What a scan should find in an image is not
// known here and may not go in.
package samples
