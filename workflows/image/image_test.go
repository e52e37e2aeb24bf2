package image_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/suite"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
	"github.com/perceptor/perceptor/workflows/image"
)

// ImageSuite runs Image with scans whose outcomes the test decides.
type ImageSuite struct {
	suite.Suite
	testsuite.WorkflowTestSuite

	env *testsuite.TestWorkflowEnvironment
	// scans are the inputs of the scans that were started.
	scans []workflows.ScanImageInput
	// outcome is what the next scan reports; nil lets it close without a word.
	outcome func(in workflows.ScanImageInput, chain string, started time.Time) *activities.ScanReport
	// gone are the scans of which the pool was notified that they have closed.
	gone []workflows.Release
	// hold is what a scan does before it reports.
	hold func(ctx workflow.Context)
}

const (
	digest  = model.Digest("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	someHub = "hub-a"
)

// The steps by reference, as the workflow names them.
var (
	light          *activities.ScanSteps
	inventorySteps *activities.InventorySteps
)

func TestImage(t *testing.T) { suite.Run(t, new(ImageSuite)) }

func (s *ImageSuite) SetupTest() {
	s.env = s.NewTestWorkflowEnvironment()
	s.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.ImageID(digest)})
	s.env.SetTestTimeout(20 * time.Second)
	s.scans, s.gone = nil, nil
	s.hold = func(ctx workflow.Context) { s.NoError(workflow.Sleep(ctx, time.Second)) }
	s.outcome = completed
	s.env.RegisterActivity(activities.NewScanSteps(nil, nil))
	s.env.OnActivity(light.SignalPool, mock.Anything, mock.Anything).Return(func(_ context.Context, in activities.SignalPoolInput) error {
		s.gone = append(s.gone, in.Value.(workflows.Release))
		return nil
	}).Maybe()
	// A mock would let the scan be done before it counts as started.
	s.env.RegisterWorkflowWithOptions(s.scan, workflow.RegisterOptions{Name: "ScanImage"})
	s.env.OnUpsertTypedSearchAttributes(mock.Anything).Return(nil).Maybe()
}

// scan stands in for ScanImage: it reports, then closes.
func (s *ImageSuite) scan(ctx workflow.Context, in workflows.ScanImageInput) (model.Verdict, error) {
	s.scans = append(s.scans, in)
	info := workflow.GetInfo(ctx)
	s.hold(ctx)
	report := s.outcome(in, info.WorkflowExecution.RunID, workflow.Now(ctx))
	if report == nil {
		return model.Verdict{}, temporal.NewApplicationError("terminated", "test")
	}
	s.env.SignalWorkflow(workflows.SignalScanReport.Name, *report)
	return model.Verdict{}, workflow.Sleep(ctx, time.Millisecond)
}

func completed(in workflows.ScanImageInput, chain string, started time.Time) *activities.ScanReport {
	return &activities.ScanReport{
		Digest: in.Digest, Chain: chain, Outcome: activities.ScanCompleted, Started: started,
		Verdict: &model.Verdict{Hub: someHub, OverallStatus: model.InViolation, JudgedAt: started},
	}
}

func failed(in workflows.ScanImageInput, chain string, started time.Time) *activities.ScanReport {
	return &activities.ScanReport{
		Digest: in.Digest, Chain: chain, Outcome: activities.ScanFailed, Started: started,
		Failure: &model.Failure{Class: model.NotFound, Reason: "no such manifest", Step: "pull", At: started},
	}
}

func (s *ImageSuite) observe(after time.Duration, id string, counter int64, until time.Duration) {
	s.env.RegisterDelayedCallback(func() {
		r := workflows.Reference{Kind: workflows.ReferencePerson, ID: id, Version: model.Version{Epoch: 1, Counter: counter}}
		if until > 0 {
			r.Until = s.env.Now().Add(until)
		}
		s.env.SignalWorkflow(workflows.SignalObserve.Name, workflows.Observe{
			Names: []model.Name{{Repository: "registry.example/app", Tag: "1"}}, Priority: workflows.PriorityInteractive, Reference: r,
		})
	}, after)
}

func (s *ImageSuite) forget(after time.Duration, id string, counter int64) {
	s.env.RegisterDelayedCallback(func() {
		s.env.SignalWorkflow(workflows.SignalForget.Name, workflows.Forget{Reference: workflows.Reference{
			Kind: workflows.ReferencePerson, ID: id, Version: model.Version{Epoch: 1, Counter: counter},
		}})
	}, after)
}

