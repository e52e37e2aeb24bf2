// Package catalog finds out what is in an image and writes it down as CycloneDX.
//
// Syft does the finding, over all package databases and language ecosystems it knows for images; the hub decides what
// any of it means. Syft and its parts write to the directory that TMPDIR names, which is the scratch directory here.
// Each of Syft's catalogers is wrapped: its questions about an image are written down with sums of the answers. For an image that
// gives the same answers, what was found before is found again (memo.go).
//
// What goes in: how Syft is set up, and what its failures mean. What may not: hubs, processes and the line protocol.
package catalog
