package workflows

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// pullsAtMost is how often a scan pulls its image anew because a host was lost, before Image tries again later.
const pullsAtMost = 5

// lookUp asks every hub that can be asked, all at once, whether it has the image or is at it.
func (s *scanImage) lookUp(ctx workflow.Context) (Step, error) {
	hubs, err := s.hubs(ctx)
	if err != nil {
		return "", err
	}
	s.state.Hubs, s.state.Skipped = nil, nil
	answers := make([]workflow.Future, len(hubs))
	for i, hub := range hubs {
		s.state.Hubs = append(s.state.Hubs, hub.Name)
		if hub.Unavailable == "" {
			answers[i] = s.askHub(ctx, hub.Name)
		}
	}
	for i, hub := range hubs {
		if err := s.takeAnswer(ctx, hub.Name, answers[i]); err != nil {
			return "", err
		}
	}
	if s.in.AskAll {
		if err := s.askSkipped(ctx); err != nil {
			return "", err
		}
	}
	return s.afterLookUp(ctx), nil
}

// askSkipped waits for the hubs that could not be asked, until one has the image or all have said that they have not.
func (s *scanImage) askSkipped(ctx workflow.Context) error {
	for s.state.Scan == nil && len(s.state.Skipped) > 0 {
		hub := s.state.Skipped[0]
		scan, err := s.find(ctx, hub)
		if err != nil {
			return err
		}
		s.state.Skipped = s.state.Skipped[1:]
		s.note(hub, scan)
	}
	return nil
}

// hubs asks the pool for as long as it takes: that it is slow to answer, while its worker is dead or busy, says nothing of
// the image.
func (s *scanImage) hubs(ctx workflow.Context) ([]activities.HubState, error) {
	for {
		var known activities.ListHubsResult
		err := workflow.ExecuteLocalActivity(localStep(ctx, "which hubs are there"), scanSteps.ListHubs).Get(ctx, &known)
		if err == nil {
			s.state.Waiting = ""
			return known.Hubs, nil
		}
		_, reason := activities.FailureOf(err)
		s.logger.Warn("the pool of hubs does not answer", "error", err)
		s.state.Waiting = "the pool of hubs to answer: " + reason
		s.updateDetails(ctx)
		if err := workflow.Sleep(ctx, announceEvery); err != nil {
			return nil, err
		}
	}
}

func (s *scanImage) askHub(ctx workflow.Context, hub string) workflow.Future {
	ctx = hubLookUp(ctx, hub, "does "+hub+" know it", s.in.Priority)
	return workflow.ExecuteActivity(ctx, hubSteps.LookUpScan, activities.LookUpScanInput{Hub: hub, Name: s.in.HubNames.Scan})
}

// takeAnswer notes what one hub said. A hub that cannot be asked is skipped, which the verdict will say.
func (s *scanImage) takeAnswer(ctx workflow.Context, hub string, answer workflow.Future) error {
	if answer == nil {
		s.state.Skipped = append(s.state.Skipped, hub)
		return nil
	}
	var found activities.LookUpScanResult
	err := answer.Get(ctx, &found)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		// The hub's queue was too long, or no worker knows the hub: that says nothing of the hub itself.
		s.state.Skipped = append(s.state.Skipped, hub)
	case found.Trouble != nil:
		s.pool.failed(ctx, hub, found.Trouble, false)
		s.state.Skipped = append(s.state.Skipped, hub)
	default:
		s.pool.succeeded(ctx, hub)
		s.note(hub, found.Scan)
	}
	return nil
}

// note keeps the best scan found so far: a complete one before one in progress.
func (s *scanImage) note(hub string, scan model.HubScan) {
	scan.Hub = hub
	if s.in.Rescan && scan.State == model.HubScanComplete {
		if s.state.Previous == nil {
			s.state.Previous = map[string]string{}
		}
		s.state.Previous[hub] = scan.ScanID
		return
	}
	if !activities.HubHasScan(scan, "") {
		return
	}
	if s.state.Scan == nil || scan.State == model.HubScanComplete && s.state.Scan.State != model.HubScanComplete {
		s.state.Scan = &scan
	}
}

func (s *scanImage) afterLookUp(ctx workflow.Context) Step {
	switch {
	case s.state.Scan == nil:
		return StepPull
	case s.state.Scan.State == model.HubScanComplete:
		return StepVerdict
	default:
		s.state.Awaiting = workflow.Now(ctx)
		return StepAwait
	}
}

