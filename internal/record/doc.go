// Package record is everything known about one image: who refers to it, its verdicts, its failure, the scan under way, and
// what the inventories know. It decides what is due, and does nothing itself: no clock, no input and output, no Temporal.
// The workflow Image carries it from run to run as JSON, and carries out what it decides.
package record
