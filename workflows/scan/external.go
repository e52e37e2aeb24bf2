package scan

import (
	"cmp"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// metricExternal counts what became of images that scanners of others had, where that is not a scan at the hub.
const metricExternal = "perceptor_external_scans_lost"

// external is the part of a scan that a scanner of others carries out.
type external struct{ *scanImage }

// claimed goes on with an image that was taken from the backlog for scanners of others: first it needs a lease.
func (s external) claimed(claim *activities.ExternalClaim) (workflows.Step, error) {
	if err := claim.Check(); err != nil {
		return "", temporal.NewNonRetryableApplicationError("the image was claimed wrongly: "+err.Error(), string(model.Invalid), nil)
	}
	s.state.External = claim
	return workflows.StepLease, nil
}

// afterLease is the step that needs the lease.
func afterLease(s *workflows.ScanState) workflows.Step {
	if s.External != nil {
		return workflows.StepExternal
	}
	return workflows.StepUpload
}

// pullPriority is the priority of the pull in the backlog. An image that no scanner of others took was at its turn already.
func pullPriority(in workflows.ScanImageInput, s *workflows.ScanState) temporal.Priority {
	priority := taskPriority(in.Priority, in.Namespace)
	if s.Returned > 0 {
		priority.PriorityKey = min(priority.PriorityKey, workflows.LevelSoon)
	}
	return priority
}

// scan offers the image, which now has a lease, to the scanners of others, and waits for the report of the one that takes
// it. Whatever the report says, the hub is asked: only its answer counts.
func (s external) scan(ctx workflow.Context) (workflows.Step, error) {
	s.state.Uploads++
	hub := s.state.Lease.Hub
	step := workflows.ExternalStep(ctx, s.in.Domain, fmt.Sprintf("external-%d", s.state.Uploads), "a scanner of others scans it for "+hub,
		s.state.External.Silence, taskPriority(s.in.Priority, s.in.Namespace))
	name := s.in.Names[0]
	name.Credential = ""
	var report workflows.ExternalReport
	err := workflow.ExecuteActivity(step, workflows.ScanExternally, workflows.ScanExternallyInput{
		Digest: s.in.Digest, Name: name, Hub: hub, HubNames: s.in.HubNames, Priority: s.in.Priority,
	}).Get(ctx, &report)
	switch {
	case ctx.Err() != nil:
		return "", err
	case timedOut(err, enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START) || err == nil && report.Returned:
		return s.notTaken(ctx), nil
	case timedOut(err, enumspb.TIMEOUT_TYPE_START_TO_CLOSE):
		s.noteLost(ctx, "silent", "scanner of others was silent for too long; hub is asked, then the image goes back to the backlog", "silence", s.state.External.Silence)
		return s.lost(ctx)
	}
	if err == nil {
		err = report.Check()
	}
	if err != nil {
		s.noteLost(ctx, "unreadable", "report of a scanner of others could not be read; hub is asked, then the image goes back to the backlog", "error", err)
		return s.lost(ctx)
	}
	return s.reported(ctx, report)
}

// lost looks at the hub for what a scanner of others may have left there. The image goes back to the backlog when the hub
// has nothing. Until then the lease stays out, and after that only the same hub will do.
func (s external) lost(ctx workflow.Context) (workflows.Step, error) {
	s.state.Bound = s.state.Lease.Hub
	scan, err := s.findScan(ctx, lookAgain{}, lookAgain{"until a last upload must have ended", workflows.UploadFence},
		lookAgain{"until the hub must show it", workflows.UploadFence})
	switch {
	case err != nil:
		return "", err
	case scan != nil:
		return s.uploaded(ctx, *scan), nil
	}
	s.pool.release(ctx)
	return workflows.StepPull, nil
}

// notTaken gives the image back to the backlog, for no scanner of others asked for work. The hub cannot have got anything.
func (s external) notTaken(ctx workflow.Context) workflows.Step {
	s.logger.Info("no scanner of others took the image; it goes back to the backlog")
	s.state.Returned++
	s.pool.release(ctx)
	return workflows.StepPull
}

// reported looks at the hub for what a scanner of others has reported.
func (s external) reported(ctx workflow.Context, report workflows.ExternalReport) (workflows.Step, error) {
	looks := []lookAgain{{}}
	if !report.Failed {
		// A hub may take a while to show what it has accepted.
		looks = append(looks, lookAgain{"until the hub must show the reported scan", workflows.UploadFence},
			lookAgain{"until even a slow hub must show the reported scan", 2 * workflows.UploadFence})
	}
	scan, err := s.findScan(ctx, looks...)
	switch {
	case err != nil:
		return "", err
	case scan != nil:
		return s.uploaded(ctx, *scan), nil
	case report.Failed:
		s.noteLost(ctx, "failed", "scanner of others could not scan the image", "scanner", report.Scanner, "reason", report.Reason)
		reason := "scanner " + report.Scanner + ": " + cmp.Or(report.Reason, "it gave no reason")
		return "", temporal.NewApplicationError(reason, string(model.Transient))
	}
	s.noteLost(ctx, "not-at-hub", "scanner of others reported success, but the hub has no scan; the image goes back to the backlog",
		"scanner", report.Scanner, "hub", s.state.Lease.Hub)
	s.pool.release(ctx)
	return workflows.StepPull, nil
}

// noteLost counts and logs that an image came back from a scanner of others without a scan at the hub.
func (s external) noteLost(ctx workflow.Context, outcome, message string, values ...any) {
	workflow.GetMetricsHandler(ctx).WithTags(map[string]string{"outcome": outcome}).Counter(metricExternal).Inc(1)
	s.logger.Warn(message, values...)
}
