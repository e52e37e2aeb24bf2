package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// lease waits until the pool names a hub. A hub that is already at this image, for a scan that was lost, is looked at
// instead: what it has is taken.
func (s *scanImage) lease(ctx workflow.Context) (Step, error) {
	if s.state.Lease != nil {
		// It came while the run before this one ended.
		return StepUpload, nil
	}
	grant, err := s.pool.acquire(ctx)
	if err != nil {
		return "", err
	}
	if !grant.WaitFor {
		s.state.Lease = &grant
		return StepUpload, nil
	}
	scan, err := s.find(ctx, grant.Hub)
	if err != nil {
		return "", err
	}
	if activities.HubHasScan(scan, s.state.Previous[grant.Hub]) {
		s.state.Scan = &scan
		s.pool.release(ctx)
		return s.afterLookUp(ctx), nil
	}
	return StepLease, nil
}

// upload sends the listing to the hub of the lease. What became of an upload nobody heard the end of is found out
// before anything else is done.
func (s *scanImage) upload(ctx workflow.Context) (Step, error) {
	s.state.Uploads++
	hub := s.state.Lease.Hub
	var done activities.UploadScanResult
	err := s.onHost(ctx, "upload to "+hub, longestUpload, scannerSteps.UploadScan, activities.UploadScanInput{
		Workspace: *s.state.Workspace, Hub: hub, Names: s.in.HubNames, Attempt: s.state.Lease.Attempt, Previous: s.state.Previous[hub],
	}, &done)
	switch {
	case lost(err):
		return s.afterLostUpload(ctx, StepPull)
	case err != nil:
		return "", err
	case done.Trouble == nil:
		s.pool.succeeded(ctx, hub)
		s.state.Bound = ""
		s.state.Scan = &done.Scan
		return s.afterLookUp(ctx), nil
	case done.Refused:
		return s.refused(ctx, hub, done.Trouble)
	default:
		s.pool.failed(ctx, hub, done.Trouble, false)
		return s.afterLostUpload(ctx, StepLease)
	}
}

// refused gives the lease back after an upload the hub surely did not take, and asks for another when waiting can help.
func (s *scanImage) refused(ctx workflow.Context, hub string, trouble *activities.HubTrouble) (Step, error) {
	s.pool.failed(ctx, hub, trouble, false)
	s.pool.release(ctx)
	if !helpedByWaiting(trouble.Class) {
		return "", temporal.NewNonRetryableApplicationError(trouble.Reason, string(trouble.Class), nil)
	}
	return StepLease, nil
}

// afterLostUpload finds out what became of an upload whose outcome is unknown: it waits until the upload can no longer
// be going on, then asks the hub, twice when it knows nothing. Until then the lease stays out.
func (s *scanImage) afterLostUpload(ctx workflow.Context, again Step) (Step, error) {
	hub := s.state.Lease.Hub
	s.state.Bound = hub
	for _, wait := range []workflow.TimerOptions{{Summary: "until the lost upload must have ended"}, {Summary: "until the hub must show it"}} {
		if err := workflow.NewTimerWithOptions(ctx, UploadFence, wait).Get(ctx, nil); err != nil {
			return "", err
		}
		scan, err := s.find(ctx, hub)
		if err != nil {
			return "", err
		}
		if activities.HubHasScan(scan, s.state.Previous[hub]) {
			s.state.Bound = ""
			s.state.Scan = &scan
			return s.afterLookUp(ctx), nil
		}
	}
	s.pool.release(ctx)
	return again, nil
}

// find asks one hub for the scan for as long as it takes.
func (s *scanImage) find(ctx workflow.Context, hub string) (model.HubScan, error) {
	for {
		var found activities.LookUpScanResult
		step := hubStep(ctx, hub, "what does "+hub+" know of it", priorityFirst)
		err := workflow.ExecuteActivity(step, hubSteps.LookUpScan, activities.LookUpScanInput{Hub: hub, Name: s.in.HubNames.Scan}).Get(ctx, &found)
		if err != nil {
			return model.HubScan{}, err
		}
		if found.Trouble == nil {
			s.pool.succeeded(ctx, hub)
			found.Scan.Hub = hub
			return found.Scan, nil
		}
		if err := s.pool.waitOut(ctx, hub, found.Trouble); err != nil {
			return model.HubScan{}, err
		}
	}
}

// await waits until the hub is done, and gives the lease back the moment it is.
func (s *scanImage) await(ctx workflow.Context) (Step, error) {
	hub := s.state.Scan.Hub
	for {
		var waited activities.AwaitHubScanResult
		step := hubAwait(ctx, hub, "until "+hub+" is done")
		err := workflow.ExecuteActivity(step, hubSteps.AwaitHubScan, activities.AwaitHubScanInput{
			Scan: *s.state.Scan, Since: s.state.Awaiting, Answered: s.state.Answered, Longest: hubScanDeadline,
		}).Get(ctx, &waited)
		if err != nil {
			return "", err
		}
		s.state.Answered = waited.Answered
		if waited.Trouble == nil {
			s.pool.succeeded(ctx, hub)
			return s.awaited(ctx, waited)
		}
		if err := s.pool.waitOut(ctx, hub, waited.Trouble); err != nil {
			return "", err
		}
	}
}

func (s *scanImage) awaited(ctx workflow.Context, waited activities.AwaitHubScanResult) (Step, error) {
	hub := s.state.Scan.Hub
	if waited.Stuck {
		reason := fmt.Sprintf("hub %s has answered %q for %s", hub, waited.Scan.Detail, waited.Answered)
		return "", temporal.NewApplicationError(reason, string(model.Transient))
	}
	s.pool.release(ctx)
	switch waited.Scan.State {
	case model.HubScanComplete:
		waited.Scan.Hub = hub
		s.state.Scan = &waited.Scan
		return StepVerdict, nil
	case model.HubScanFailed:
		return "", temporal.NewApplicationError(fmt.Sprintf("hub %s could not scan it: %s", hub, waited.Scan.Detail), string(model.Transient))
	default:
		s.logger.Warn("scan lost by hub", "hub", hub)
		s.state.Scan, s.state.Answered = nil, 0
		return StepPull, nil
	}
}
