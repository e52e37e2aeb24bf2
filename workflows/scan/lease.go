package scan

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// hubScanDeadline is how long a hub may answer "in progress" for one scan; time without an answer does not count.
const hubScanDeadline = 2 * time.Hour

// lease waits until the pool names a hub. A hub may scan this image already, for a scan that was lost. Then the scan there is
// used.
func (s *scanImage) lease(ctx workflow.Context) (workflows.Step, error) {
	if s.state.Lease != nil {
		// It came while the run before this one ended.
		return afterLease(s.state), nil
	}
	grant, err := s.pool.acquire(ctx)
	if err != nil {
		return "", err
	}
	if !grant.WaitFor {
		s.state.Lease = &grant
		return afterLease(s.state), nil
	}
	scan, err := s.askAgain(ctx, grant.Hub)
	if err != nil {
		return "", err
	}
	if activities.HubHasScan(scan, s.state.Previous[grant.Hub]) {
		s.state.Scan = &scan
		s.pool.release(ctx)
		return s.afterLookUp(ctx), nil
	}
	return workflows.StepLease, nil
}

// upload sends the SBOM to the hub of the lease. When the outcome of an upload is unknown, it is found out before anything else
// is done.
func (s *scanImage) upload(ctx workflow.Context) (workflows.Step, error) {
	s.state.Uploads++
	hub := s.state.Lease.Hub
	var done activities.UploadScanResult
	err := s.onHost(ctx, "upload to "+hub, workflows.LongestUpload, scannerSteps.UploadScan, activities.UploadScanInput{
		Workspace: *s.state.Workspace, Hub: hub, Names: s.in.HubNames, Attempt: s.state.Lease.Attempt, Previous: s.state.Previous[hub],
	}, &done)
	switch {
	case lost(err):
		return s.afterLostUpload(ctx, workflows.StepPull)
	case err != nil:
		return "", err
	case done.Trouble == nil:
		s.pool.reportSuccess(ctx, hub)
		return s.uploaded(ctx, done.Scan), nil
	case done.Refused:
		return s.refused(ctx, hub, done.Trouble)
	default:
		s.pool.reportFailure(ctx, hub, done.Trouble, false)
		return s.afterLostUpload(ctx, workflows.StepLease)
	}
}

// uploaded goes on with the scan that the hub has. A complete one needs the lease no longer.
func (s *scanImage) uploaded(ctx workflow.Context, scan model.HubScan) workflows.Step {
	s.state.Bound, s.state.Scan = "", &scan
	next := s.afterLookUp(ctx)
	if next == workflows.StepVerdict {
		s.pool.release(ctx)
	}
	return next
}

// refused gives the lease back after an upload the hub surely did not take, and asks for another when waiting can help.
func (s *scanImage) refused(ctx workflow.Context, hub string, trouble *activities.HubTrouble) (workflows.Step, error) {
	s.pool.reportFailure(ctx, hub, trouble, false)
	s.pool.release(ctx)
	if !helpedByWaiting(trouble.Class) {
		return "", temporal.NewNonRetryableApplicationError(trouble.Reason, string(trouble.Class), nil)
	}
	return workflows.StepLease, nil
}

// afterLostUpload finds out what became of an upload whose outcome is unknown: it waits until the upload can no longer
// be going on, then asks the hub, twice when it knows nothing. Until then the lease stays out.
func (s *scanImage) afterLostUpload(ctx workflow.Context, again workflows.Step) (workflows.Step, error) {
	s.state.Bound = s.state.Lease.Hub
	scan, err := s.findScan(ctx, lookAgain{"until the lost upload must have ended", workflows.UploadFence}, lookAgain{"until the hub must show it", workflows.UploadFence})
	switch {
	case err != nil:
		return "", err
	case scan != nil:
		return s.uploaded(ctx, *scan), nil
	}
	s.pool.release(ctx)
	return again, nil
}

// lookAgain is one look at the hub, after a wait.
type lookAgain struct {
	summary string
	wait    time.Duration
}

