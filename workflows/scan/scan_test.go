package scan_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/suite"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
	"github.com/perceptor/perceptor/workflows/scan"
)

const (
	digest  = model.Digest("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	someHub = "hub-a"
)

// first is the attempt of a scan's first grant.
var first = model.AttemptID{Millis: 7, Counter: 1}

// ScanImageSuite plays the pool of hubs by hand: it answers a scan's signals as the test says.
type ScanImageSuite struct {
	suite.Suite
	testsuite.WorkflowTestSuite

	env *testsuite.TestWorkflowEnvironment
	// heard is for signals that arrive side by side.
	heard sync.Mutex
	// acquired, released and reported are what the scan sent the pool; report is what it sent its image.
	acquired []workflows.Acquire
	released []workflows.Release
	troubles []workflows.HubReport
	report   *activities.ScanReport
	granted  int64
	// confirmed counts the grants of which the scan said that they have arrived.
	confirmed int
	// refuse is how many reports fail in a way that no retry of the step helps; refused is called for each.
	refuse  int
	refused func()
	// hubless is how often the pool does not say which hubs there are.
	hubless int
	// announced counts the announcements of a lease held.
	announced int
	// handed is the release that the scan had a step send.
	handed *activities.SignalPoolInput
	// others are hubs beside someHub.
	others []activities.HubState
	// here answers for the hubs that the worker asks itself; nil while it may ask none.
	here func(hub string) (activities.LookUpHereResult, error)
	// grant answers an acquire; nil leaves it unanswered.
	grant func(a workflows.Acquire) *workflows.Grant
}

func TestScanImage(t *testing.T) { suite.Run(t, new(ScanImageSuite)) }

// The steps by reference, as the workflow names them.
var (
	hub     *activities.HubSteps
	scanner *activities.ScannerSteps
	light   *activities.ScanSteps
	tell    *activities.ReportSteps
)

func (s *ScanImageSuite) SetupTest() {
	s.env = s.NewTestWorkflowEnvironment()
	s.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.ScanImageID(digest)})
	s.env.SetTestTimeout(20 * time.Second)
	s.handed, s.here, s.others = nil, nil, nil
	s.acquired, s.released, s.troubles, s.report, s.granted, s.announced, s.confirmed = nil, nil, nil, nil, 0, 0, 0
	s.grant = func(a workflows.Acquire) *workflows.Grant {
		return &workflows.Grant{Chain: a.Chain, Hub: someHub, Attempt: s.next()}
	}
	for _, steps := range []any{
		activities.NewHubSteps(nil, nil), activities.NewScannerSteps(nil, nil, nil, nil), activities.NewScanSteps(nil, nil, nil), activities.NewReportSteps(nil),
	} {
		s.env.RegisterActivity(steps)
	}
	s.env.RegisterActivityWithOptions(func(context.Context, workflows.ScanExternallyInput) (workflows.ExternalReport, error) {
		return workflows.ExternalReport{}, nil
	}, activity.RegisterOptions{Name: workflows.ScanExternally})
	s.hubless, s.refuse, s.refused = 0, 0, func() {}
	s.env.OnActivity(light.ListHubs, mock.Anything).Return(func(context.Context) (activities.ListHubsResult, error) {
		if s.hubless--; s.hubless >= 0 {
			return activities.ListHubsResult{}, errors.New("ask hubs: context deadline exceeded")
		}
		return activities.ListHubsResult{Hubs: append([]activities.HubState{{Name: someHub}}, s.others...)}, nil
	}).Maybe()
	s.env.OnActivity(light.LookUpHere, mock.Anything, mock.Anything).Return(func(_ context.Context, in activities.LookUpScanInput) (activities.LookUpHereResult, error) {
		if s.here == nil {
			return activities.LookUpHereResult{}, nil
		}
		return s.here(in.Hub)
	}).Maybe()
	s.env.OnActivity(tell.ReportScan, mock.Anything, mock.Anything).Return(func(_ context.Context, r activities.ScanReport) error {
		if s.refuse--; s.refuse >= 0 {
			s.refused()
			return temporal.NewNonRetryableApplicationError("no", string(model.Invalid), nil)
		}
		s.report = &r
		return nil
	}).Maybe()
	s.env.OnActivity(light.SignalPool, mock.Anything, mock.Anything).Return(func(_ context.Context, in activities.SignalPoolInput) error {
		s.pool(in)
		return nil
	}).Maybe()
}

