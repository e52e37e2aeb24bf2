package activities

import (
	"context"
	"fmt"
	"time"

	"github.com/perceptor/perceptor/model"
)

// Hub is what the steps need of one hub. internal/hub/blackduck satisfies it.
type Hub interface {
	// FindScan looks a scan up by its exact name; a scan the hub does not know is an answer, not an error.
	FindScan(ctx context.Context, name string) (model.HubScan, error)
	// ScanState asks again about a scan found or uploaded before.
	ScanState(ctx context.Context, scan model.HubScan) (model.HubScan, error)
	// Verdict reads the judgement of a complete scan.
	Verdict(ctx context.Context, scan model.HubScan) (model.Verdict, error)
	// Findings reads one page of the findings of a project version.
	Findings(ctx context.Context, versionURL string, offset, limit int) (model.FindingsPage, error)
	// Ready is the cheapest call that shows whether the hub works.
	Ready(ctx context.Context) error
	// UploadTarget says where a scan client uploads and as whom.
	UploadTarget(ctx context.Context) (model.UploadTarget, error)
	// Changes reads what happened at the hub between two times, and the hub's time when it answered. A hub that keeps no
	// such record answers with an error of class unsupported.
	Changes(ctx context.Context, since, until time.Time) ([]model.HubChange, time.Time, error)
	// DigestsOf lists the images whose scans are behind a project version, in one call; class not-found when it is gone.
	DigestsOf(ctx context.Context, versionURL string) ([]model.Digest, error)
}

// Hubs finds a hub by its configured name; which there are may change while steps run.
type Hubs interface {
	Hub(name string) (Hub, bool)
}

// HubMap is Hubs that do not change.
type HubMap map[string]Hub

// Hub finds a hub.
func (m HubMap) Hub(name string) (Hub, bool) {
	h, ok := m[name]
	return h, ok
}

// HubSteps are the steps on one hub's queue.
type HubSteps struct {
	hubs Hubs
	pool Pool
}

// NewHubSteps serves the given hubs. Leases are given back to the pool.
func NewHubSteps(hubs Hubs, pool Pool) *HubSteps { return &HubSteps{hubs: hubs, pool: pool} }

func (s *HubSteps) hub(name string) (Hub, error) { return hubOf(s.hubs, name) }

func hubOf(hubs Hubs, name string) (Hub, error) {
	if h, ok := hubs.Hub(name); ok {
		return h, nil
	}
	return nil, unknownHubError{name}
}

// unknownHubError is a configuration that differs between workers.
type unknownHubError struct{ name string }

func (e unknownHubError) Error() string {
	return fmt.Sprintf("hub %q: this worker has no hub of that name; give all workers the same hubs", e.name)
}

// FailureClass is transient, since another worker may know the hub.
func (e unknownHubError) FailureClass() model.FailureClass { return model.Transient }

// RetryAfter leaves the delay to the retry policy.
func (e unknownHubError) RetryAfter() time.Duration { return 0 }

// HubTrouble is a failure of a hub returned as a result, so that the workflow sees it and can report it to the pool.
type HubTrouble struct {
	Class      model.FailureClass `json:"class"`
	Reason     string             `json:"reason"`
	RetryAfter time.Duration      `json:"retryAfter,omitempty"`
	// Answered is how long the hub had answered "in progress" before, carried from one AwaitHubScan to the next.
	Answered time.Duration `json:"answered,omitempty"`
}

// troubleOf carries an edge's error as a result.
func troubleOf(err error) *HubTrouble {
	class, after := ClassOf(err)
	return &HubTrouble{Class: class, Reason: err.Error(), RetryAfter: after}
}

// quickRetries is how often the server repeats a call to a hub that failed in passing before the failure becomes a result.
const quickRetries = 2

// troubleOrRetry decides what a hub's failure becomes: a retry by the server while it may be passing and has happened
// at most twice, and a result after that, or at once when the hub said how long to stay away.
func troubleOrRetry(ctx context.Context, err error, failures int) (*HubTrouble, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	trouble := troubleOf(err)
	if trouble.Class == model.Transient && trouble.RetryAfter == 0 && failures <= quickRetries {
		return nil, asApplicationError(err)
	}
	return trouble, nil
}
