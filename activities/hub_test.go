package activities_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

// edgeError is a typed error as every edge has one.
type edgeError struct {
	class   model.FailureClass
	after   time.Duration
	refused bool
}

func (e edgeError) Error() string                    { return "the edge said " + string(e.class) }
func (e edgeError) FailureClass() model.FailureClass { return e.class }
func (e edgeError) RetryAfter() time.Duration        { return e.after }
func (e edgeError) SurelyRefused() bool              { return e.refused }

// stubHub answers as its fields say.
type stubHub struct {
	found, state model.HubScan
	err          error
	asked        int
	changes      []model.HubChange
	digests      []model.Digest
}

func (h *stubHub) FindScan(context.Context, string) (model.HubScan, error) {
	h.asked++
	return h.found, h.err
}

func (h *stubHub) ScanState(context.Context, model.HubScan) (model.HubScan, error) {
	return h.state, h.err
}

func (h *stubHub) Verdict(context.Context, model.HubScan) (model.Verdict, error) {
	return model.Verdict{OverallStatus: model.NotInViolation}, h.err
}

func (h *stubHub) Findings(context.Context, string, int, int) (model.FindingsPage, error) {
	return model.FindingsPage{Total: 1}, h.err
}
func (h *stubHub) Ready(context.Context) error { return h.err }
func (h *stubHub) UploadTarget(context.Context) (model.UploadTarget, error) {
	return model.UploadTarget{Hub: "a", Token: "t0ken"}, h.err
}

func (h *stubHub) Changes(context.Context, time.Time, time.Time) ([]model.HubChange, time.Time, error) {
	return h.changes, hubTime, h.err
}

func (h *stubHub) DigestsOf(context.Context, string) ([]model.Digest, error) {
	return h.digests, h.err
}

// hubTime is the hub's clock in these tests.
var hubTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func environment(t *testing.T, steps any) *testsuite.TestActivityEnvironment {
	t.Helper()
	var s testsuite.WorkflowTestSuite
	env := s.NewTestActivityEnvironment()
	env.RegisterActivity(steps)
	return env
}

func applicationError(t *testing.T, err error) *temporal.ApplicationError {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	return app
}

func TestLookUpTurnsAFailureThatStaysIntoAResult(t *testing.T) {
	for name, each := range map[string]struct {
		err   error
		retry bool
	}{
		"passing, first time":   {edgeError{class: model.Transient}, true},
		"asked to stay away":    {edgeError{class: model.Throttled, after: time.Minute}, false},
		"needs an operator":     {edgeError{class: model.Unauthorized}, false},
		"without a class":       {errors.New("odd"), true},
		"passing, with a delay": {edgeError{class: model.Transient, after: time.Second}, false},
	} {
		t.Run(name, func(t *testing.T) {
			steps := activities.NewHubSteps(activities.HubMap{"a": &stubHub{err: each.err}}, nil)
			value, err := environment(t, steps).ExecuteActivity(steps.LookUpScan, activities.LookUpScanInput{Hub: "a", Name: "x"})
			if each.retry {
				require.False(t, applicationError(t, err).NonRetryable())
				return
			}
			require.NoError(t, err)
			var result activities.LookUpScanResult
			require.NoError(t, value.Get(&result))
			require.NotNil(t, result.Trouble)
			require.Equal(t, each.err.Error(), result.Trouble.Reason)
		})
	}
}

func TestUnknownHubSaysWhatToDo(t *testing.T) {
	steps := activities.NewHubSteps(activities.HubMap{}, nil)
	_, err := environment(t, steps).ExecuteActivity(steps.LookUpScan, activities.LookUpScanInput{Hub: "b"})
	require.ErrorContains(t, err, "give all workers the same hubs")
	require.False(t, applicationError(t, err).NonRetryable(), "another worker may know it")
}

// stubPool takes signals, or fails.
type stubPool struct {
	err  error
	sent []string
}

func (p *stubPool) Hubs(context.Context) ([]activities.HubState, error) { return nil, p.err }

func (p *stubPool) Signal(_ context.Context, name string, value any) error {
	text, err := json.Marshal(value)
	p.sent = append(p.sent, name+" "+string(text))
	return errors.Join(p.err, err)
}