// next is the attempt of the next grant; a pool never gives one out twice.
func (s *ScanImageSuite) next() model.AttemptID {
	s.granted++
	return model.AttemptID{Millis: first.Millis, Counter: s.granted}
}

// pool takes a signal as HubPool would.
func (s *ScanImageSuite) pool(in activities.SignalPoolInput) {
	s.heard.Lock()
	defer s.heard.Unlock()
	switch in.Name {
	case workflows.SignalAcquire.Name:
		s.acquire(decode[workflows.Acquire](s, in))
	case workflows.SignalConfirm.Name:
		s.confirmed++
	case workflows.SignalRelease.Name:
		s.released = append(s.released, decode[workflows.Release](s, in))
	case workflows.SignalHubReport.Name:
		report := decode[workflows.HubReport](s, in)
		s.troubles = append(s.troubles, report)
		if report.Waiting {
			s.env.RegisterDelayedCallback(func() {
				s.env.SignalWorkflow(workflows.SignalHubAvailable.Name, workflows.HubAvailable{Hub: report.Hub})
			}, time.Second)
		}
	}
}

func (s *ScanImageSuite) acquire(a workflows.Acquire) {
	if a.Held != nil {
		s.announced++
		return
	}
	s.acquired = append(s.acquired, a)
	if g := s.grant(a); g != nil {
		s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(workflows.SignalGrant.Name, *g) }, time.Millisecond)
	}
}

