package activities

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/model"
)

// AwaitHubScanInput names a scan that a hub works on.
type AwaitHubScanInput struct {
	Scan model.HubScan `json:"scan"`
	// Since is when the wait began, for the rhythm of polling.
	Since time.Time `json:"since"`
	// Answered is how long the hub had answered "in progress" in earlier steps.
	Answered time.Duration `json:"answered,omitempty"`
	// Longest is how long the hub may answer "in progress" before the scan counts as stuck.
	Longest time.Duration `json:"longest"`
}

// AwaitHubScanResult is the scan once the hub is done with it; otherwise Trouble, or Stuck.
type AwaitHubScanResult struct {
	Scan    model.HubScan `json:"scan"`
	Trouble *HubTrouble   `json:"trouble,omitempty"`
	// Stuck says that the hub answered "in progress" for longer than allowed.
	Stuck    bool          `json:"stuck,omitempty"`
	Answered time.Duration `json:"answered"`
}

// hubWait is what one poll keeps for the next one, and what Web UI shows between them.
type hubWait struct {
	// Hub is what the hub last said.
	Hub      string        `json:"hub"`
	Answered time.Duration `json:"answered"`
	// LastAnswer is when the hub last answered; zero after a failure.
	LastAnswer time.Time `json:"lastAnswer"`
	// Failures counts polls in a row without an answer.
	Failures int `json:"failures,omitempty"`
}

// keepEvery is how often a poll without news keeps something for the next one: a heartbeat costs the server as much as the
// poll. When the next poll fails, at most this much of the time that the hub answered is lost.
const keepEvery = 5 * time.Second

// inProgress is the type of the error that means "ask again later"; it is no failure.
const inProgress = "in-progress"

// AwaitHubScan asks a hub once. While the hub works on the scan the server keeps the timer until the next attempt, so a wait of
// hours holds no worker and writes no history.
func (s *HubSteps) AwaitHubScan(ctx context.Context, in AwaitHubScanInput) (AwaitHubScanResult, error) {
	h, err := s.hub(in.Scan.Hub)
	if err != nil {
		return AwaitHubScanResult{}, asApplicationError(err)
	}
	wait := hubWait{Answered: in.Answered}
	if activity.HasHeartbeatDetails(ctx) {
		if err := activity.GetHeartbeatDetails(ctx, &wait); err != nil {
			wait = hubWait{Answered: in.Answered}
		}
	}
	// What the next poll needs must be in every beat: the newest counts.
	beat := startHeartbeat(ctx, wait)
	scan, err := h.ScanState(ctx, in.Scan)
	beat.end()
	if err != nil {
		return wait.noAnswer(ctx, err)
	}
	if scan.State != model.HubScanInProgress {
		return AwaitHubScanResult{Scan: scan, Answered: wait.Answered}, nil
	}
	return wait.answered(ctx, scan, in)
}

func (w hubWait) noAnswer(ctx context.Context, err error) (AwaitHubScanResult, error) {
	w.Failures, w.LastAnswer = w.Failures+1, time.Time{}
	activity.RecordHeartbeat(ctx, w)
	trouble, retry := troubleOrRetry(ctx, err, w.Failures)
	if trouble != nil {
		trouble.Answered = w.Answered
	}
	return AwaitHubScanResult{Trouble: trouble, Answered: w.Answered}, retry
}

func (w hubWait) answered(ctx context.Context, scan model.HubScan, in AwaitHubScanInput) (AwaitHubScanResult, error) {
	now, before := time.Now(), w
	if !w.LastAnswer.IsZero() && now.After(w.LastAnswer) {
		w.Answered += now.Sub(w.LastAnswer)
	}
	w.Hub, w.LastAnswer, w.Failures = scan.Detail, now, 0
	if w.Answered > in.Longest {
		return AwaitHubScanResult{Scan: scan, Stuck: true, Answered: w.Answered}, nil
	}
	if w.isNews(before) {
		activity.RecordHeartbeat(ctx, w)
	}
	return AwaitHubScanResult{}, temporal.NewApplicationErrorWithOptions(
		fmt.Sprintf("hub %s works on the scan: %s", in.Scan.Hub, scan.Detail), inProgress,
		temporal.ApplicationErrorOptions{
			NextRetryDelay: pollDelay(now.Sub(in.Since)),
			Category:       temporal.ApplicationErrorCategoryBenign,
		})
}

// news reports whether the next poll must know of this one.
func (w hubWait) isNews(before hubWait) bool {
	return w.Hub != before.Hub || w.Failures != before.Failures || w.LastAnswer.Sub(before.LastAnswer) >= keepEvery
}

// pollDelay is how long to wait before the next poll: 2 % of the time waited so far, so that the delay costs little of it,
// between a quarter of a second and a minute.
func pollDelay(waited time.Duration) time.Duration {
	return min(max(waited/50, 250*time.Millisecond), time.Minute)
}

// ProbeHubInput names the hub to probe.
type ProbeHubInput struct {
	Hub string `json:"hub"`
}

// ProbeHubResult says whether the hub works; Trouble is nil when it does.
type ProbeHubResult struct {
	Trouble *HubTrouble `json:"trouble,omitempty"`
}

// ProbeHub makes the one cheap call that shows whether a closed hub works again. It runs on the hub's control queue.
func (s *HubSteps) ProbeHub(ctx context.Context, in ProbeHubInput) (ProbeHubResult, error) {
	h, err := s.hub(in.Hub)
	if err != nil {
		return ProbeHubResult{}, asApplicationError(err)
	}
	if err := h.Ready(ctx); err != nil {
		return ProbeHubResult{Trouble: troubleOf(err)}, nil
	}
	return ProbeHubResult{}, nil
}

// CheckHubScanInput names a scan at a hub.
type CheckHubScanInput struct {
	Hub  string `json:"hub"`
	Name string `json:"name"`
}

// CheckHubScanResult is what the hub knows, or why it could not say.
type CheckHubScanResult struct {
	Scan    model.HubScan `json:"scan"`
	Trouble *HubTrouble   `json:"trouble,omitempty"`
}

// CheckHubScan asks a hub whether it is done with a scan whose holder is gone.
func (s *HubSteps) CheckHubScan(ctx context.Context, in CheckHubScanInput) (CheckHubScanResult, error) {
	h, err := s.hub(in.Hub)
	if err != nil {
		return CheckHubScanResult{}, asApplicationError(err)
	}
	beat := startHeartbeat(ctx, askingHub(in.Hub))
	defer beat.end()
	scan, err := h.FindScan(ctx, in.Name)
	if err != nil {
		return CheckHubScanResult{Trouble: troubleOf(err)}, nil
	}
	return CheckHubScanResult{Scan: scan}, nil
}