func await(t *testing.T, h activities.Hub, in activities.AwaitHubScanInput, before any) (activities.AwaitHubScanResult, error) {
	t.Helper()
	return awaitAndRelease(t, h, nil, in, before)
}

func awaitAndRelease(t *testing.T, h activities.Hub, pool activities.Pool, in activities.AwaitHubScanInput, before any) (activities.AwaitHubScanResult, error) {
	t.Helper()
	steps := activities.NewHubSteps(activities.HubMap{"a": h}, pool)
	env := environment(t, steps)
	if before != nil {
		env.SetHeartbeatDetails(before)
	}
	in.Scan.Hub = "a"
	value, err := env.ExecuteActivity(steps.AwaitHubScan, in)
	if err != nil {
		return activities.AwaitHubScanResult{}, err
	}
	var result activities.AwaitHubScanResult
	require.NoError(t, value.Get(&result))
	return result, nil
}

func TestAwaitAsksAgainLaterWhileTheHubIsAtIt(t *testing.T) {
	h := &stubHub{state: model.HubScan{State: model.HubScanInProgress, Detail: "MATCHING"}}
	for name, each := range map[string]struct{ waited, delay time.Duration }{
		"at the start quickly":     {0, 250 * time.Millisecond},
		"after minutes seldom":     {10 * time.Minute, 12 * time.Second},
		"never less than a minute": {10 * time.Hour, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := await(t, h, activities.AwaitHubScanInput{Since: time.Now().Add(-each.waited), Longest: time.Hour}, nil)
			app := applicationError(t, err)
			require.InDelta(t, each.delay.Seconds(), app.NextRetryDelay().Seconds(), 0.2)
			require.Equal(t, temporal.ApplicationErrorCategoryBenign, app.Category(), "waiting is no failure")
			require.ErrorContains(t, err, "MATCHING")
		})
	}
}

// TestHubThatIsDoneHasItsLeaseReleasedAndItsVerdictRead: what does not work is left to the workflow, and said in the result.
func TestHubThatIsDoneHasItsLeaseReleasedAndItsVerdictRead(t *testing.T) {
	release := &activities.SignalPoolInput{Name: "release", Value: map[string]any{"chain": "c", "attempt": 1700000000123}}
	const sent = `release {"attempt":1700000000123,"chain":"c"}`
	for name, each := range map[string]struct {
		state               model.HubScanState
		release             *activities.SignalPoolInput
		poolErr, verdictErr error
		sent                []string
		released, judged    bool
	}{
		"complete":                      {state: model.HubScanComplete, release: release, sent: []string{sent}, released: true, judged: true},
		"complete, without a lease":     {state: model.HubScanComplete, judged: true},
		"failed":                        {state: model.HubScanFailed, release: release, sent: []string{sent}, released: true},
		"gone":                          {state: model.HubScanAbsent, release: release, sent: []string{sent}, released: true},
		"in progress":                   {state: model.HubScanInProgress, release: release},
		"the pool cannot be reached":    {state: model.HubScanComplete, release: release, poolErr: errors.New("no"), sent: []string{sent}, judged: true},
		"the verdict cannot be read":    {state: model.HubScanComplete, release: release, verdictErr: errors.New("no"), sent: []string{sent}, released: true},
		"and neither the one nor other": {state: model.HubScanComplete, release: release, poolErr: errors.New("no"), verdictErr: errors.New("no"), sent: []string{sent}},
	} {
		t.Run(name, func(t *testing.T) {
			h, pool := &judgingHub{stubHub: stubHub{state: model.HubScan{State: each.state}}, err: each.verdictErr}, &stubPool{err: each.poolErr}
			result, err := awaitAndRelease(t, h, pool, activities.AwaitHubScanInput{Longest: time.Hour, Release: each.release}, nil)
			require.Equal(t, each.state == model.HubScanInProgress, err != nil)
			require.Equal(t, each.sent, pool.sent)
			require.Equal(t, each.released, result.Released)
			require.Equal(t, each.judged, result.Verdict != nil)
			if each.judged {
				require.Equal(t, "a", result.Verdict.Hub)
			}
		})
	}
}