// findScan looks for the scan at the hub of the lease, after each of the waits. It answers nil when the hub never had it.
func (s *scanImage) findScan(ctx workflow.Context, looks ...lookAgain) (*model.HubScan, error) {
	hub := s.state.Lease.Hub
	for _, look := range looks {
		if look.wait > 0 {
			if err := workflow.NewTimerWithOptions(ctx, look.wait, workflow.TimerOptions{Summary: look.summary}).Get(ctx, nil); err != nil {
				return nil, err
			}
		}
		scan, err := s.askAgain(ctx, hub)
		if err != nil {
			return nil, err
		}
		if activities.HubHasScan(scan, s.state.Previous[hub]) {
			return &scan, nil
		}
	}
	return nil, nil
}

// await waits until the hub is done. The step gives the lease back the moment it is, and brings the verdict.
func (s *scanImage) await(ctx workflow.Context) (workflows.Step, error) {
	hub := s.state.Scan.Hub
	for {
		var waited activities.AwaitHubScanResult
		step := workflows.HubAwaitStep(ctx, hub, "until "+hub+" is done")
		err := workflow.ExecuteActivity(step, hubSteps.AwaitHubScan, activities.AwaitHubScanInput{
			Scan: *s.state.Scan, Since: s.state.Awaiting, Answered: s.state.Answered, Longest: hubScanDeadline, Release: s.pool.handOver(ctx),
		}).Get(ctx, &waited)
		if err != nil {
			return "", err
		}
		s.state.Answered = waited.Answered
		if waited.Trouble == nil {
			s.pool.reportSuccess(ctx, hub)
			return s.awaited(ctx, waited)
		}
		if err := s.pool.waitUntilAvailable(ctx, hub, waited.Trouble); err != nil {
			return "", err
		}
	}
}

func (s *scanImage) awaited(ctx workflow.Context, waited activities.AwaitHubScanResult) (workflows.Step, error) {
	hub := s.state.Scan.Hub
	if waited.Stuck {
		reason := fmt.Sprintf("hub %s has answered %q for %s", hub, waited.Scan.Detail, waited.Answered)
		return "", temporal.NewApplicationError(reason, string(model.Transient))
	}
	if waited.Released {
		s.pool.released()
	} else {
		s.pool.release(ctx)
	}
	switch waited.Scan.State {
	case model.HubScanComplete:
		waited.Scan.Hub = hub
		s.state.Scan = &waited.Scan
		if waited.Verdict == nil {
			return workflows.StepVerdict, nil
		}
		return s.judged(*waited.Verdict), nil
	case model.HubScanFailed:
		return "", temporal.NewApplicationError(fmt.Sprintf("hub %s could not scan it: %s", hub, waited.Scan.Detail), string(model.Transient))
	default:
		s.logger.Warn("hub lost the scan; it is pulled again", "hub", hub)
		s.state.Scan, s.state.Answered = nil, 0
		return workflows.StepPull, nil
	}
}

// fetchVerdict reads what the hub says of the image, where the step that waited has not.
func (s *scanImage) fetchVerdict(ctx workflow.Context) (workflows.Step, error) {
	for {
		var read activities.FetchVerdictResult
		step := workflows.HubStep(ctx, s.state.Scan.Hub, "read the verdict", workflows.LevelFirst)
		if err := workflow.ExecuteActivity(step, hubSteps.FetchVerdict, activities.FetchVerdictInput{Scan: *s.state.Scan}).Get(ctx, &read); err != nil {
			return "", err
		}
		if read.Trouble == nil {
			s.pool.reportSuccess(ctx, s.state.Scan.Hub)
			return s.judged(read.Verdict), nil
		}
		if err := s.pool.waitUntilAvailable(ctx, s.state.Scan.Hub, read.Trouble); err != nil {
			return "", err
		}
	}
}

// judged notes the verdict of the hub.
func (s *scanImage) judged(verdict model.Verdict) workflows.Step {
	verdict.ScanStarted = s.state.Started
	verdict.SkippedHubs = slices.DeleteFunc(slices.Clone(s.state.Skipped), func(hub string) bool { return hub == s.state.Scan.Hub })
	s.state.Verdict = &verdict
	return workflows.StepReport
}
