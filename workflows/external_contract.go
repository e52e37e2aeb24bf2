package workflows

import (
	"errors"
	"fmt"
	"time"

	"github.com/perceptor/perceptor/model"
)

// ScanExternally is the name of the step that a scanner of others carries out. No worker registers it: the REST API takes the step
// from its queue for the scanner, and completes it when the scanner reports.
const ScanExternally = "ScanExternally"

// ExternalQueue carries the images of a domain that have a lease and wait for a scanner of others to take them.
func ExternalQueue(domain string) string { return "external-" + domain }

// ExternalOffer is how long an image with a lease waits for a scanner of others to ask. The scanners of 2018 ask every 20 seconds.
const ExternalOffer = 30 * time.Second

// ScanExternallyInput is what a scanner of others needs to know.
type ScanExternallyInput struct {
	Digest model.Digest `json:"digest"`
	// Name is the first name of the image. The name of its credential is left out: a scanner of others has logins of its own.
	Name model.Name `json:"name"`
	// Hub is the hub of the lease; HubNames are what the scan is to be called there.
	Hub      string         `json:"hub"`
	HubNames model.HubNames `json:"hubNames"`
	Priority Priority       `json:"priority"`
}

// Check says what is wrong with an offered image.
func (in ScanExternallyInput) Check() error {
	if in.Name.Repository == "" {
		return errors.New("the image has no name")
	}
	return errors.Join(in.Digest.Check(), model.CheckHub(in.Hub))
}

// ExternalReport is the result of ScanExternally.
type ExternalReport struct {
	// Scanner is who reports, by the name of the token.
	Scanner string `json:"scanner,omitempty"`
	// Failed says that the scanner could not scan the image; Reason is its own text.
	Failed bool   `json:"failed,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Returned says that the scanner went away before it got the image.
	Returned bool `json:"returned,omitempty"`
}

// Check says what is wrong with a report.
func (r ExternalReport) Check() error {
	if r.Failed && r.Returned {
		return errors.New("a report says both failed and returned")
	}
	if err := model.CheckText("reason", r.Reason, model.ReasonLength); err != nil {
		return err
	}
	if n := len(r.Scanner); n > externalNameLength {
		return fmt.Errorf("the name of the scanner has %d bytes; at most %d are possible", n, externalNameLength)
	}
	return nil
}

// externalNameLength bounds the name of a scanner: that of a token, with an address.
const externalNameLength = 512
