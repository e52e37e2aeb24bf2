// Package record is everything known about one image: its references, its verdicts, its failed attempts, the scan under way, and
// what the inventories know. It decides what is due, and does nothing itself: no clock, no input and output, no Temporal.
// The workflow Image carries it from run to run as JSON, and does what it decides.
//
// The files: image.go is the record as a whole, with observations and deadlines. references.go, attempts.go and publication.go are
// parts of it. scan.go decides on scans and takes their reports. summary.go is the image as others see it.
package record
