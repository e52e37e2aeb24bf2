package scan_test

import (
	"time"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
	"github.com/perceptor/perceptor/workflows/scan"
)

func (s *ScanImageSuite) TestVerdictThatCannotBeReportedIsReportedAgain() {
	s.lookUp(model.HubScanComplete)
	s.judges()
	s.refuse = 3
	s.Require().NoError(s.run())
	s.completed()
}

func (s *ScanImageSuite) TestScanCancelledWhileItReportsReportsItsVerdict() {
	s.lookUp(model.HubScanComplete)
	s.judges()
	s.refuse, s.refused = 1, func() { s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Second) }
	s.Require().ErrorContains(s.run(), "canceled")
	s.completed()
}

func (s *ScanImageSuite) TestCancelledScanGivesItsLeaseBackAlthoughItsReportFails() {
	s.lookUp(model.HubScanAbsent)
	s.pulls()
	s.uploads()
	s.awaits().After(time.Hour)
	s.refuse = 2
	s.env.RegisterDelayedCallback(s.env.CancelWorkflow, time.Minute)
	s.Require().ErrorContains(s.run(), "canceled")
	s.Equal(activities.ScanCancelled, s.report.Outcome)
	s.Require().NotEmpty(s.released)
	s.True(s.released[0].Unfinished)
}

func (s *ScanImageSuite) TestScanWithAWrongInputEndsAtOnce() {
	for _, change := range []func(*workflows.ScanImageInput){
		func(in *workflows.ScanImageInput) { in.Names = nil },
		func(in *workflows.ScanImageInput) { in.Digest = poolDigest() },
		func(in *workflows.ScanImageInput) { in.State = &workflows.ScanState{Step: workflows.StepUpload} },
	} {
		s.SetupTest()
		in := s.input()
		change(&in)
		s.env.ExecuteWorkflow(scan.ScanImage, in)
		s.Require().ErrorContains(s.env.GetWorkflowError(), "input of the scan is wrong")
	}
}

func poolDigest() model.Digest { return model.Digest("sha256:" + "f" + string(digest[8:])) }
