package refresh_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
	"github.com/perceptor/perceptor/workflows/refresh"
)

var passStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// refreshWorld is a hub and the images it has judged, as RefreshHub sees them.
type refreshWorld struct {
	activities.Hub
	t *testing.T
	// lock is for steps that run side by side.
	lock sync.Mutex
	// now is the hub's clock, changes what it lists, windows what it was asked.
	now     time.Time
	changes []model.HubChange
	windows []activities.ReadChangesInput
	noList  error
	// gone are the versions it has deleted, behind what other versions are of; fails what reading a verdict fails with.
	gone   map[string]bool
	behind map[string][]model.Digest
	fails  error
	read   []string
	found  []string
	// judged are the images.
	judged   []activities.JudgedImage
	notified []model.Digest
	rescans  []model.Digest
	reports  []workflows.HubReport
}

func newRefreshWorld(t *testing.T) *refreshWorld {
	return &refreshWorld{t: t, now: passStart.Add(-time.Hour), gone: map[string]bool{}, behind: map[string][]model.Digest{}}
}

func (w *refreshWorld) Changes(_ context.Context, since, until time.Time) ([]model.HubChange, time.Time, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.windows = append(w.windows, activities.ReadChangesInput{Since: since, Until: until})
	var shown []model.HubChange
	for _, c := range w.changes {
		if !c.At.Before(since) && !c.At.After(until) {
			shown = append(shown, c)
		}
	}
	return shown, w.now, w.noList
}

func (w *refreshWorld) DigestsOf(_ context.Context, versionURL string) ([]model.Digest, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.found = append(w.found, versionURL)
	return w.behind[versionURL], nil
}

func (w *refreshWorld) Verdict(_ context.Context, scan model.HubScan) (model.Verdict, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.read = append(w.read, scan.VersionURL)
	if w.gone[scan.VersionURL] {
		return model.Verdict{}, hubError{class: model.NotFound}
	}
	return model.Verdict{VersionURL: scan.VersionURL, JudgedAt: w.now, ReadAt: w.now}, w.fails
}

func (w *refreshWorld) JudgedBy(_ context.Context, _ string, versions []string) ([]activities.JudgedImage, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	var found []activities.JudgedImage
	for _, j := range w.judged {
		for _, version := range versions {
			if j.Version == version {
				found = append(found, j)
			}
		}
	}
	return found, nil
}

func (w *refreshWorld) JudgedShare(_ context.Context, _, digits string) ([]activities.JudgedImage, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	var found []activities.JudgedImage
	for _, j := range w.judged {
		if strings.HasPrefix(j.Digest.Hex(), digits) {
			found = append(found, j)
		}
	}
	return found, nil
}

func (w *refreshWorld) Judge(_ context.Context, d model.Digest, v model.Verdict) (bool, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.notified = append(w.notified, d)
	for i := range w.judged {
		if w.judged[i].Digest == d {
			w.judged[i].AsOf = v.AsOf()
			return true, nil
		}
	}
	return false, nil
}

func (w *refreshWorld) RescanLost(_ context.Context, d model.Digest, _, _ string) (bool, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.rescans = append(w.rescans, d)
	return true, nil
}

func (w *refreshWorld) Hubs(context.Context) ([]activities.HubState, error) { return nil, nil }

func (w *refreshWorld) Signal(_ context.Context, _ string, value any) error {
	w.lock.Lock()
	defer w.lock.Unlock()
	w.reports = append(w.reports, value.(workflows.HubReport))
	return nil
}

// version is the key of the n-th version.
func version(n int) string { return fmt.Sprintf("/api/projects/p/versions/%d", n) }

// judge lets the n-th image have a verdict of that age.
func (w *refreshWorld) judge(n int, ago time.Duration) {
	w.judged = append(w.judged, activities.JudgedImage{Digest: poolDigest(n), Version: version(n), AsOf: w.now.Add(-ago)})
}

// change lets the hub list that something happened to the n-th version.
func (w *refreshWorld) change(n int, kind model.HubChangeKind, ago time.Duration) {
	w.changes = append(w.changes, model.HubChange{VersionURL: "https://hub.example" + version(n), Kind: kind, At: w.now.Add(-ago)})
}

// env is where one pass runs.
func (w *refreshWorld) env() *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	e := suite.NewTestWorkflowEnvironment()
	e.SetTestTimeout(30 * time.Second)
	e.RegisterWorkflow(refresh.RefreshHub)
	e.RegisterActivity(activities.NewHubSteps(activities.HubMap{"a": w}, nil))
	e.RegisterActivity(activities.NewRefreshSteps(w))
	e.RegisterActivity(activities.NewScanSteps(w, nil, nil))
	return e
}

