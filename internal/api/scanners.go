package api

import (
	"context"

	"github.com/perceptor/perceptor/model"
)

// ExternalScanners gives images to scanners of others, and takes their reports.
type ExternalScanners interface {
	// NextImage hands out an image under a lease of its hub, or nil when there is none now. The error is a Failure of class
	// unsupported where no scanners of others take part. An image that a client did not get goes back by ReturnImage.
	NextImage(ctx context.Context, scanner string) (*ExternalScan, error)
	// ReturnImage gives back an image that could not be handed out after all.
	ReturnImage(ctx context.Context, scan *ExternalScan) error
	// FinishScan stores what a scanner reports of an image. Only the scanner that has the image may report on it. A reason says why
	// the scan failed; without one the scanner says that the hub has the scan. The error is a Failure of class not-found when no scan
	// of the image is known.
	FinishScan(ctx context.Context, scanner string, d model.Digest, failed bool, reason string) (ExternalOutcome, error)
}

// ExternalScan is an image for a scanner of others.
type ExternalScan struct {
	Digest model.Digest
	Name   model.Name
	Hub    string
	// HubNames are what the scan is to be called at the hub.
	HubNames model.HubNames
	// Priority is larger for more urgent images.
	Priority int
	// Handle is how the backend knows the image again.
	Handle any
}

// ExternalOutcome is what became of a report.
type ExternalOutcome string

// The outcomes of reports.
const (
	// ExternalAccepted: the report is stored, and the hub will be asked.
	ExternalAccepted ExternalOutcome = "accepted"
	// ExternalNotWaited: the scan waits for no report, because one has come already or its time is over.
	ExternalNotWaited ExternalOutcome = "not-waited-for"
	// ExternalOther: another scanner has the image.
	ExternalOther ExternalOutcome = "other-scanner"
)