// pull waits in the backlog for a place on a scanner host and has the image fetched there.
func (s *scanImage) pull(ctx workflow.Context) (Step, error) {
	if s.state.Pulls >= pullsAtMost {
		return "", temporal.NewApplicationError(fmt.Sprintf("%d scanner hosts were lost one after the other", s.state.Pulls), string(model.Transient))
	}
	s.state.Pulls++
	s.state.Workspace, s.state.HasSBOM = nil, false
	ctx = pullStep(ctx, s.in.Domain, pullID(s.state.Pulls), "pull "+s.in.Names[0].Reference(), s.priority())
	var workspace activities.Workspace
	err := workflow.ExecuteActivity(ctx, scannerSteps.PullImage, activities.PullImageInput{
		Digest: s.in.Digest, Names: s.in.Names, Chain: s.state.Chain, Pull: s.state.Pulls,
	}).Get(ctx, &workspace)
	if err != nil {
		return "", err
	}
	s.state.Workspace = &workspace
	return StepSBOM, nil
}

// priority is level 1 for a person; all others share a level and divide it by class and namespace.
func (s *scanImage) priority() temporal.Priority {
	level, weights := priorityNormal, map[Priority]float32{PriorityPod: 100, PriorityImage: 10, PriorityBackground: 1}
	if s.in.Priority == PriorityInteractive {
		level = priorityFirst
	}
	return temporal.Priority{PriorityKey: level, FairnessKey: fairnessKey(s.in.Priority, s.in.Namespace), FairnessWeight: weights[s.in.Priority]}
}

// fairnessKey is a hash, because the server refuses keys over 64 bytes and a namespace alone may have 63.
func fairnessKey(c Priority, namespace string) string {
	sum := sha256.Sum256([]byte(string(c) + "/" + namespace))
	return hex.EncodeToString(sum[:8])
}

// list has the contents listed on the host that has the image.
func (s *scanImage) generateSBOM(ctx workflow.Context) (Step, error) {
	var listed activities.GenerateSBOMResult
	err := s.onHost(ctx, "list contents on "+s.state.Workspace.Host, longestSBOM, scannerSteps.GenerateSBOM,
		activities.GenerateSBOMInput{Workspace: *s.state.Workspace, Names: s.in.HubNames}, &listed)
	if lost(err) {
		return StepPull, nil
	}
	if err != nil {
		return "", err
	}
	s.state.HasSBOM, s.state.Components = true, listed.Components
	return StepLease, nil
}

// fetchVerdict reads what the hub says of the image.
func (s *scanImage) fetchVerdict(ctx workflow.Context) (Step, error) {
	for {
		var read activities.FetchVerdictResult
		step := hubStep(ctx, s.state.Scan.Hub, "read the verdict", priorityFirst)
		if err := workflow.ExecuteActivity(step, hubSteps.FetchVerdict, activities.FetchVerdictInput{Scan: *s.state.Scan}).Get(ctx, &read); err != nil {
			return "", err
		}
		if read.Trouble == nil {
			s.pool.succeeded(ctx, s.state.Scan.Hub)
			read.Verdict.ScanStarted = s.state.Started
			read.Verdict.SkippedHubs = slices.DeleteFunc(slices.Clone(s.state.Skipped), func(hub string) bool { return hub == s.state.Scan.Hub })
			s.state.Verdict = &read.Verdict
			return StepReport, nil
		}
		if err := s.pool.waitOut(ctx, s.state.Scan.Hub, read.Trouble); err != nil {
			return "", err
		}
	}
}

// onHost runs a step on the host of the berth. A task that the host did not start in time is offered to it once more.
func (s *scanImage) onHost(ctx workflow.Context, summary string, longest time.Duration, step, in, out any) error {
	ctx = hostStep(ctx, s.state.Workspace.Host, summary, longest)
	err := workflow.ExecuteActivity(ctx, step, in).Get(ctx, out)
	if timedOut(err, enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START) {
		err = workflow.ExecuteActivity(ctx, step, in).Get(ctx, out)
	}
	return err
}

// lost reports whether an error means that the host, or the berth on it, is gone.
func lost(err error) bool {
	var app *temporal.ApplicationError
	if errors.As(err, &app) && app.Type() == string(activities.WorkspaceGone) {
		return true
	}
	return timedOut(err, enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, enumspb.TIMEOUT_TYPE_HEARTBEAT, enumspb.TIMEOUT_TYPE_START_TO_CLOSE)
}

func timedOut(err error, kinds ...enumspb.TimeoutType) bool {
	var timeout *temporal.TimeoutError
	return errors.As(err, &timeout) && slices.Contains(kinds, timeout.TimeoutType())
}