// pass runs one pass after another and answers what it leaves.
func (w *refreshWorld) pass(before *workflows.RefreshState) *workflows.RefreshState {
	w.t.Helper()
	w.windows, w.read, w.found, w.notified, w.rescans, w.reports = nil, nil, nil, nil, nil, nil
	e := w.env()
	e.SetStartTime(w.now.Add(time.Hour)) // the hub's clock is an hour behind
	if before != nil {
		e.SetLastCompletionResult(*before)
	}
	e.ExecuteWorkflow(refresh.RefreshHub, workflows.RefreshHubInput{Hub: "a"})
	require.True(w.t, e.IsWorkflowCompleted())
	require.NoError(w.t, e.GetWorkflowError())
	var state workflows.RefreshState
	require.NoError(w.t, e.GetWorkflowResult(&state))
	return &state
}

// settled is what a pass leaves behind that had nothing to do.
func (w *refreshWorld) settled() *workflows.RefreshState {
	state := w.pass(nil)
	require.Nil(w.t, state.Sweep)
	require.Empty(w.t, state.Waiting)
	require.Equal(w.t, w.now, state.Until, "the hub's own time counts")
	w.now = w.now.Add(10 * time.Minute)
	return state
}

func TestOnlyWhatChangedIsReadAgain(t *testing.T) {
	w := newRefreshWorld(t)
	state := w.settled()
	for n := range 3 {
		w.judge(n, 5*time.Minute)
	}
	w.change(1, model.HubChangeVulnerability, 2*time.Minute)
	state = w.pass(state)
	require.Equal(t, []string{version(1)}, w.read)
	require.Equal(t, []model.Digest{poolDigest(1)}, w.notified)
	require.Equal(t, 1, state.Notified)
	require.Len(t, w.windows, 1, "an idle pass is one question")
	state = w.pass(state)
	require.Empty(t, w.read, "windows overlap, repeats are dropped")
	require.True(t, w.windows[0].Since.Before(w.now))

	w.now = w.now.Add(time.Minute)
	w.change(1, model.HubChangeVulnerability, 0)
	w.pass(state)
	require.Equal(t, []string{version(1)}, w.read, "a second change of the same version is none of the repeats")
}

func TestOurOwnScansAreNotReadTwice(t *testing.T) {
	w := newRefreshWorld(t)
	state := w.settled()
	w.judge(1, time.Minute)
	w.change(1, model.HubChangeBOM, time.Minute)
	w.change(2, model.HubChangeBOM, 5*time.Second)
	state = w.pass(state)
	require.Empty(t, w.read, "the verdict of the first is as new as the change")
	require.Empty(t, w.found, "that of the second is perhaps about to be read")
	w.now = w.now.Add(time.Minute)
	w.pass(state)
	require.Equal(t, []string{"https://hub.example" + version(2)}, w.found, "a minute later it is not")
	require.Empty(t, w.read)
}

func TestAVersionThatNoVerdictNamesIsFoundAtTheHub(t *testing.T) {
	w := newRefreshWorld(t)
	state := w.settled()
	w.judged = []activities.JudgedImage{{Digest: poolDigest(7), Version: "an older address"}}
	w.behind["https://hub.example"+version(1)] = []model.Digest{poolDigest(7), poolDigest(8)}
	w.change(1, model.HubChangePolicy, 5*time.Minute)
	w.change(2, model.HubChangeRemoved, 5*time.Minute)
	state = w.pass(state)
	require.Equal(t, []string{"https://hub.example" + version(1)}, w.found, "the hub is not asked for the image of a version that is gone")
	require.Equal(t, []model.Digest{poolDigest(7), poolDigest(8)}, w.notified)
	require.Equal(t, 1, state.Notified, "an image that does not run is passed over")
}

func TestADeletedVersionLeadsToARescan(t *testing.T) {
	w := newRefreshWorld(t)
	state := w.settled()
	w.judge(1, 5*time.Minute)
	w.judge(2, 5*time.Minute)
	w.judge(3, 5*time.Minute)
	w.change(1, model.HubChangeRemoved, time.Minute)
	w.change(2, model.HubChangePolicy, time.Minute)
	w.change(3, model.HubChangeRemoved, time.Minute)
	w.gone[version(1)], w.gone[version(2)] = true, true
	state = w.pass(state)
	require.ElementsMatch(t, []model.Digest{poolDigest(1), poolDigest(2)}, w.rescans)
	require.Equal(t, []model.Digest{poolDigest(3)}, w.notified, "what is there after all is read")
	require.Equal(t, 2, state.Gone)
	w.pass(state)
	require.Empty(t, w.rescans)
}

func TestAHubInTroubleEndsThePassAndNothingIsLost(t *testing.T) {
	w := newRefreshWorld(t)
	state := w.settled()
	for n := range 60 {
		w.judge(n, 5*time.Minute)
		w.change(n, model.HubChangePolicy, time.Minute)
	}
	w.fails = hubError{class: model.Throttled, after: time.Minute}
	state = w.pass(state)
	require.Len(t, state.Waiting, 60)
	require.Equal(t, model.Throttled, state.Trouble.Class)
	require.Len(t, w.reports, 1, "the pool is notified once")
	require.Equal(t, model.Throttled, w.reports[0].Class)
	w.fails = nil
	w.now = w.now.Add(time.Hour)
	state = w.pass(state)
	require.Nil(t, state.Trouble)
	require.Len(t, w.notified, 60)
	require.Equal(t, []workflows.HubReport{{Hub: "a"}}, w.reports, "and of the first success after it")
}