// decodeJSON reads what a step on a queue gets.
func decodeJSON(value, into any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

func decode[T any](s *ScanImageSuite, in activities.SignalPoolInput) T {
	value, ok := in.Value.(T)
	s.True(ok, "%s carries a %T", in.Name, in.Value)
	return value
}

func (s *ScanImageSuite) input() workflows.ScanImageInput {
	name := model.Name{Repository: "registry.example/team/app", Tag: "1"}
	return workflows.ScanImageInput{
		Digest: digest, Names: []model.Name{name}, HubNames: model.DefaultHubNames(name, digest),
		Domain: workflows.DefaultDomain, Priority: workflows.PriorityPod, Attempt: 1,
	}
}

func (s *ScanImageSuite) lookUp(states ...model.HubScanState) {
	for i, state := range states {
		call := s.env.OnActivity(hub.LookUpScan, mock.Anything, mock.Anything).
			Return(activities.LookUpScanResult{Scan: model.HubScan{Hub: someHub, State: state, ScanID: "old"}}, nil)
		if i < len(states)-1 {
			call.Once()
		}
	}
}

func (s *ScanImageSuite) place() activities.Workspace {
	return activities.Workspace{Host: "host-1", Key: "b", Name: s.input().Names[0], Components: 3}
}

func (s *ScanImageSuite) pulls() *testsuite.MockCallWrapper {
	return s.env.OnActivity(scanner.PullImage, mock.Anything, mock.Anything).Return(s.place(), nil)
}

func (s *ScanImageSuite) uploads() *testsuite.MockCallWrapper {
	return s.env.OnActivity(scanner.UploadScan, mock.Anything, mock.Anything).
		Return(activities.UploadScanResult{Scan: model.HubScan{Hub: someHub, State: model.HubScanInProgress, ScanID: "new"}}, nil)
}

func (s *ScanImageSuite) awaits() *testsuite.MockCallWrapper {
	return s.env.OnActivity(hub.AwaitHubScan, mock.Anything, mock.Anything).
		Return(activities.AwaitHubScanResult{Scan: model.HubScan{Hub: someHub, State: model.HubScanComplete, ScanID: "new"}}, nil)
}

func (s *ScanImageSuite) judges() *testsuite.MockCallWrapper {
	return s.env.OnActivity(hub.FetchVerdict, mock.Anything, mock.Anything).
		Return(activities.FetchVerdictResult{Verdict: model.Verdict{Hub: someHub, OverallStatus: model.NotInViolation}}, nil)
}

func (s *ScanImageSuite) run() error {
	s.env.ExecuteWorkflow(scan.ScanImage, s.input())
	s.Require().True(s.env.IsWorkflowCompleted())
	return s.env.GetWorkflowError()
}

// completed says what must hold after every scan that ends with a verdict.
func (s *ScanImageSuite) completed() {
	s.Require().NotNil(s.report)
	s.Equal(activities.ScanCompleted, s.report.Outcome)
	s.Require().NotNil(s.report.Verdict)
	s.Equal(model.NotInViolation, s.report.Verdict.OverallStatus)
}

func (s *ScanImageSuite) TestUnknownImageGoesThroughEveryStep() {
	s.lookUp(model.HubScanAbsent)
	s.pulls().Once()
	s.uploads().Once()
	s.awaits().Once()
	s.judges().Once()
	s.Require().NoError(s.run())
	s.completed()
	s.Len(s.acquired, 1)
	s.Require().Len(s.released, 1)
	s.False(s.released[0].Unfinished)
	s.Equal(first, s.released[0].Attempt)
}

func (s *ScanImageSuite) TestCompleteScanAtTheHubIsTaken() {
	s.lookUp(model.HubScanComplete)
	s.judges().Once()
	s.Require().NoError(s.run())
	s.completed()
	s.Empty(s.acquired, "nothing is uploaded, so no lease is needed")
}

// TestPoolThatDoesNotAnswerIsAskedAgain: the step's own repetitions end after half a minute, and the scan must not.
func (s *ScanImageSuite) TestPoolThatDoesNotAnswerIsAskedAgain() {
	s.hubless = 30
	s.lookUp(model.HubScanComplete)
	s.judges().Once()
	var waitsFor string
	s.env.RegisterDelayedCallback(func() {
		answer, err := s.env.QueryWorkflow(workflows.QueryStatus)
		s.Require().NoError(err)
		var view workflows.ScanView
		s.Require().NoError(answer.Get(&view))
		waitsFor = view.WaitingFor
	}, 45*time.Second)
	s.Require().NoError(s.run())
	s.completed()
	s.Less(s.hubless, 0)
	s.Contains(waitsFor, "the pool of hubs to answer")
}

func (s *ScanImageSuite) TestScanInProgressAtTheHubIsAwaited() {
	s.lookUp(model.HubScanInProgress)
	s.awaits().Once()
	s.judges().Once()
	s.Require().NoError(s.run())
	s.completed()
	s.Empty(s.acquired)
}

func (s *ScanImageSuite) TestPullFailureIsReportedWithItsClass() {
	s.lookUp(model.HubScanAbsent)
	s.env.OnActivity(scanner.PullImage, mock.Anything, mock.Anything).
		Return(activities.Workspace{}, temporal.NewNonRetryableApplicationError("no such manifest", string(model.NotFound), nil)).Once()
	err := s.run()
	var app *temporal.ApplicationError
	s.Require().ErrorAs(err, &app)
	s.Equal(string(model.NotFound), app.Type())
	s.Require().NotNil(s.report)
	s.Equal(activities.ScanFailed, s.report.Outcome)
	s.Equal("no such manifest", s.report.Failure.Reason)
	s.Equal(string(workflows.StepPull), s.report.Failure.Step)
	s.Nil(s.report.Verdict)
}

// TestFailureOfTheSBOMSaysThatItWasNotThePull: both are one step.
func (s *ScanImageSuite) TestFailureOfTheSBOMSaysThatItWasNotThePull() {
	for name, err := range map[string]error{
		"error": temporal.NewApplicationErrorWithOptions("cannot read it", string(model.Invalid), temporal.ApplicationErrorOptions{
			NonRetryable: true, Details: []any{activities.PartSBOM},
		}),
		"host lost": temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_START_TO_CLOSE, nil, activities.Progress{Phase: "unpack"}),
	} {
		s.Run(name, func() {
			s.SetupTest()
			s.lookUp(model.HubScanAbsent)
			s.env.OnActivity(scanner.PullImage, mock.Anything, mock.Anything).Return(activities.Workspace{}, err)
			s.env.ExecuteWorkflow(scan.ScanImage, s.input())
			s.Require().Error(s.env.GetWorkflowError())
			s.Require().NotNil(s.report.Failure)
			s.Equal(string(workflows.StepSBOM), s.report.Failure.Step)
		})
	}
}