// judgingHub fails only where a verdict is asked for.
type judgingHub struct {
	stubHub
	err error
}

func (h *judgingHub) Verdict(context.Context, model.HubScan) (model.Verdict, error) {
	return model.Verdict{OverallStatus: model.NotInViolation}, h.err
}

// quickHub is done when it is asked for the second time.
type quickHub struct {
	judgingHub
	asked int
}

func (h *quickHub) ScanState(context.Context, model.HubScan) (model.HubScan, error) {
	if h.asked++; h.asked == 1 {
		return model.HubScan{State: model.HubScanInProgress}, nil
	}
	return model.HubScan{State: model.HubScanComplete}, nil
}

// TestHubIsAskedTwiceSoonAfterTheUpload: and once later, when another question at once tells nothing new.
func TestHubIsAskedTwiceSoonAfterTheUpload(t *testing.T) {
	h := &quickHub{}
	result, err := awaitAndRelease(t, h, &stubPool{}, activities.AwaitHubScanInput{Since: time.Now(), Longest: time.Hour}, nil)
	require.NoError(t, err)
	require.NotNil(t, result.Verdict)
	h = &quickHub{}
	_, err = awaitAndRelease(t, h, &stubPool{}, activities.AwaitHubScanInput{Since: time.Now().Add(-time.Minute), Longest: time.Hour}, nil)
	require.Error(t, err)
	require.Equal(t, 1, h.asked)
}

func TestAwaitCountsOnlyTimeInWhichTheHubAnswered(t *testing.T) {
	h := &stubHub{state: model.HubScan{State: model.HubScanInProgress, Detail: "MATCHING"}}
	longAgo := map[string]any{"answered": time.Hour, "lastAnswer": time.Now().Add(-2 * time.Hour)}
	result, err := await(t, h, activities.AwaitHubScanInput{Since: time.Now(), Longest: 2 * time.Hour}, longAgo)
	require.NoError(t, err)
	require.True(t, result.Stuck)
	require.Greater(t, result.Answered, 3*time.Hour-time.Minute)

	silent := map[string]any{"answered": time.Hour, "failures": 1}
	_, err = await(t, h, activities.AwaitHubScanInput{Since: time.Now(), Longest: 2 * time.Hour}, silent)
	require.ErrorContains(t, err, "works on the scan", "the time since a failure does not count")
}

// TestAwaitNotesOnlyWhatTheNextPollMustKnow: polls come several times a second, and a note costs the server a write.
func TestAwaitNotesOnlyWhatTheNextPollMustKnow(t *testing.T) {
	h := &stubHub{state: model.HubScan{State: model.HubScanInProgress, Detail: "MATCHING"}}
	for name, each := range map[string]struct {
		before map[string]any
		noted  bool
	}{
		"the first answer":         {nil, true},
		"the same a moment later":  {map[string]any{"hub": "MATCHING", "lastAnswer": time.Now().Add(-time.Second)}, false},
		"the same much later":      {map[string]any{"hub": "MATCHING", "lastAnswer": time.Now().Add(-6 * time.Second)}, true},
		"another state":            {map[string]any{"hub": "UPLOADED", "lastAnswer": time.Now().Add(-time.Second)}, true},
		"an answer after failures": {map[string]any{"hub": "MATCHING", "failures": 1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			steps := activities.NewHubSteps(activities.HubMap{"a": h}, nil)
			env := environment(t, steps)
			if each.before != nil {
				env.SetHeartbeatDetails(each.before)
			}
			notes := make(chan struct{}, 8)
			env.SetOnActivityHeartbeatListener(func(*activity.Info, converter.EncodedValues) { notes <- struct{}{} })
			_, err := env.ExecuteActivity(steps.AwaitHubScan, activities.AwaitHubScanInput{Scan: model.HubScan{Hub: "a"}, Since: time.Now(), Longest: time.Hour})
			require.ErrorContains(t, err, "works on the scan")
			if each.noted {
				select {
				case <-notes:
				case <-time.After(10 * time.Second):
					t.Error("the next poll would not know of it")
				}
			} else {
				require.Empty(t, notes)
			}
		})
	}
}

