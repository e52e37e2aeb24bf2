package scan_test

import (
	"context"
	"time"

	"github.com/stretchr/testify/mock"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// claims lets a scanner of others take the image from the backlog.
func (s *ScanImageSuite) claims() *testsuite.MockCallWrapper {
	return s.env.OnActivity(scanner.PullImage, mock.Anything, mock.Anything).
		Return(activities.Workspace{External: &activities.ExternalClaim{Hubs: []string{someHub}, Silence: time.Minute}}, nil)
}

// external is what the scanner of others reports.
func (s *ScanImageSuite) external(report workflows.ExternalReport, err error) *testsuite.MockCallWrapper {
	return s.env.OnActivity(workflows.ScanExternally, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in workflows.ScanExternallyInput) (workflows.ExternalReport, error) {
			s.NoError(in.Check())
			s.Equal(someHub, in.Hub)
			s.Empty(in.Name.Credential)
			return report, err
		})
}

// TestScannerOfOthers: the lease comes first, and the verdict is the hub's.
func (s *ScanImageSuite) TestScannerOfOthers() {
	s.lookUp(model.HubScanAbsent, model.HubScanInProgress)
	s.claims().Once()
	s.external(workflows.ExternalReport{Scanner: "one"}, nil).Once()
	s.awaits().Once()
	s.judges().Once()
	s.Require().NoError(s.run())
	s.completed()
	s.Require().Len(s.acquired, 1)
	s.Equal([]string{someHub}, s.acquired[0].Hubs, "a scanner of others cannot reach every hub")
	s.Require().Len(s.released, 1)
	s.False(s.released[0].Unfinished)
}

// TestReportOfAFailureDoesNotCountWhereTheHubHasTheScan: only the hub's answer counts.
func (s *ScanImageSuite) TestReportOfAFailureDoesNotCountWhereTheHubHasTheScan() {
	s.lookUp(model.HubScanAbsent, model.HubScanComplete)
	s.claims().Once()
	s.external(workflows.ExternalReport{Failed: true, Reason: "exit status 74"}, nil).Once()
	s.judges().Once()
	s.Require().NoError(s.run())
	s.completed()
}

// TestFailureOfAScannerOfOthersIsAFailure: the lease drains, because the hub may still get something.
func (s *ScanImageSuite) TestFailureOfAScannerOfOthersIsAFailure() {
	s.lookUp(model.HubScanAbsent)
	s.claims().Once()
	s.external(workflows.ExternalReport{Scanner: "one", Failed: true, Reason: "exit status 74"}, nil).Once()
	s.Require().Error(s.run())
	s.Require().NotNil(s.report.Failure)
	s.Equal(model.Transient, s.report.Failure.Class)
	s.Contains(s.report.Failure.Reason, "scanner one: exit status 74")
	s.Equal(string(workflows.StepExternal), s.report.Failure.Step)
	s.Require().NotEmpty(s.released)
	s.True(s.released[0].Unfinished)
}

// TestSuccessWithoutAScanAtTheHubIsNone: the image goes back to the backlog, and an own scanner scans it.
func (s *ScanImageSuite) TestSuccessWithoutAScanAtTheHubIsNone() {
	s.lookUp(model.HubScanAbsent)
	s.claims().Once()
	s.external(workflows.ExternalReport{Scanner: "liar"}, nil).Once()
	s.ownScanFollows()
	s.Len(s.released, 2, "the lease of the lie was given back")
}

// ownScanFollows lets one of Perceptor's own scanners scan the image after all.
func (s *ScanImageSuite) ownScanFollows() {
	s.pulls().Once()
	s.uploads().Once()
	s.awaits().Once()
	s.judges().Once()
	s.Require().NoError(s.run())
	s.completed()
}

// TestSilentScannerOfOthers: the hub is asked, then the image goes back; the next upload goes to the same hub.
func (s *ScanImageSuite) TestSilentScannerOfOthers() {
	s.lookUp(model.HubScanAbsent)
	s.claims().Once()
	s.external(workflows.ExternalReport{}, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_START_TO_CLOSE, nil)).Once()
	began := s.env.Now()
	s.ownScanFollows()
	s.GreaterOrEqual(s.env.Now().Sub(began), 2*workflows.UploadFence)
	s.Equal([]string{someHub}, s.acquired[1].Hubs)
}

// TestSilentScannerOfOthersThatHadUploaded: nothing is scanned twice.
func (s *ScanImageSuite) TestSilentScannerOfOthersThatHadUploaded() {
	s.lookUp(model.HubScanAbsent, model.HubScanComplete)
	s.claims().Once()
	s.external(workflows.ExternalReport{}, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_START_TO_CLOSE, nil)).Once()
	s.judges().Once()
	s.Require().NoError(s.run())
	s.completed()
}

// TestImageThatNoScannerOfOthersTakes goes back to the front of the backlog, without a question to the hub, as often as it takes.
func (s *ScanImageSuite) TestImageThatNoScannerOfOthersTakes() {
	const times = 7
	s.lookUp(model.HubScanAbsent)
	s.claims().Times(times)
	s.external(workflows.ExternalReport{}, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)).Times(times - 1)
	s.external(workflows.ExternalReport{Returned: true}, nil).Once()
	s.ownScanFollows()
	s.Len(s.released, times+1)
	for _, each := range s.released {
		s.False(each.Unfinished)
	}
}

// TestWrongClaimsAndReports: what cannot be used fails the scan or asks the hub; nothing is believed.
func (s *ScanImageSuite) TestWrongClaimsAndReports() {
	for _, wrong := range []activities.ExternalClaim{
		{}, {Hubs: []string{"a/b"}, Silence: time.Minute}, {Hubs: []string{someHub}}, {Hubs: []string{someHub}, Silence: 100 * 24 * time.Hour},
	} {
		s.SetupTest()
		s.lookUp(model.HubScanAbsent)
		s.env.OnActivity(scanner.PullImage, mock.Anything, mock.Anything).Return(activities.Workspace{External: &wrong}, nil)
		s.Require().Error(s.run())
		s.Equal(model.Invalid, s.report.Failure.Class)
		s.Empty(s.acquired)
	}
	s.SetupTest()
	s.lookUp(model.HubScanAbsent)
	s.claims().Once()
	s.external(workflows.ExternalReport{Failed: true, Returned: true}, nil).Once()
	s.ownScanFollows()
}
