package scan

import (
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// hubSearch is the look-up of the image at all hubs.
type hubSearch struct {
	scan *scanImage
	// hubs are the hubs that there are. Of each, here is the answer to the worker itself, and queued the one to the step on the
	// hub's queue; nil where the hub cannot be asked, or has answered.
	hubs         []activities.HubState
	here, queued []workflow.Future
}

// lookUp asks every hub that can be asked, all at once, whether it has a scan of the image, complete or in progress.
func (s *scanImage) lookUp(ctx workflow.Context) (workflows.Step, error) {
	search := hubSearch{scan: s}
	if err := search.run(ctx); err != nil {
		return "", err
	}
	return s.afterLookUp(ctx), nil
}

// run asks the hubs and notes in the state of the scan what they have, and which of them could not be asked.
func (l *hubSearch) run(ctx workflow.Context) error {
	if err := l.listHubs(ctx); err != nil {
		return err
	}
	state := l.scan.state
	state.Hubs, state.Skipped = nil, nil
	for _, hub := range l.hubs {
		state.Hubs = append(state.Hubs, hub.Name)
		var answer workflow.Future
		if hub.Unavailable == "" {
			answer = l.askHere(ctx, hub.Name)
		}
		l.here = append(l.here, answer)
	}
	answered := make([]bool, len(l.hubs))
	for i, hub := range l.hubs {
		var answer workflow.Future
		if l.here[i] != nil {
			if answered[i] = l.takeHere(ctx, hub.Name, l.here[i]); !answered[i] {
				answer = l.askHub(ctx, hub.Name)
			}
		}
		l.queued = append(l.queued, answer)
	}
	for i, hub := range l.hubs {
		if answered[i] {
			continue
		}
		if err := l.takeAnswer(ctx, hub.Name, l.queued[i]); err != nil {
			return err
		}
	}
	if l.scan.in.AskAll {
		return l.askSkipped(ctx)
	}
	return nil
}

// askSkipped waits for the hubs that could not be asked, until one has the image or all have said that they have not.
func (l *hubSearch) askSkipped(ctx workflow.Context) error {
	for l.scan.state.Scan == nil && len(l.scan.state.Skipped) > 0 {
		hub := l.scan.state.Skipped[0]
		scan, err := l.scan.askAgain(ctx, hub)
		if err != nil {
			return err
		}
		l.scan.state.Skipped = l.scan.state.Skipped[1:]
		noteFound(l.scan.state, l.scan.in.Rescan, hub, scan)
	}
	return nil
}

// listHubs asks the pool which hubs there are, until it answers. A pool whose worker is dead or busy is slow to answer, which says
// nothing of the image.
func (l *hubSearch) listHubs(ctx workflow.Context) error {
	for {
		var known activities.ListHubsResult
		err := workflow.ExecuteLocalActivity(workflows.LocalStep(ctx, "which hubs are there"), scanSteps.ListHubs).Get(ctx, &known)
		if err == nil {
			l.scan.state.Waiting = ""
			l.hubs = known.Hubs
			return nil
		}
		_, reason := activities.FailureOf(err)
		l.scan.logger.Warn("pool of hubs did not answer; asked again soon", "error", err)
		l.scan.state.Waiting = "the pool of hubs to answer: " + reason
		l.scan.updateDetails(ctx)
		if err := workflow.Sleep(ctx, announceEvery); err != nil {
			return err
		}
	}
}

// askHere has the worker ask a hub itself, where it may.
func (l *hubSearch) askHere(ctx workflow.Context, hub string) workflow.Future {
	ctx = workflows.LookUpHereStep(ctx, "does "+hub+" have this image")
	return workflow.ExecuteLocalActivity(ctx, scanSteps.LookUpHere, activities.LookUpScanInput{Hub: hub, Name: l.scan.in.HubNames.Scan})
}

// takeHere notes what a hub answered to the worker itself, and reports whether it did.
func (l *hubSearch) takeHere(ctx workflow.Context, hub string, answer workflow.Future) bool {
	var found activities.LookUpHereResult
	if err := answer.Get(ctx, &found); err != nil || !found.Asked {
		return false
	}
	l.scan.pool.reportSuccess(ctx, hub)
	noteFound(l.scan.state, l.scan.in.Rescan, hub, found.Scan)
	return true
}

func (l *hubSearch) askHub(ctx workflow.Context, hub string) workflow.Future {
	ctx = workflows.HubLookUpStep(ctx, hub, "does "+hub+" have this image", l.scan.in.Priority)
	return workflow.ExecuteActivity(ctx, hubSteps.LookUpScan, activities.LookUpScanInput{Hub: hub, Name: l.scan.in.HubNames.Scan})
}

// takeAnswer notes what one hub said. A hub that cannot be asked is skipped, which the verdict will say.
func (l *hubSearch) takeAnswer(ctx workflow.Context, hub string, answer workflow.Future) error {
	if answer == nil {
		l.scan.state.Skipped = append(l.scan.state.Skipped, hub)
		return nil
	}
	var found activities.LookUpScanResult
	err := answer.Get(ctx, &found)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		// The hub's queue was too long, or no worker knows the hub: that says nothing of the hub itself.
		l.scan.state.Skipped = append(l.scan.state.Skipped, hub)
	case found.Trouble != nil:
		l.scan.pool.reportFailure(ctx, hub, found.Trouble, false)
		l.scan.state.Skipped = append(l.scan.state.Skipped, hub)
	default:
		l.scan.pool.reportSuccess(ctx, hub)
		noteFound(l.scan.state, l.scan.in.Rescan, hub, found.Scan)
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

// askAgain asks one hub for the scan of the image, until it answers.
func (s *scanImage) askAgain(ctx workflow.Context, hub string) (model.HubScan, error) {
	for {
		var found activities.LookUpScanResult
		step := workflows.HubStep(ctx, hub, "does "+hub+" have this image", workflows.LevelFirst)
		err := workflow.ExecuteActivity(step, hubSteps.LookUpScan, activities.LookUpScanInput{Hub: hub, Name: s.in.HubNames.Scan}).Get(ctx, &found)
		if err != nil {
			return model.HubScan{}, err
		}
		if found.Trouble == nil {
			s.pool.reportSuccess(ctx, hub)
			found.Scan.Hub = hub
			return found.Scan, nil
		}
		if err := s.pool.waitUntilAvailable(ctx, hub, found.Trouble); err != nil {
			return model.HubScan{}, err
		}
	}
}

// afterLookUp is the step that follows from what the hubs have.
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
