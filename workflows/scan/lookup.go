package scan

import (
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// lookUp asks every hub that can be asked, all at once, whether it has the image or is at it.
func (s *scanImage) lookUp(ctx workflow.Context) (workflows.Step, error) {
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
		noteFound(s.state, s.in.Rescan, hub, scan)
	}
	return nil
}

// hubs asks the pool for as long as it takes: that it is slow to answer, while its worker is dead or busy, says nothing of
// the image.
func (s *scanImage) hubs(ctx workflow.Context) ([]activities.HubState, error) {
	for {
		var known activities.ListHubsResult
		err := workflow.ExecuteLocalActivity(workflows.LocalStep(ctx, "which hubs are there"), scanSteps.ListHubs).Get(ctx, &known)
		if err == nil {
			s.state.Waiting = ""
			return known.Hubs, nil
		}
		_, reason := activities.FailureOf(err)
		s.logger.Warn("pool of hubs did not answer; asked again soon", "error", err)
		s.state.Waiting = "the pool of hubs to answer: " + reason
		s.updateDetails(ctx)
		if err := workflow.Sleep(ctx, announceEvery); err != nil {
			return nil, err
		}
	}
}

func (s *scanImage) askHub(ctx workflow.Context, hub string) workflow.Future {
	ctx = workflows.HubLookUpStep(ctx, hub, "does "+hub+" have this image", s.in.Priority)
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
		noteFound(s.state, s.in.Rescan, hub, found.Scan)
	}
	return nil
}

// noteFound keeps the best scan found so far: a complete one before one in progress.
func noteFound(s *workflows.ScanState, rescan bool, hub string, scan model.HubScan) {
	scan.Hub = hub
	if rescan && scan.State == model.HubScanComplete {
		if s.Previous == nil {
			s.Previous = map[string]string{}
		}
		s.Previous[hub] = scan.ScanID
		return
	}
	if !activities.HubHasScan(scan, "") {
		return
	}
	if s.Scan == nil || scan.State == model.HubScanComplete && s.Scan.State != model.HubScanComplete {
		s.Scan = &scan
	}
}

// find asks one hub for the scan for as long as it takes.
func (s *scanImage) find(ctx workflow.Context, hub string) (model.HubScan, error) {
	for {
		var found activities.LookUpScanResult
		step := workflows.HubStep(ctx, hub, "what has "+hub+" of this image", workflows.LevelFirst)
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

func (s *scanImage) afterLookUp(ctx workflow.Context) workflows.Step {
	switch {
	case s.state.Scan == nil:
		return workflows.StepPull
	case s.state.Scan.State == model.HubScanComplete:
		return workflows.StepVerdict
	default:
		s.state.Awaiting = workflow.Now(ctx)
		return workflows.StepAwait
	}
}