func (s *ScanImageSuite) TestRefusedUploadGivesTheLeaseBackAndAsksAgain() {
	s.lookUp(model.HubScanAbsent)
	s.pulls().Once()
	s.env.OnActivity(scanner.UploadScan, mock.Anything, mock.Anything).
		Return(activities.UploadScanResult{Trouble: &activities.HubTrouble{Class: model.Throttled, Reason: "busy", RetryAfter: time.Second}, Refused: true}, nil).Once()
	s.uploads().Once()
	s.awaits().Once()
	s.judges().Once()
	s.Require().NoError(s.run())
	s.completed()
	s.Len(s.acquired, 2, "the listing is kept, the lease is asked for again")
	s.Len(s.released, 2)
	s.Equal(model.Throttled, s.troubles[0].Class)
	s.Empty(s.troubles[len(s.troubles)-1].Class, "the first success after a failure is reported")
}

func (s *ScanImageSuite) TestUploadOfUnknownOutcomeIsLookedForBeforeAnother() {
	s.lookUp(model.HubScanAbsent, model.HubScanInProgress)
	s.pulls().Once()
	s.env.OnActivity(scanner.UploadScan, mock.Anything, mock.Anything).
		Return(activities.UploadScanResult{Trouble: &activities.HubTrouble{Class: model.Transient, Reason: "connection reset"}}, nil).Once()
	s.awaits().Once()
	s.judges().Once()
	s.Require().NoError(s.run())
	s.completed()
	s.Len(s.released, 1, "the lease stays out until the hub is done")
}

func (s *ScanImageSuite) TestLostHostIsFencedThenPulledAgain() {
	s.lookUp(model.HubScanAbsent)
	s.pulls().Twice()
	s.env.OnActivity(scanner.UploadScan, mock.Anything, mock.Anything).
		Return(activities.UploadScanResult{}, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_HEARTBEAT, nil)).Times(4)
	s.uploads().Once()
	s.awaits().Once()
	s.judges().Once()
	began := s.env.Now()
	s.Require().NoError(s.run())
	s.completed()
	s.GreaterOrEqual(s.env.Now().Sub(began), workflows.UploadFence, "nothing is uploaded again before the old upload must have ended")
	s.Require().Len(s.acquired, 2)
	s.Equal([]string{someHub}, s.acquired[1].Hubs, "an upload of unknown outcome stays bound to its hub")
}

func (s *ScanImageSuite) TestWorkspaceThatIsGoneIsPulledAgain() {
	s.lookUp(model.HubScanAbsent)
	s.pulls().Twice()
	s.env.OnActivity(scanner.UploadScan, mock.Anything, mock.Anything).
		Return(activities.UploadScanResult{}, temporal.NewNonRetryableApplicationError("gone", string(activities.WorkspaceGone), nil)).Once()
	s.uploads().Once()
	s.awaits().Once()
	s.judges().Once()
	s.Require().NoError(s.run())
	s.completed()
}

