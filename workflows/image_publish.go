package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// publishAtOnce is how many inventories one step tells.
const publishAtOnce = 500

// publishAgain is the pause after a step that could not tell everybody.
const publishAgain = 10 * time.Second

// summary is what inventories are told, without its version; nothing while there is neither verdict nor failure: they know
// by themselves that an image waits.
func (i *imageRun) summary() *model.Summary {
	s := i.state
	if len(s.Verdicts) == 0 && s.Failure == nil {
		return nil
	}
	told := model.Summary{Digest: i.digest, Status: s.status(), OverallStatus: s.overall(), Failure: s.Failure}
	var newest model.Verdict
	for at, v := range s.Verdicts {
		told.Hubs = append(told.Hubs, v.Hub)
		if at == 0 || v.Newer(newest) {
			newest = v
		}
	}
	told.PolicyViolations, told.Vulnerabilities, told.Findings = newest.PolicyViolations, newest.Vulnerabilities, newest.Findings
	told.NotAssessed, told.ComponentsURL, told.JudgedAt = newest.NotAssessed, newest.ComponentsURL, newest.JudgedAt
	return &told
}

// sameSummary reports whether inventories would show the same.
func sameSummary(a, b *model.Summary) bool {
	if a == nil || b == nil {
		return a == b
	}
	return sameFailure(a.Failure, b.Failure) && a.Status == b.Status && a.OverallStatus == b.OverallStatus && a.PolicyViolations == b.PolicyViolations &&
		a.Vulnerabilities == b.Vulnerabilities && a.Findings == b.Findings && a.NotAssessed == b.NotAssessed &&
		a.ComponentsURL == b.ComponentsURL && a.JudgedAt.Equal(b.JudgedAt) && slices.Equal(a.Hubs, b.Hubs)
}

func sameFailure(a, b *model.Failure) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Class == b.Class && a.Reason == b.Reason && a.Step == b.Step && a.Attempt == b.Attempt && a.At.Equal(b.At) && a.NextTry.Equal(b.NextTry)
}

// missing notes an inventory that knows less than was published. What is not published yet reaches it with the others.
func (i *imageRun) missing(o Observe) {
	s := i.state
	if o.Reference.Kind != ReferenceInventory || s.Published == nil || o.Known == s.Published.Version {
		return
	}
	if !slices.Contains(s.PendingInventories, o.Reference.ID) {
		s.PendingInventories = append(s.PendingInventories, o.Reference.ID)
	}
}

// unpublished reports whether somebody is to be told. What changed is noted for everybody who refers to the image. The
// version is the time of the change, so that it grows even in a run that was reset.
func (i *imageRun) unpublished(ctx workflow.Context) bool {
	s := i.state
	if now := i.summary(); now != nil && !sameSummary(now, s.Published) {
		now.Version = model.Version{Epoch: i.epoch(ctx), Counter: workflow.Now(ctx).UnixNano()}
		if s.Published != nil && now.Version.Counter <= s.Published.Version.Counter {
			now.Version.Counter = s.Published.Version.Counter + 1
		}
		// The old summary must not change under a step that carries it.
		if now.Failure != nil {
			failure := *now.Failure
			now.Failure = &failure
		}
		s.Published, s.PendingInventories = now, i.inventories()
	}
	return len(s.PendingInventories) > 0 && i.publication == nil && !workflow.Now(ctx).Before(s.PublishAfter)
}

// epoch is when the image's first run began, as far as anybody was ever told.
func (i *imageRun) epoch(ctx workflow.Context) int64 {
	if i.state.Published != nil {
		return i.state.Published.Version.Epoch
	}
	return workflow.GetInfo(ctx).WorkflowStartTime.UnixNano()
}

// inventories are the ids of those that refer to the image.
func (i *imageRun) inventories() []string {
	var ids []string
	for _, r := range i.state.References {
		if r.Kind == ReferenceInventory {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// publish tells inventories what is known. Those that come meanwhile are told by the next step.
func (i *imageRun) publish(ctx workflow.Context) {
	s := i.state
	in := activities.PublishSummaryInput{Summary: *s.Published, To: s.PendingInventories[:min(len(s.PendingInventories), publishAtOnce)]}
	s.PendingInventories = slices.Clone(s.PendingInventories[len(in.To):])
	i.publishing = i.references(in.To)
	i.publication = workflow.ExecuteActivity(lightStep(ctx, "tell who runs the image"), inventorySteps.PublishSummary, in)
}

// references are those of some inventories as they are now.
func (i *imageRun) references(ids []string) []Reference {
	var known []Reference
	for _, r := range i.state.References {
		if r.Kind == ReferenceInventory && slices.Contains(ids, r.ID) {
			known = append(known, r)
		}
	}
	return known
}

// published takes what became of a step. An inventory that is gone refers to nothing, unless it has spoken since.
func (i *imageRun) published(ctx workflow.Context, f workflow.Future) {
	s, before := i.state, i.publishing
	i.publication, i.publishing = nil, nil
	var result activities.PublishSummaryResult
	if err := f.Get(ctx, &result); err != nil {
		i.logger.Warn("summary publish", "error", err)
		for _, r := range before {
			result.Failed = append(result.Failed, r.ID)
		}
	}
	for _, id := range result.Closed {
		s.References = slices.DeleteFunc(s.References, func(r Reference) bool { return r.ID == id && slices.Contains(before, r) })
	}
	for _, id := range result.Failed {
		if !slices.Contains(s.PendingInventories, id) {
			s.PendingInventories = append(s.PendingInventories, id)
		}
	}
	if len(result.Failed) > 0 {
		s.PublishAfter = workflow.Now(ctx).Add(publishAgain)
	}
}
