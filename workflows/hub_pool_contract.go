package workflows

import "github.com/perceptor/perceptor/model"

// Updates of HubPool by an operator, with what they take and answer.
const (
	// UpdateLimit takes a HubLimit and answers a HubStatus.
	UpdateLimit = "limit"
	// UpdatePause and UpdateResume take the name of a hub and answer a HubStatus.
	UpdatePause  = "pause"
	UpdateResume = "resume"
	// UpdateReset takes a LeaseReset and answers a LeaseResetAnswer.
	UpdateReset = "reset"
)

// HubLimit changes how many scans a hub may have at a time, until the configuration names another number.
type HubLimit struct {
	Hub   string `json:"hub"`
	Limit int    `json:"limit"`
}

// LeaseReset frees leases of which an operator knows that the hub is done with them: the draining or stuck lease of one
// digest, or every stuck one.
type LeaseReset struct {
	Digest model.Digest `json:"digest,omitempty"`
	Stuck  bool         `json:"stuck,omitempty"`
}

// LeaseResetAnswer names the images whose leases were freed.
type LeaseResetAnswer struct {
	Freed []model.Digest `json:"freed"`
}