func TestALongPauseIsReadInWindows(t *testing.T) {
	w := newRefreshWorld(t)
	state := w.settled()
	w.now = w.now.Add(20 * time.Hour)
	w.judge(1, 21*time.Hour)
	w.change(1, model.HubChangePolicy, 10*time.Hour)
	state = w.pass(state)
	require.Len(t, w.windows, 4)
	require.Equal(t, []model.Digest{poolDigest(1)}, w.notified)
	require.Equal(t, w.now, state.Until)
}

// TestTheFirstPassLooksAtEveryOldVerdict, since it is not known what was missed before it; so does one after more changes
// than a list can tell apart.
func TestTheFirstPassLooksAtEveryOldVerdict(t *testing.T) {
	w := newRefreshWorld(t)
	for n := range 120 {
		w.judge(n, 3*time.Hour)
	}
	state := w.settled()
	require.Len(t, w.notified, 120, "all of one share, in batches")
	w.judge(1000, 0)
	state = w.pass(state)
	require.Empty(t, w.notified, "and nothing else")
	for n := range 5001 {
		w.change(n, model.HubChangeVulnerability, time.Minute)
	}
	w.pass(state)
	require.Len(t, w.notified, 120, "one is younger")
	require.Empty(t, w.found)
}

func TestWithoutAListVerdictsAreReadByAge(t *testing.T) {
	w := newRefreshWorld(t)
	w.noList = hubError{class: model.Unsupported}
	state := w.settledWithoutList()
	w.judged = []activities.JudgedImage{
		{Digest: "sha256:" + model.Digest(strings.Repeat("00", 32)), Version: version(1)},
		{Digest: "sha256:" + model.Digest(strings.Repeat("80", 32)), Version: version(2)},
		{Digest: "sha256:" + model.Digest(strings.Repeat("ff", 32)), Version: version(3)},
	}
	times := map[string]int{}
	for range 2 * 24 * 2 {
		w.now = w.now.Add(30 * time.Minute)
		state = w.pass(state)
		for _, each := range w.read {
			times[each]++
		}
		require.LessOrEqual(t, len(w.read), 2, "spread over the day: the last share and the first may meet")
	}
	for n := 1; n <= 3; n++ {
		require.InDelta(t, 2, times[version(n)], 1, "about once a day")
	}
}

func (w *refreshWorld) settledWithoutList() *workflows.RefreshState {
	state := w.pass(nil)
	require.Equal(w.t, "the hub says unsupported", state.NoList)
	return state
}

func TestAPassThatIsTooLongGoesOnInANewRun(t *testing.T) {
	w := newRefreshWorld(t)
	for n := range 120 {
		w.judge(n, time.Hour)
		w.change(n, model.HubChangePolicy, 10*time.Minute)
	}
	e := w.env()
	e.SetStartTime(w.now)
	e.SetContinueAsNewSuggested(true)
	e.SetContinuedExecutionRunID("the run before")
	e.ExecuteWorkflow(refresh.RefreshHub, workflows.RefreshHubInput{Hub: "a", State: &workflows.RefreshState{Until: w.now.Add(-time.Hour)}})
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, e.GetWorkflowError(), &again)
	var next workflows.RefreshHubInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &next))
	require.Len(t, next.State.Waiting, 120)
}

func TestAQueueThatNobodyServesEndsThePass(t *testing.T) {
	w := newRefreshWorld(t)
	e := w.env()
	var hubs *activities.HubSteps
	e.OnActivity(hubs.ReadChanges, mock.Anything, mock.Anything).
		Return(activities.ReadChangesResult{}, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil))
	e.SetLastCompletionResult(workflows.RefreshState{Until: w.now, Notified: 5})
	e.ExecuteWorkflow(refresh.RefreshHub, workflows.RefreshHubInput{Hub: "a"})
	require.NoError(t, e.GetWorkflowError())
	var state workflows.RefreshState
	require.NoError(t, e.GetWorkflowResult(&state))
	require.Contains(t, state.Trouble.Reason, "no answer in time")
	require.Equal(t, w.now, state.Until, "the next pass begins where this one did")
	require.Zero(t, state.Notified)
	require.Empty(t, w.reports, "the hub itself said nothing")
}

// hubError is a hub's failure with its class.
type hubError struct {
	class model.FailureClass
	after time.Duration
}

func (e hubError) Error() string                    { return "the hub says " + string(e.class) }
func (e hubError) FailureClass() model.FailureClass { return e.class }
func (e hubError) RetryAfter() time.Duration        { return e.after }

func poolDigest(n int) model.Digest { return model.Digest(fmt.Sprintf("sha256:%064d", n)) }