// view asks the image at a time.
func (s *ImageSuite) view(after time.Duration, look func(workflows.ImageView)) {
	s.env.RegisterDelayedCallback(func() {
		value, err := s.env.QueryWorkflow(workflows.QueryStatus)
		s.Require().NoError(err)
		var v workflows.ImageView
		s.Require().NoError(value.Get(&v))
		look(v)
	}, after)
}

func (s *ImageSuite) run() error {
	s.env.ExecuteWorkflow(image.Image, workflows.ImageInput{Digest: digest})
	s.Require().True(s.env.IsWorkflowCompleted())
	return s.env.GetWorkflowError()
}

func (s *ImageSuite) TestScannedOnceAndForgottenADayAfterTheLastReference() {
	s.observe(0, "ann", 1, time.Hour)
	s.view(time.Minute, func(v workflows.ImageView) {
		s.Equal(model.StatusComplete, v.Status)
		s.Equal(model.InViolation, v.OverallStatus)
		s.False(v.Scanning)
	})
	began := s.env.Now()
	s.Require().NoError(s.run())
	s.Len(s.scans, 1)
	s.GreaterOrEqual(s.env.Now().Sub(began), 25*time.Hour)
}

func (s *ImageSuite) TestNothingIsScannedWithoutAReference() {
	s.Require().NoError(s.run())
	s.Empty(s.scans)
}

func (s *ImageSuite) TestFailuresAreTriedAgainEverLater() {
	tries := 0
	s.outcome = func(in workflows.ScanImageInput, chain string, started time.Time) *activities.ScanReport {
		if tries++; tries < 4 {
			return failed(in, chain, started)
		}
		return completed(in, chain, started)
	}
	s.observe(0, "ann", 1, 2*time.Hour)
	s.view(10*time.Second, func(v workflows.ImageView) {
		s.Equal(model.StatusFailed, v.Status)
		s.Equal(model.OverallUnknown, v.OverallStatus, "could not scan never looks like clean")
		s.Require().NotNil(v.Failure)
		s.Equal(1, v.Failure.Attempt)
		s.Equal("no such manifest", v.Failure.Reason)
		s.True(v.Failure.NextTry.After(s.env.Now()))
	})
	s.view(time.Hour, func(v workflows.ImageView) {
		s.Equal(model.StatusComplete, v.Status)
		s.Nil(v.Failure)
	})
	s.Require().NoError(s.run())
	s.Require().Len(s.scans, 4)
	s.Equal(4, s.scans[3].Attempt)
}

func (s *ImageSuite) TestScanThatClosesWithoutAWordIsStartedAgain() {
	tries := 0
	s.outcome = func(in workflows.ScanImageInput, chain string, started time.Time) *activities.ScanReport {
		if tries++; tries < 3 {
			return nil
		}
		return completed(in, chain, started)
	}
	s.observe(0, "ann", 1, time.Hour)
	s.view(time.Minute, func(v workflows.ImageView) { s.Equal(model.StatusComplete, v.Status) })
	s.Require().NoError(s.run())
	s.Require().Len(s.scans, 3)
	s.False(s.scans[0].AskAll)
	s.True(s.scans[1].AskAll, "it is not known how far the lost scan came")
	s.Require().Len(s.gone, 2, "the pool need not find out by itself, and is notified of no scan that reported")
	for _, release := range s.gone {
		s.NotEmpty(release.Chain)
		s.True(release.Unfinished, "it is not known whether the hub is done")
		s.True(release.Attempt.IsZero(), "whatever the chain has is meant")
	}
	s.NotEqual(s.gone[0].Chain, s.gone[1].Chain)
}

func (s *ImageSuite) TestRescanKeepsTheOldVerdictUntilTheNew() {
	s.observe(0, "ann", 1, time.Hour)
	s.env.RegisterDelayedCallback(func() {
		s.env.SignalWorkflow(workflows.SignalRescan.Name, workflows.Rescan{Priority: workflows.PriorityInteractive})
	}, time.Minute)
	s.view(time.Minute+500*time.Millisecond, func(v workflows.ImageView) {
		s.Equal(model.StatusComplete, v.Status)
		s.True(v.Scanning)
		s.Len(v.Verdicts, 1)
	})
	s.Require().NoError(s.run())
	s.Require().Len(s.scans, 2)
	s.True(s.scans[1].Rescan)
}

func (s *ImageSuite) TestLateAndRepeatedObservationsChangeNothing() {
	s.observe(0, "ann", 5, 0)
	s.forget(time.Minute, "ann", 6)
	s.observe(2*time.Minute, "ann", 4, 0)
	s.observe(3*time.Minute, "ann", 6, 0)
	s.view(4*time.Minute, func(v workflows.ImageView) { s.Empty(v.References, "an older observe does not bring a reference back") })
	s.Require().NoError(s.run())
	s.Len(s.scans, 1)
}

