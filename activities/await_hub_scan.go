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
	// Release gives the scan's lease back. The pool is sent it the moment the hub is done; nil when there is no lease. It may be
	// sent again by the next attempt of the step, which changes nothing: it names the attempt of the lease.
	Release *SignalPoolInput `json:"release,omitempty"`
}

// AwaitHubScanResult is the scan once the hub is done with it; otherwise Trouble, or Stuck.
type AwaitHubScanResult struct {
	Scan    model.HubScan `json:"scan"`
	Trouble *HubTrouble   `json:"trouble,omitempty"`
	// Stuck says that the hub answered "in progress" for longer than allowed.
	Stuck    bool          `json:"stuck,omitempty"`
	Answered time.Duration `json:"answered"`
	// Released says that the pool has got the Release. Otherwise the workflow sends it.
	Released bool `json:"released,omitempty"`
	// Verdict is the judgement of a complete scan; nil when it could not be read. Then the workflow reads it by FetchVerdict.
	Verdict *model.Verdict `json:"verdict,omitempty"`
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

// releaseWithin bounds how long a step tries to give a lease back; the workflow does it if that fails.
const releaseWithin = 5 * time.Second

// AwaitHubScan asks a hub whether it is done with a scan. While the hub works on the scan the server keeps the timer until the
// next attempt, so a wait of hours holds no worker and writes no history. When the hub is done, the step gives the lease back
// and reads the verdict: the next scan has the lease without waiting for a task of this one's workflow.
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
	scan, err := poll(ctx, h, in)
	if err == nil && scan.State != model.HubScanInProgress {
		defer beat.end()
		return s.takeDone(ctx, h, in, AwaitHubScanResult{Scan: scan, Answered: wait.Answered}), nil
	}
	beat.end()
	if err != nil {
		return wait.noAnswer(ctx, err)
	}
	return wait.answered(ctx, scan, in)
}

// quickPoll is when a hub is asked for the second time that has just got a scan: some are done by then. quickWithin is for how
// long after the upload that is worth a call.
const (
	quickPoll   = 100 * time.Millisecond
	quickWithin = time.Second
)

// poll asks a hub for a scan. Soon after the upload it asks twice, since another attempt of the step would come later and cost the
// Temporal server two writes.
func poll(ctx context.Context, h Hub, in AwaitHubScanInput) (model.HubScan, error) {
	scan, err := h.ScanState(ctx, in.Scan)
	if err != nil || scan.State != model.HubScanInProgress || time.Since(in.Since) > quickWithin {
		return scan, err
	}
	select {
	case <-time.After(quickPoll):
		return h.ScanState(ctx, in.Scan)
	case <-ctx.Done():
		return scan, nil
	}
}

// takeDone gives the lease of a scan back that the hub is done with, and reads its verdict. What does not work the first time is
// left to the workflow, which has other means: only the state of the scan is sure to be in the result.
func (s *HubSteps) takeDone(ctx context.Context, h Hub, in AwaitHubScanInput, result AwaitHubScanResult) AwaitHubScanResult {
	logger := activity.GetLogger(ctx)
	if in.Release != nil {
		short, cancel := context.WithTimeout(ctx, releaseWithin)
		defer cancel()
		if err := s.pool.Signal(short, in.Release.Name, in.Release.Value); err != nil {
			logger.Warn("lease could not be given back; the workflow does it", "hub", in.Scan.Hub, "error", err)
		} else {
			result.Released = true
		}
	}
	if result.Scan.State != model.HubScanComplete {
		return result
	}
	complete := result.Scan
	complete.Hub = in.Scan.Hub
	verdict, err := h.Verdict(ctx, complete)
	if err != nil {
		logger.Info("verdict could not be read; the workflow asks again", "hub", in.Scan.Hub, "error", err)
		return result
	}
	verdict.Hub = in.Scan.Hub
	result.Verdict = &verdict
	return result
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