func (s *ScanImageSuite) TestHubAlreadyAtItIsLookedAtInsteadOfUploading() {
	s.grant = func(a workflows.Acquire) *workflows.Grant {
		return &workflows.Grant{Chain: a.Chain, Hub: someHub, WaitFor: true}
	}
	s.lookUp(model.HubScanAbsent, model.HubScanInProgress)
	s.pulls().Once()
	s.awaits().Once()
	s.judges().Once()
	s.Require().NoError(s.run())
	s.completed()
	s.Require().Len(s.released, 1, "the place in the queue is given up")
	s.True(s.released[0].Attempt.IsZero())
}

func (s *ScanImageSuite) TestFailedHubScanFailsTheScan() {
	s.lookUp(model.HubScanAbsent)
	s.pulls().Once()
	s.uploads().Once()
	s.env.OnActivity(hub.AwaitHubScan, mock.Anything, mock.Anything).
		Return(activities.AwaitHubScanResult{Scan: model.HubScan{State: model.HubScanFailed, Detail: "ERROR_MATCHING"}}, nil).Once()
	s.Require().Error(s.run())
	s.Equal(activities.ScanFailed, s.report.Outcome)
	s.Contains(s.report.Failure.Reason, "ERROR_MATCHING")
	s.False(s.released[0].Unfinished)
}

func (s *ScanImageSuite) TestStuckHubScanKeepsItsLeaseOut() {
	s.lookUp(model.HubScanAbsent)
	s.pulls().Once()
	s.uploads().Once()
	s.env.OnActivity(hub.AwaitHubScan, mock.Anything, mock.Anything).
		Return(activities.AwaitHubScanResult{Scan: model.HubScan{State: model.HubScanInProgress, Detail: "MATCHING"}, Stuck: true, Answered: 3 * time.Hour}, nil).Once()
	s.Require().Error(s.run())
	s.Require().Len(s.released, 1)
	s.True(s.released[0].Unfinished)
}

func (s *ScanImageSuite) TestHubTroubleWhileAwaitingIsWaitedOut() {
	s.lookUp(model.HubScanInProgress)
	s.env.OnActivity(hub.AwaitHubScan, mock.Anything, mock.Anything).
		Return(activities.AwaitHubScanResult{Trouble: &activities.HubTrouble{Class: model.Transient, Reason: "502"}, Answered: time.Minute}, nil).Once()
	s.env.OnActivity(hub.AwaitHubScan, mock.Anything, mock.MatchedBy(func(in activities.AwaitHubScanInput) bool { return in.Answered == time.Minute })).
		Return(activities.AwaitHubScanResult{Scan: model.HubScan{Hub: someHub, State: model.HubScanComplete}}, nil).Once()
	s.judges().Once()
	s.Require().NoError(s.run())
	s.completed()
	s.True(s.troubles[0].Waiting)
}

// TestFailedPollIsRepeatedSoon: polls are attempts too, and a delay that grows with them would be a minute by then.
func (s *ScanImageSuite) TestFailedPollIsRepeatedSoon() {
	s.lookUp(model.HubScanInProgress)
	poll := func(err error, times int) {
		s.env.OnActivity(hub.AwaitHubScan, mock.Anything, mock.Anything).Return(activities.AwaitHubScanResult{}, err).Times(times)
	}
	poll(temporal.NewApplicationErrorWithOptions("in progress", "in-progress", temporal.ApplicationErrorOptions{NextRetryDelay: time.Second}), 7)
	poll(temporal.NewApplicationError("cut off", string(model.Transient)), 2)
	s.awaits().Once()
	s.judges().Once()
	began := s.env.Now()
	s.Require().NoError(s.run())
	s.completed()
	s.Less(s.env.Now().Sub(began), 25*time.Second)
}

func (s *ScanImageSuite) TestUnwantedScanStopsInTheBacklog() {
	s.lookUp(model.HubScanAbsent)
	s.pulls().After(time.Hour).Maybe()
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(workflows.SignalUnwanted.Name, workflows.Unwanted{}) }, time.Minute)
	err := s.run()
	s.Require().True(temporal.IsCanceledError(errors.Unwrap(err)) || temporal.IsCanceledError(err), "%v", err)
	s.Equal(activities.ScanCancelled, s.report.Outcome)
}

