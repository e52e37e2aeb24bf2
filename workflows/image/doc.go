// Package image is the workflow Image: one image, from its first reference until a day after its last.
//
// Package record decides what is known and what is due; the workflow carries it out. The rules:
//
//   - An image has at most one scan at a time. The scan is abandoned, not owned: it outlives the run that started it.
//   - The report of the scan counts. The server is asked now and then whether a scan that has not reported is still open.
//   - A failed scan is tried again after a growing delay, as long as something refers to the image.
//   - Inventories that refer to the image are sent its summary whenever it changes.
//
// The files: image.go is the loop. signals.go receives signals. steps.go starts scans and publishes summaries. status.go answers
// queries.
package image