func (s *ImageSuite) TestForgettingAnOlderReferenceChangesNothing() {
	s.observe(0, "ann", 5, time.Hour)
	s.forget(time.Minute, "ann", 4)
	s.view(2*time.Minute, func(v workflows.ImageView) { s.Len(v.References, 1) })
	s.Require().NoError(s.run())
}

func (s *ImageSuite) TestOlderReportNeverOverwritesANewerOne() {
	s.observe(0, "ann", 1, time.Hour)
	s.env.RegisterDelayedCallback(func() {
		old := failed(workflows.ScanImageInput{Digest: digest}, "some-other-chain", s.env.Now().Add(-time.Hour))
		s.env.SignalWorkflow(workflows.SignalScanReport.Name, *old)
	}, time.Minute)
	s.view(2*time.Minute, func(v workflows.ImageView) {
		s.Equal(model.StatusComplete, v.Status)
		s.Nil(v.Failure)
	})
	s.Require().NoError(s.run())
}

func (s *ImageSuite) TestNewerJudgementReplacesTheVerdictWithoutAScan() {
	s.observe(0, "ann", 1, time.Hour)
	judge := func(after, judged time.Duration, status model.OverallStatus) {
		s.env.RegisterDelayedCallback(func() {
			s.env.SignalWorkflow(workflows.SignalJudged.Name, workflows.Judged{
				Verdict: model.Verdict{Hub: someHub, OverallStatus: status, JudgedAt: s.env.Now().Add(judged)},
			})
		}, after)
	}
	judge(time.Minute, 0, model.NotInViolation)
	judge(2*time.Minute, -time.Hour, model.InViolationOverridden)
	s.view(3*time.Minute, func(v workflows.ImageView) {
		s.Require().Len(v.Verdicts, 1)
		s.Equal(model.NotInViolation, v.OverallStatus, "newer replaces, older does not")
	})
	s.Require().NoError(s.run())
	s.Len(s.scans, 1)
}

func (s *ImageSuite) TestScanNobodyWantsIsToldSo() {
	s.outcome = func(in workflows.ScanImageInput, chain string, started time.Time) *activities.ScanReport {
		return &activities.ScanReport{Digest: in.Digest, Chain: chain, Outcome: activities.ScanCancelled, Started: started}
	}
	signaled := false
	s.hold = func(ctx workflow.Context) {
		workflows.SignalUnwanted.Channel(ctx).Receive(ctx, nil)
		signaled = true
	}
	s.observe(0, "ann", 1, time.Minute)
	s.Require().NoError(s.run())
	s.True(signaled)
	s.Len(s.scans, 1, "nothing refers to it, so it is not started again")
}

func (s *ImageSuite) TestQuietImageContinuesAsNewWithAllItKnows() {
	s.observe(0, "ann", 1, 0)
	err := s.run()
	var next *workflow.ContinueAsNewError
	s.Require().ErrorAs(err, &next)
	s.Equal("Image", next.WorkflowType.Name)
}

// TestObservedImageWritesOnlyWhatChanges: what it was started with is in its attributes already.
func (s *ImageSuite) TestObservedImageWritesOnlyWhatChanges() {
	var written []temporal.SearchAttributes
	s.env = s.NewTestWorkflowEnvironment()
	s.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: workflows.ImageID(digest)})
	s.env.SetTestTimeout(20 * time.Second)
	s.env.RegisterWorkflowWithOptions(s.scan, workflow.RegisterOptions{Name: "ScanImage"})
	s.Require().NoError(s.env.SetTypedSearchAttributesOnStart(
		workflows.ObservedAttributes(digest, model.Name{Repository: "registry.example/app", Tag: "1"})))
	s.env.OnUpsertTypedSearchAttributes(mock.Anything).Return(nil).Run(func(args mock.Arguments) {
		changed, ok := args.Get(0).(temporal.SearchAttributes)
		s.True(ok)
		written = append(written, changed)
	})
	s.observe(0, "me", 1, time.Hour)
	s.env.ExecuteWorkflow(image.Image, workflows.ImageInput{Digest: digest})
	s.Require().NoError(s.env.GetWorkflowError())
	s.Require().NotEmpty(written)
	status, _ := written[0].GetKeyword(workflows.AttributeScanStatus)
	s.Equal(string(model.StatusComplete), status)
	s.False(written[0].ContainsKey(workflows.AttributeRepository))
}
