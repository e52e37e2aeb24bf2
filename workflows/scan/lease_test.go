package scan_test

import (
	"context"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// waits has the step that waits for the hub send the release, as the real one does, before it ends.
func (s *ScanImageSuite) waits(result activities.AwaitHubScanResult) {
	s.env.OnActivity(hub.AwaitHubScan, mock.Anything, mock.Anything).Return(func(_ context.Context, in activities.AwaitHubScanInput) (activities.AwaitHubScanResult, error) {
		s.Require().NotNil(in.Release, "the scan holds a lease")
		s.Equal(workflows.SignalRelease.Name, in.Release.Name)
		s.handed = in.Release
		return result, nil
	}).Once()
}

func (s *ScanImageSuite) uploaded() {
	s.lookUp(model.HubScanAbsent)
	s.pulls().Once()
	s.uploads().Once()
}

func complete() model.HubScan {
	return model.HubScan{Hub: someHub, State: model.HubScanComplete, ScanID: "new"}
}

func (s *ScanImageSuite) TestStepThatWaitsReleasesTheLeaseAndBringsTheVerdict() {
	s.uploaded()
	s.waits(activities.AwaitHubScanResult{Scan: complete(), Released: true, Verdict: &model.Verdict{Hub: someHub, OverallStatus: model.NotInViolation}})
	s.Require().NoError(s.run())
	s.completed()
	s.False(s.report.Verdict.ScanStarted.IsZero())
	s.Empty(s.released, "the step has sent the release")
	value, text := workflows.Release{}, s.handed.Value
	s.Require().NoError(decodeJSON(text, &value))
	s.Equal(first, value.Attempt)
	s.Equal(someHub, value.Hub)
	s.False(value.Unfinished)
	s.NoError(value.Check(time.Now()))
}

func (s *ScanImageSuite) TestLeaseThatTheStepCouldNotReleaseIsReleasedByTheScan() {
	s.uploaded()
	s.waits(activities.AwaitHubScanResult{Scan: complete(), Verdict: &model.Verdict{Hub: someHub, OverallStatus: model.NotInViolation}})
	s.Require().NoError(s.run())
	s.completed()
	s.Require().Len(s.released, 1)
	s.Equal(first, s.released[0].Attempt)
}

func (s *ScanImageSuite) TestVerdictThatTheStepCouldNotReadIsReadByTheScan() {
	s.uploaded()
	s.waits(activities.AwaitHubScanResult{Scan: complete(), Released: true})
	s.judges().After(10 * time.Minute).Once()
	s.Require().NoError(s.run())
	s.completed()
	s.Empty(s.released)
	s.Zero(s.announced, "a lease that is back is not announced")
}

// TestScanThatFailedAtTheHubGivesNothingBackTwice: the step has given the lease back.
func (s *ScanImageSuite) TestScanThatFailedAtTheHubGivesNothingBackTwice() {
	s.uploaded()
	s.waits(activities.AwaitHubScanResult{Scan: model.HubScan{State: model.HubScanFailed, Detail: "ERROR"}, Released: true})
	s.Require().Error(s.run())
	s.Equal(activities.ScanFailed, s.report.Outcome)
	s.Empty(s.released)
}

// TestScanThatTheHubLostIsUploadedUnderANewLease: also where the step gave the old one back.
func (s *ScanImageSuite) TestScanThatTheHubLostIsUploadedUnderANewLease() {
	s.lookUp(model.HubScanAbsent)
	s.pulls().Twice()
	s.uploads().Twice()
	s.waits(activities.AwaitHubScanResult{Scan: model.HubScan{State: model.HubScanAbsent}, Released: true})
	s.waits(activities.AwaitHubScanResult{Scan: complete(), Released: true, Verdict: &model.Verdict{Hub: someHub, OverallStatus: model.NotInViolation}})
	s.Require().NoError(s.run())
	s.completed()
	s.Len(s.acquired, 2)
	s.Empty(s.released)
}

// TestCancelledScanGivesUpALeaseThatItsStepMayHaveReleased: the pool remembers the attempt, and takes the second word for nothing.
func (s *ScanImageSuite) TestCancelledScanGivesUpALeaseThatItsStepMayHaveReleased() {
	s.uploaded()
	s.env.OnActivity(hub.AwaitHubScan, mock.Anything, mock.Anything).After(time.Hour).
		Return(activities.AwaitHubScanResult{}, temporal.NewCanceledError()).Maybe()
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Minute)
	s.Require().Error(s.run())
	s.Require().NotEmpty(s.released)
	s.Equal(first, s.released[0].Attempt)
	s.True(s.released[0].Unfinished)
}