func TestAwaitReturnsTroubleAfterTwoRetries(t *testing.T) {
	h := &stubHub{err: edgeError{class: model.Transient}}
	_, err := await(t, h, activities.AwaitHubScanInput{}, map[string]any{"failures": 1})
	require.Error(t, err, "the second failure is tried again")
	result, err := await(t, h, activities.AwaitHubScanInput{}, map[string]any{"failures": 2, "answered": time.Minute})
	require.NoError(t, err)
	require.Equal(t, model.Transient, result.Trouble.Class)
	require.Equal(t, time.Minute, result.Trouble.Answered)
}

func TestCountsDecidesWhetherAnUploadIsNeeded(t *testing.T) {
	scan := func(state model.HubScanState, id string) model.HubScan {
		return model.HubScan{State: state, ScanID: id}
	}
	require.True(t, activities.HubHasScan(scan(model.HubScanInProgress, "1"), "1"))
	require.True(t, activities.HubHasScan(scan(model.HubScanComplete, "1"), ""))
	require.True(t, activities.HubHasScan(scan(model.HubScanComplete, "2"), "1"))
	require.False(t, activities.HubHasScan(scan(model.HubScanComplete, "1"), "1"), "the scan a rescan is to replace")
	require.False(t, activities.HubHasScan(scan(model.HubScanFailed, "2"), "1"))
	require.False(t, activities.HubHasScan(scan(model.HubScanAbsent, ""), ""))
}

func TestWorkspaceKeys(t *testing.T) {
	key := activities.WorkspaceKey{Digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", Chain: "01a2-b", Pull: 2, Attempt: 3}
	again, err := activities.ParseWorkspaceKey(key.String())
	require.NoError(t, err)
	require.Equal(t, key, again)
	for _, wrong := range []string{"", "a.b.1.2", key.Digest.Hex() + ".c.x.1", key.Digest.Hex() + ".c.1"} {
		_, err := activities.ParseWorkspaceKey(wrong)
		require.Error(t, err, wrong)
	}
}

func FuzzParseWorkspaceKey(f *testing.F) {
	f.Add("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.chain.1.1")
	f.Fuzz(func(t *testing.T, text string) {
		if key, err := activities.ParseWorkspaceKey(text); err == nil {
			_, err := activities.ParseWorkspaceKey(key.String())
			require.NoError(t, err)
		}
	})
}

// hubsHere are hubs that the worker of workflows may ask itself.
type hubsHere struct {
	activities.HubMap
	using int
}

func (h *hubsHere) HubHere(name string) (activities.Hub, func(), bool) {
	hub, ok := h.Hub(name)
	if ok {
		h.using++
	}
	return hub, func() { h.using-- }, ok
}

// TestLocalLookUpSaysOnlyWhatTheHubAnswered: a failure is found out by the step on the hub's queue, which knows what to do with it.
func TestLocalLookUpSaysOnlyWhatTheHubAnswered(t *testing.T) {
	for name, each := range map[string]struct {
		here  activities.HubsHere
		asked bool
	}{
		"no hub here":      {nil, false},
		"another hub":      {&hubsHere{HubMap: activities.HubMap{"b": &stubHub{}}}, false},
		"it fails":         {&hubsHere{HubMap: activities.HubMap{"a": &stubHub{err: edgeError{class: model.Unauthorized}}}}, false},
		"it does not know": {&hubsHere{HubMap: activities.HubMap{"a": &stubHub{found: model.HubScan{State: model.HubScanAbsent}}}}, true},
		"it has the image": {&hubsHere{HubMap: activities.HubMap{"a": &stubHub{found: model.HubScan{State: model.HubScanComplete}}}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			steps := activities.NewScanSteps(nil, nil, each.here)
			value, err := environment(t, steps).ExecuteLocalActivity(steps.LookUpHere, activities.LookUpScanInput{Hub: "a", Name: "x"})
			require.NoError(t, err)
			var result activities.LookUpHereResult
			require.NoError(t, value.Get(&result))
			require.Equal(t, each.asked, result.Asked)
			if here, ok := each.here.(*hubsHere); ok {
				require.Zero(t, here.using, "the place is given back")
			}
		})
	}
}
