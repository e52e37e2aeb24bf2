package refresh

import (
	"errors"
	"hash/fnv"
	"strconv"
	"time"

	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// Nil pointers by which the workflow names its steps.
var (
	hubSteps     *activities.HubSteps
	refreshSteps *activities.RefreshSteps
	scanSteps    *activities.ScanSteps
)

const (
	// refreshOverlap is how late a hub may show a change: each pass begins to read that much before the end of the last.
	refreshOverlap = 2 * time.Minute
	// refreshWindow is how much of a hub's past one question covers, after a long pause.
	refreshWindow = 6 * time.Hour
	// refreshFirst is where the first window of all begins; what is older is found by the sweep that comes with it.
	refreshFirst = time.Hour
	// refreshSettle is how young a change of an unknown version may be and still be one of our own scans, whose verdict is
	// about to be read anyway.
	refreshSettle = 30 * time.Second
	// refreshAge is how old a verdict may get at a hub without a list of changes.
	refreshAge = 24 * time.Hour
	// refreshBatch is how many versions are looked for in one step, refreshAtOnce how many verdicts are read at a time.
	refreshBatch  = 50
	refreshAtOnce = 4
)

// refreshHub is one run of RefreshHub.
type refreshHub struct {
	hub    string
	state  *workflows.RefreshState
	logger log.Logger
	// end is the hub's time when this run first asked it: there the reading ends. now is its time at the newest answer.
	end, now time.Time
	// ended is set once the list has been read to the end.
	ended bool
}

// RefreshHub reads the verdicts again that changed at one hub since the pass before, without any scan, and notifies the
// images. The hub's list of changes names what to read. Whatever cannot be done now is left to the next pass.
func RefreshHub(ctx workflow.Context, in workflows.RefreshHubInput) (workflows.RefreshState, error) { //nolint:revive // the workflow's name
	state, err := workflows.Continued(ctx, in.State)
	if err = errors.Join(err, model.CheckHub(in.Hub)); err != nil {
		return workflows.RefreshState{}, temporal.NewNonRetryableApplicationError("the input of the refresh is wrong: "+err.Error(), string(model.Invalid), nil)
	}
	r := &refreshHub{hub: in.Hub, state: state, logger: workflow.GetLogger(ctx)}
	if r.state == nil {
		r.resume(ctx)
	}
	if err := r.run(ctx); err != nil {
		return workflows.RefreshState{}, err
	}
	workflow.SetCurrentDetails(ctx, r.details())
	return *r.state, nil
}

// resume takes up where the pass before ended.
func (r *refreshHub) resume(ctx workflow.Context) {
	r.state = &workflows.RefreshState{}
	if workflow.HasLastCompletionResult(ctx) {
		if err := workflow.GetLastCompletionResult(ctx, r.state); err != nil {
			// A pass that cannot read it would fail, and so would every later one. It begins again, with a sweep.
			r.logger.Warn("what the pass before left could not be read; all verdicts are looked at", "error", err)
			r.state = &workflows.RefreshState{}
		}
	}
	s := r.state
	s.Trouble, s.Read, s.Notified, s.Gone = nil, 0, 0, 0
	s.Waiting, s.Later = append(s.Later, s.Waiting...), nil
	if s.Until.IsZero() && s.NoList == "" && s.Sweep == nil {
		// What was missed before the first window is not known. The sweep finds it.
		s.Until = workflow.Now(ctx).UTC().Add(-refreshFirst)
		s.Sweep = &workflows.RefreshSweep{Before: s.Until.Add(-refreshOverlap), Shares: sharesAtOnce}
	}
}

// run deals with one batch after the other until nothing is left or the hub is in trouble.
func (r *refreshHub) run(ctx workflow.Context) error {
	for r.state.Trouble == nil {
		var err error
		switch {
		case len(r.state.Waiting) > 0:
			err = r.handleChanges(ctx)
		case !r.ended:
			err = r.readChanges(ctx)
		case r.sweepDue(ctx):
			err = r.sweep(ctx)
		default:
			return nil
		}
		if err != nil {
			return err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return workflow.NewContinueAsNewError(ctx, workflows.TypeRefreshHub, workflows.RefreshHubInput{Hub: r.hub, State: r.state})
		}
	}
	return nil
}

// readChanges reads the next window of the hub's changes.
func (r *refreshHub) readChanges(ctx workflow.Context) error {
	s := r.state
	since := s.Until
	if r.end.IsZero() {
		since = since.Add(-refreshOverlap)
	}
	var read activities.ReadChangesResult
	err := workflow.ExecuteActivity(workflows.RefreshStep(ctx, r.hub, "what has changed at "+r.hub), hubSteps.ReadChanges,
		activities.ReadChangesInput{Hub: r.hub, Since: since, Until: since.Add(refreshWindow), Known: s.Known}).Get(ctx, &read)
	switch {
	case err != nil:
		return r.noteUnanswered(ctx, err)
	case read.Trouble != nil:
		r.noteTrouble(ctx, read.Trouble)
		return nil
	}
	r.noteSuccess(ctx)
	if s.NoList = read.NoList; s.NoList != "" {
		r.ended = true
		if s.Sweep == nil || s.Sweep.Due.IsZero() {
			now := workflow.Now(ctx).UTC()
			r.byAge(now, now)
		}
		r.noteIdentity(ctx, read)
		return nil
	}
	if read.TooMany {
		s.Sweep = &workflows.RefreshSweep{Before: read.Now, Shares: sharesAtOnce}
	}
	if r.end.IsZero() {
		r.end = read.Now
	}
	r.now = read.Now
	r.noteIdentity(ctx, read)
	s.Waiting = r.unseen(read.Changes)
	s.Until, r.ended = read.Until, !read.Until.Before(r.end)
	r.forgetSeen()
	return nil
}

// byAge begins a sweep that takes as long as verdicts may be old, where the hub has no list of changes.
func (r *refreshHub) byAge(now, due time.Time) {
	if due.IsZero() {
		due = now
	}
	r.state.Sweep = &workflows.RefreshSweep{Before: now, Shares: sharesByAge, Due: due}
}

// unseen drops the changes that an earlier window showed.
func (r *refreshHub) unseen(changes []model.HubChange) []model.HubChange {
	var fresh []model.HubChange
	for _, c := range changes {
		if seen, ok := r.state.Seen[versionHash(c.VersionURL)]; !ok || seen < c.At.UnixMilli() {
			fresh = append(fresh, c)
		}
	}
	return fresh
}

// noteDone notes that a change was dealt with.
func (r *refreshHub) noteDone(c model.HubChange) {
	if r.state.Seen == nil {
		r.state.Seen = map[string]int64{}
	}
	r.state.Seen[versionHash(c.VersionURL)] = c.At.UnixMilli()
}

// forgetSeen drops what no window shows again.
func (r *refreshHub) forgetSeen() {
	oldest := r.state.Until.Add(-2 * refreshOverlap).UnixMilli()
	//workflowcheck:ignore the order of deletions does not show
	for version, at := range r.state.Seen {
		if at < oldest {
			delete(r.state.Seen, version)
		}
	}
}

// versionHash keeps the list of what was seen small.
func versionHash(versionURL string) string {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(model.VersionKey(versionURL)))
	return strconv.FormatUint(sum.Sum64(), 36)
}
