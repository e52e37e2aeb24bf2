// Package model holds the nouns everybody speaks: images and their names, scans, verdicts, findings and failures.
//
// An image is one platform manifest and is named by that manifest's digest; tags and repositories are only names of it.
// The package does no I/O and knows neither Temporal nor any hub, so that every other package may import it.
// What goes in: types that cross at least one package border, their validation and their ordering.
// What may not: anything that opens a file, a socket or a workflow.
package model
