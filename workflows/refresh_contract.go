package workflows

import (
	"time"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// RefreshID is the id of the Schedule that keeps the verdicts of one hub fresh.
func RefreshID(hub string) string { return RefreshPrefix + hub }

// RefreshPrefix begins the id of every such Schedule, and of the workflows it starts.
const RefreshPrefix = "refresh/"

// RefreshHubInput starts one pass over what has changed at a hub.
type RefreshHubInput struct {
	Hub string `json:"hub"`
	// State is set when the pass goes on in a new run; otherwise the pass before left it.
	State *RefreshState `json:"state,omitempty"`
}

// RefreshState is what one pass leaves for the next. All its times but those of Sweep.Due are the hub's own.
type RefreshState struct {
	// Until is up to when the hub's list of changes was read; zero before its first answer.
	Until time.Time `json:"until,omitzero"`
	// Seen are changes already dealt with that the next pass will be shown again: versions, hashed, and milliseconds since 1970.
	Seen map[string]int64 `json:"seen,omitempty"`
	// Waiting are changes not dealt with yet, oldest first.
	Waiting []model.HubChange `json:"waiting,omitempty"`
	// Later are changes for the next pass.
	Later []model.HubChange `json:"later,omitempty"`
	// Sweep is set while every image of the hub is looked at.
	Sweep *RefreshSweep `json:"sweep,omitempty"`
	// Identity is the hub's own at its last answer, and Known the newest verdict that it was seen to have, a model.VersionKey. A hub
	// with another identity, or without that verdict, has lost data: all its images are looked at.
	Identity model.HubIdentity `json:"identity,omitzero"`
	Known    string            `json:"known,omitempty"`
	// Losses counts how often it had lost data.
	Losses int `json:"losses,omitempty"`
	// NoList says why the hub has no list of changes; its verdicts are then read again by age.
	NoList string `json:"noList,omitempty"`
	// Troubled is set while the pool has the report of a failure, and of no success after it.
	Troubled bool `json:"troubled,omitempty"`
	// Trouble is why the pass ended early; what it left is done by the next.
	Trouble *activities.HubTrouble `json:"trouble,omitempty"`
	// Read, Notified and Gone count this pass's verdicts read, images that took one, and images whose verdict is gone.
	Read     int `json:"read"`
	Notified int `json:"notified"`
	Gone     int `json:"gone"`
}

// RefreshSweep is one look at every image of a hub, share by share.
type RefreshSweep struct {
	// Before is the hub's time at the beginning: younger verdicts are left alone.
	Before time.Time `json:"before"`
	// Next is the next of Shares shares, After the last image of it that is done.
	Next   int          `json:"next"`
	Shares int          `json:"shares"`
	After  model.Digest `json:"after,omitempty"`
	// Due is when the next share may begin, for a sweep that takes its time.
	Due time.Time `json:"due,omitzero"`
}