func (s *ScanImageSuite) TestHubThatCannotBeAskedIsSkippedAndNamed() {
	s.env.OnActivity(hub.LookUpScan, mock.Anything, mock.Anything).
		Return(activities.LookUpScanResult{Trouble: &activities.HubTrouble{Class: model.Transient, Reason: "502"}}, nil).Once()
	s.pulls().Once()
	s.grant = func(a workflows.Acquire) *workflows.Grant {
		return &workflows.Grant{Chain: a.Chain, Hub: "hub-b", Attempt: s.next()}
	}
	s.env.OnActivity(scanner.UploadScan, mock.Anything, mock.Anything).
		Return(activities.UploadScanResult{Scan: model.HubScan{Hub: "hub-b", State: model.HubScanComplete}}, nil).Once()
	s.judges().Once()
	s.Require().NoError(s.run())
	s.Equal([]string{someHub}, s.report.Verdict.SkippedHubs)
}

// TestHubThatMayHaveTheImageIsNotSkipped: an earlier scan was lost, perhaps after its upload.
func (s *ScanImageSuite) TestHubThatMayHaveTheImageIsNotSkipped() {
	bad := activities.LookUpScanResult{Trouble: &activities.HubTrouble{Class: model.Transient, Reason: "502"}}
	s.env.OnActivity(hub.LookUpScan, mock.Anything, mock.Anything).Return(bad, nil).Times(3)
	s.env.OnActivity(hub.LookUpScan, mock.Anything, mock.Anything).
		Return(activities.LookUpScanResult{Scan: model.HubScan{State: model.HubScanComplete, ScanID: "left"}}, nil).Once()
	s.judges().Once()
	in := s.input()
	in.AskAll = true
	s.env.ExecuteWorkflow(scan.ScanImage, in)
	s.Require().NoError(s.env.GetWorkflowError())
	s.completed()
	s.Empty(s.acquired, "nothing is uploaded")
	s.Empty(s.report.Verdict.SkippedHubs)
}

func (s *ScanImageSuite) TestHolderAnnouncesItsLeaseOftenAtFirst() {
	s.lookUp(model.HubScanAbsent)
	s.pulls().Once()
	s.uploads().Once()
	s.awaits().After(12 * time.Minute).Once()
	s.judges().Once()
	s.Require().NoError(s.run())
	s.completed()
	s.Equal(6, s.announced, "every 30 s for two minutes, then every five minutes")
}

func (s *ScanImageSuite) TestGrantThatWasGivenBackIsNotTakenAgain() {
	s.lookUp(model.HubScanAbsent)
	s.pulls().Once()
	s.env.OnActivity(scanner.UploadScan, mock.Anything, mock.Anything).
		Return(activities.UploadScanResult{Trouble: &activities.HubTrouble{Class: model.Throttled, Reason: "busy"}, Refused: true}, nil).Once()
	s.env.OnActivity(scanner.UploadScan, mock.Anything, mock.MatchedBy(func(in activities.UploadScanInput) bool { return first.Less(in.Attempt) })).
		Return(activities.UploadScanResult{Scan: model.HubScan{Hub: someHub, State: model.HubScanComplete}}, nil).Once()
	s.judges().Once()
	s.grant = func(a workflows.Acquire) *workflows.Grant {
		if s.granted == 0 {
			return &workflows.Grant{Chain: a.Chain, Hub: someHub, Attempt: s.next()}
		}
		// The pool has not heard of the release and sends the old grant again before the new one.
		s.env.RegisterDelayedCallback(func() {
			s.env.SignalWorkflow(workflows.SignalGrant.Name, workflows.Grant{Chain: a.Chain, Hub: someHub, Attempt: s.next()})
		}, time.Second)
		return &workflows.Grant{Chain: a.Chain, Hub: someHub, Attempt: first}
	}
	s.Require().NoError(s.run())
	s.completed()
}

