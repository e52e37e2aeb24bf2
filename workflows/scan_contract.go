package workflows

import (
	"time"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// ScanImageInput starts a ScanImage, or carries it into its next run.
type ScanImageInput struct {
	Digest model.Digest `json:"digest"`
	// Names are tried in order.
	Names    []model.Name   `json:"names"`
	HubNames model.HubNames `json:"hubNames"`
	Domain   string         `json:"domain"`
	Priority Priority       `json:"priority"`
	// Namespace shares out the backlog fairly among the images of one priority.
	Namespace string `json:"namespace,omitempty"`
	// Rescan asks for a new scan even where a hub has a complete one.
	Rescan bool `json:"rescan,omitempty"`
	// AskAll is set when an earlier scan may have left something at a hub that was never reported. A hub that cannot be asked now
	// is then waited for, since an upload to another hub would be the second.
	AskAll bool `json:"askAll,omitempty"`
	// Attempt counts the scans of this image since its last success, from 1.
	Attempt int `json:"attempt"`
	// State is set when the scan goes on in a new run.
	State *ScanState `json:"state,omitempty"`
}

// MemoImage is the memo of a ScanImage with its ScanStart: Web UI shows there which image the scan is of.
const MemoImage = "image"

// ScanStart says who has started a scan.
type ScanStart struct {
	// Image is the workflow ID of the image.
	Image string `json:"image"`
	// Key is the key of activities.StartScanInput.
	Key string `json:"key"`
}

// Step is where in its story a scan is.
type Step string

// The steps, in the order of the story. StepSBOM is only the step of a failure: the part of the pull after the pull itself.
const (
	StepLookUp Step = "look-up"
	StepPull   Step = "pull"
	StepSBOM   Step = activities.PartSBOM
	StepLease  Step = "lease"
	StepUpload Step = "upload"
	// StepExternal is instead of the upload, where a scanner of others scans the image.
	StepExternal Step = "external"
	StepAwait    Step = "await"
	StepVerdict  Step = "verdict"
	StepReport   Step = "report"
	StepDone     Step = "done"
)

// ScanState is all a scan knows; it goes with it into its next run.
type ScanState struct {
	// Chain is the first run id: the key of the scan's lease and of its workspaces.
	Chain   string    `json:"chain"`
	Started time.Time `json:"started"`
	Step    Step      `json:"step"`
	// Hubs are the hubs that were there at the look-up; Skipped those that could not be asked.
	Hubs    []string `json:"hubs,omitempty"`
	Skipped []string `json:"skipped,omitempty"`
	// Previous is, per hub, the complete scan that a rescan replaces.
	Previous map[string]string `json:"previous,omitempty"`
	// Workspace is set from the pull until the upload: the SBOM of the image is in it.
	Workspace *activities.Workspace `json:"workspace,omitempty"`
	Pulls     int                   `json:"pulls,omitempty"`
	// External is set from the pull on, while a scanner of others has the image or is to get it. Returned counts how many times
	// no scanner of others took the image.
	External *activities.ExternalClaim `json:"external,omitempty"`
	Returned int                       `json:"returned,omitempty"`
	// Components is how many the scan client found.
	Components int `json:"components,omitempty"`
	// Lease is set while a lease is held; Bound is the hub an upload of unknown outcome went to.
	Lease *Grant `json:"lease,omitempty"`
	Bound string `json:"bound,omitempty"`
	// Newest is the newest attempt granted so far, also when it was given back.
	Newest model.AttemptID `json:"newest,omitzero"`
	// Uploads counts uploads begun.
	Uploads int `json:"uploads,omitempty"`
	// Scan is the scan at the hub once there is one; Answered how long the hub has said "in progress".
	Scan     *model.HubScan `json:"scan,omitempty"`
	Awaiting time.Time      `json:"awaiting"`
	Answered time.Duration  `json:"answered,omitempty"`
	// Troubled are the hubs whose last answer was a failure.
	Troubled map[string]bool `json:"troubled,omitempty"`
	Verdict  *model.Verdict  `json:"verdict,omitempty"`
	Failure  *model.Failure  `json:"failure,omitempty"`
	// Waiting says in words what the scan waits for.
	Waiting string `json:"waiting,omitempty"`
	// Rejected counts the messages that failed their checks and were dropped.
	Rejected model.Rejections `json:"rejected,omitzero"`
}

// ScanView is what a ScanImage answers to QueryStatus.
type ScanView struct {
	Digest   model.Digest     `json:"digest"`
	Name     string           `json:"name"`
	Status   model.ScanStatus `json:"status"`
	Priority Priority         `json:"priority"`
	Attempt  int              `json:"attempt"`
	// WaitingFor says in words what the scan waits for.
	WaitingFor string    `json:"waitingFor"`
	State      ScanState `json:"state"`
}

// WorkspaceView is what a ScanImage answers to QueryWorkspace.
type WorkspaceView struct {
	// Chain is the first run id of the scan that answers.
	Chain string `json:"chain"`
	// Undecided is set while a pull is under way: its workspace may be on any host.
	Undecided bool `json:"undecided,omitempty"`
	// Host and Workspace are where the image lies; both are empty when the scan needs no workspace any more.
	Host      string `json:"host,omitempty"`
	Workspace string `json:"workspace,omitempty"`
}
