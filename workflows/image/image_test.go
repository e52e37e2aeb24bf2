package image_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
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
	// takes is how long a scan takes until it reports; zero means until it is sent that nothing refers to its image.
	takes time.Duration
	// open is the chain of the scan that is open, and its end.
	open string
	end  func()
	// keys are those of the starts; unstarted is how many starts fail.
	keys      []string
	unstarted int
	// prioritized is what open scans were sent; unwanted counts those that were sent that nothing refers to their image.
	prioritized []workflows.Prioritize
	unwanted    int
	// heard is for steps side by side.
	heard sync.Mutex
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
	s.scans, s.gone, s.keys, s.prioritized, s.open, s.unstarted, s.unwanted = nil, nil, nil, nil, "", 0, 0
	s.takes = time.Second
	s.outcome = completed
	s.playScans()
	s.env.OnUpsertTypedSearchAttributes(mock.Anything).Return(nil).Maybe()
}

// playScans stands in for the server and for ScanImage: a scan reports, then closes.
func (s *ImageSuite) playScans() {
	s.env.RegisterActivity(activities.NewScanSteps(nil, nil, nil))
	s.env.OnActivity(light.StartScan, mock.Anything, mock.Anything).Return(func(_ context.Context, in activities.StartScanInput) (activities.StartScanResult, error) {
		return s.startScan(in)
	}).Maybe()
	s.env.OnActivity(light.CheckScan, mock.Anything, mock.Anything).Return(func(_ context.Context, in activities.CheckScanInput) (activities.CheckScanResult, error) {
		s.heard.Lock()
		defer s.heard.Unlock()
		return activities.CheckScanResult{Open: s.open != "" && s.open == in.Scan.Chain}, nil
	}).Maybe()
	s.env.OnSignalExternalWorkflow(mock.Anything, workflows.ScanImageID(digest), mock.Anything, mock.Anything, mock.Anything).Return(
		func(_, _, _, signal string, value any) error { return s.signalScan(signal, value) }).Maybe()
	s.env.OnActivity(light.SignalPool, mock.Anything, mock.Anything).Return(func(_ context.Context, in activities.SignalPoolInput) error {
		s.gone = append(s.gone, in.Value.(workflows.Release))
		return nil
	}).Maybe()
}

func (s *ImageSuite) startScan(in activities.StartScanInput) (activities.StartScanResult, error) {
	s.heard.Lock()
	defer s.heard.Unlock()
	s.keys = append(s.keys, in.Key)
	if s.unstarted--; s.unstarted >= 0 {
		return activities.StartScanResult{}, temporal.NewNonRetryableApplicationError("no answer", "test", nil)
	}
	input, ok := in.Input.(workflows.ScanImageInput)
	s.True(ok)
	s.NoError(input.Check())
	s.scans = append(s.scans, input)
	chain := fmt.Sprint("run-", len(s.scans))
	s.open = chain
	started := s.env.Now()
	s.end = func() {
		s.heard.Lock()
		report := s.outcome(input, chain, started)
		s.open = ""
		s.heard.Unlock()
		if report != nil {
			s.env.SignalWorkflow(workflows.SignalScanReport.Name, *report)
		}
	}
	if s.takes > 0 {
		s.env.RegisterDelayedCallback(s.end, s.takes)
	}
	return activities.StartScanResult{Chain: chain}, nil
}

// signalScan takes a signal to the scan; one that has closed is not there.
func (s *ImageSuite) signalScan(signal string, value any) error {
	s.heard.Lock()
	defer s.heard.Unlock()
	if s.open == "" {
		return errors.New("not found")
	}
	switch signal {
	case workflows.SignalUnwanted.Name:
		s.unwanted++
		s.env.RegisterDelayedCallback(s.end, time.Second)
	case workflows.SignalPrioritize.Name:
		s.prioritized = append(s.prioritized, value.(workflows.Prioritize))
	}
	return nil
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
	s.view(3*time.Minute, func(v workflows.ImageView) { s.Equal(model.StatusComplete, v.Status) })
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
	s.takes = 0
	s.observe(0, "ann", 1, time.Minute)
	s.Require().NoError(s.run())
	s.Equal(1, s.unwanted)
	s.Len(s.scans, 1, "nothing refers to it, so it is not started again")
}

// TestStartThatIsNotKnownToHaveWorkedIsTriedAgain: under the same key, by which a scan that was started after all is found.
func (s *ImageSuite) TestStartThatIsNotKnownToHaveWorkedIsTriedAgain() {
	s.unstarted = 2
	s.observe(0, "ann", 1, time.Hour)
	s.env.RegisterDelayedCallback(func() {
		s.env.SignalWorkflow(workflows.SignalRescan.Name, workflows.Rescan{Priority: workflows.PriorityInteractive})
	}, 10*time.Minute)
	s.Require().NoError(s.run())
	s.Require().Len(s.scans, 2)
	s.False(s.scans[0].AskAll, "a scan that was not started has left nothing at a hub")
	s.Require().Len(s.keys, 4)
	s.Equal(s.keys[0], s.keys[1])
	s.Equal(s.keys[0], s.keys[2])
	s.NotEqual(s.keys[0], s.keys[3])
}

// TestRescanFindsOutThatTheScanUnderWayIsGone: the next check by itself would come much later.
func (s *ImageSuite) TestRescanFindsOutThatTheScanUnderWayIsGone() {
	s.takes = 0
	s.observe(0, "ann", 1, 2*time.Hour)
	s.env.RegisterDelayedCallback(func() {
		s.takes, s.open = time.Second, ""
		s.env.SignalWorkflow(workflows.SignalRescan.Name, workflows.Rescan{Priority: workflows.PriorityInteractive})
	}, 30*time.Minute)
	s.view(31*time.Minute, func(v workflows.ImageView) { s.Equal(model.StatusComplete, v.Status) })
	s.Require().NoError(s.run())
	s.Len(s.scans, 2)
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
	s.playScans()
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
