// Package layers reads the layers of an image once: it inflates each, hashes it, and writes down what it holds.
//
// What is known of a layer depends on the layer alone, so it is kept on the host beside the inflated layer and serves every
// image with that layer. A kept layer is believed only after its digest was computed from its contents, and its index is
// summed up. An image is put together from its layers as a runtime does that, in the form in which Syft reads images.
//
// Everything in a layer is hostile: the number of entries, the length of paths, the hops of links and the size of what is
// expanded are bounded, and nothing is written to a path that a layer names. What goes in: tars, links, whiteouts, programs'
// marks. What may not: packages.
package layers