// TestLeaseThatComesDuringALookAtAnotherHubIsTaken: otherwise it would never be given back.
func (s *ScanImageSuite) TestLeaseThatComesDuringALookAtAnotherHubIsTaken() {
	absent := activities.LookUpScanResult{Scan: model.HubScan{Hub: someHub, State: model.HubScanAbsent}}
	s.env.OnActivity(hub.LookUpScan, mock.Anything, mock.Anything).Return(absent, nil).Once()
	s.pulls().Once()
	s.env.OnActivity(hub.LookUpScan, mock.Anything, mock.Anything).Return(absent, nil).After(time.Minute).Once()
	s.uploads().Once()
	s.awaits().Once()
	s.judges().Once()
	s.grant = func(a workflows.Acquire) *workflows.Grant {
		s.env.RegisterDelayedCallback(func() {
			s.env.SignalWorkflow(workflows.SignalGrant.Name, workflows.Grant{Chain: a.Chain, Hub: someHub, Attempt: first})
		}, 10*time.Second)
		return &workflows.Grant{Chain: a.Chain, Hub: someHub, WaitFor: true}
	}
	s.Require().NoError(s.run())
	s.completed()
	s.Len(s.acquired, 1)
}

// TestGrantIsConfirmedWhereThePoolDoesNotKnowThatItArrived: it sends only such a grant again.
func (s *ScanImageSuite) TestGrantIsConfirmedWhereThePoolDoesNotKnowThatItArrived() {
	for name, each := range map[string]struct {
		again     bool
		confirmed int
	}{
		"once":  {},
		"twice": {again: true, confirmed: 1},
	} {
		s.Run(name, func() {
			s.SetupTest()
			s.lookUp(model.HubScanAbsent)
			s.pulls().Once()
			s.uploads().After(time.Minute).Once()
			s.awaits().Once()
			s.judges().Once()
			s.grant = func(a workflows.Acquire) *workflows.Grant {
				g := workflows.Grant{Chain: a.Chain, Hub: someHub, Attempt: first}
				if each.again {
					s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(workflows.SignalGrant.Name, g) }, 10*time.Second)
				}
				return &g
			}
			s.env.ExecuteWorkflow(scan.ScanImage, s.input())
			s.Require().NoError(s.env.GetWorkflowError())
			s.completed()
			s.Equal(each.confirmed, s.confirmed)
		})
	}
}

func (s *ScanImageSuite) TestScanThatHoldsNothingSaysSoToAPoolThatAsks() {
	s.lookUp(model.HubScanAbsent)
	s.pulls().After(time.Minute).Once()
	s.uploads().Once()
	s.awaits().Once()
	s.judges().Once()
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(workflows.SignalAnnounce.Name, workflows.Announce{}) }, time.Second)
	s.Require().NoError(s.run())
	s.completed()
	s.Len(s.released, 2, "one says that nothing is held, the other ends the lease")
}

func (s *ScanImageSuite) TestWorkspaceQueryNamesHostAndWorkspace() {
	s.lookUp(model.HubScanAbsent)
	s.pulls().Once()
	s.uploads().After(time.Minute).Once()
	s.awaits().Once()
	s.judges().Once()
	var during workflows.WorkspaceView
	s.env.RegisterDelayedCallback(func() {
		value, err := s.env.QueryWorkflow(workflows.QueryWorkspace)
		s.Require().NoError(err)
		s.Require().NoError(value.Get(&during))
	}, 30*time.Second)
	s.Require().NoError(s.run())
	s.Equal("host-1", during.Host)
	s.Equal("b", during.Workspace)
	value, err := s.env.QueryWorkflow(workflows.QueryWorkspace)
	s.Require().NoError(err)
	var after workflows.WorkspaceView
	s.Require().NoError(value.Get(&after))
	s.Empty(after.Host, "a scan that is done needs no workspace")
}
