// Package archive reads an image in the form of "docker save": a tar with a manifest, a configuration and layers.
//
// Nothing is ever unpacked to the paths an image names. The archive is indexed once, and what is wanted is read at its
// place in the file; layers come out as streams, decompressed and counted, so that a layer that unpacks to more than
// the quota ends with that reason instead of a full disk. What goes in: the archive's form and its limits. What may
// not: looking at what the layers hold.
package archive
