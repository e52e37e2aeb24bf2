package image_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/mock"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// publications listens to what inventories are sent; closed are those that are gone.
func (s *ImageSuite) publications(closed ...string) *[]activities.PublishSummaryInput {
	var sent []activities.PublishSummaryInput
	s.env.RegisterActivity(activities.NewInventorySteps(nil))
	s.env.OnActivity(inventorySteps.PublishSummary, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in activities.PublishSummaryInput) (activities.PublishSummaryResult, error) {
			sent = append(sent, in)
			var result activities.PublishSummaryResult
			for _, id := range in.To {
				if slices.Contains(closed, id) {
					result.Closed = append(result.Closed, id)
				}
			}
			return result, nil
		})
	return &sent
}

func (s *ImageSuite) runBy(after time.Duration, id string, counter int64, known model.Version) {
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(workflows.SignalObserve.Name, s.observed(id, counter, known)) }, after)
}

func (s *ImageSuite) observed(id string, counter int64, known model.Version) workflows.Observe {
	return workflows.Observe{
		Names: []model.Name{{Repository: "registry.example/app", Tag: "1"}}, Priority: workflows.PriorityPod, Known: known,
		Reference: workflows.Reference{
			Kind: workflows.ReferenceInventory, ID: id, Version: model.Version{Epoch: 1, Counter: counter}, Until: s.env.Now().Add(time.Hour),
		},
	}
}

func (s *ImageSuite) TestInventoriesAreToldWhatChangesAndNothingElse() {
	sent := s.publications()
	s.runBy(0, "c/a", 1, model.Version{})
	s.runBy(0, "c/b", 1, model.Version{})
	s.observe(0, "ann", 1, time.Hour)
	s.env.RegisterDelayedCallback(func() {
		s.Require().Len(*sent, 1)
		first := (*sent)[0]
		s.Equal([]string{"c/a", "c/b"}, first.To)
		s.Equal(model.StatusComplete, first.Summary.Status)
		s.Equal(model.InViolation, first.Summary.OverallStatus)
		s.Equal([]string{someHub}, first.Summary.Hubs)
		s.env.SignalWorkflow(workflows.SignalJudged.Name, workflows.Judged{Verdict: model.Verdict{
			Hub: someHub, OverallStatus: model.NotInViolation, JudgedAt: s.env.Now(), Vulnerabilities: model.Counts{High: 2},
		}})
	}, time.Minute)
	s.env.RegisterDelayedCallback(func() {
		s.Require().Len(*sent, 2)
		s.Equal(2, (*sent)[1].Summary.Vulnerabilities.High)
		s.True((*sent)[0].Summary.Version.Before((*sent)[1].Summary.Version))
	}, 2*time.Minute)
	s.Require().NoError(s.run())
	s.Len(*sent, 2)
}

func (s *ImageSuite) TestInventoryThatComesLaterIsToldWhatItLacks() {
	sent := s.publications()
	s.observe(0, "ann", 1, 2*time.Hour)
	s.runBy(time.Minute, "c/a", 1, model.Version{})
	s.env.RegisterDelayedCallback(func() {
		s.Require().Len(*sent, 1)
		s.Equal([]string{"c/a"}, (*sent)[0].To)
		known := (*sent)[0].Summary.Version
		s.runBy(0, "c/a", 2, known)
		s.runBy(time.Minute, "c/a", 3, model.Version{Epoch: known.Epoch, Counter: 1})
	}, 2*time.Minute)
	s.Require().NoError(s.run())
	s.Len(*sent, 2, "not sent what it knows, sent again what it does not")
}

func (s *ImageSuite) TestFailureIsToldWithItsNextTry() {
	sent := s.publications()
	tries := 0
	s.outcome = func(in workflows.ScanImageInput, chain string, started time.Time) *activities.ScanReport {
		if tries++; tries < 3 {
			return failed(in, chain, started)
		}
		return completed(in, chain, started)
	}
	s.runBy(0, "c/a", 1, model.Version{})
	s.Require().NoError(s.run())
	s.Require().Len(*sent, 3)
	for i, each := range (*sent)[:2] {
		s.Equal(model.StatusFailed, each.Summary.Status)
		s.Equal(i+1, each.Summary.Failure.Attempt)
		s.True(each.Summary.Failure.NextTry.After(each.Summary.Failure.At))
	}
	s.Nil((*sent)[2].Summary.Failure)
}

func (s *ImageSuite) TestInventoryThatIsGoneRefersToNothing() {
	sent := s.publications("c/gone")
	s.runBy(0, "c/gone", 1, model.Version{})
	s.runBy(0, "c/a", 1, model.Version{})
	s.view(time.Minute, func(v workflows.ImageView) {
		s.Require().Len(v.References, 1)
		s.Equal("c/a", v.References[0].ID)
	})
	s.Require().NoError(s.run())
	s.Len(*sent, 1)
}

func (s *ImageSuite) TestManyInventoriesAreToldInSeveralSteps() {
	sent := s.publications()
	s.takes = time.Minute
	s.env.RegisterDelayedCallback(func() {
		for i := range 700 {
			s.env.SignalWorkflow(workflows.SignalObserve.Name, s.observed(fmt.Sprint("c/", i), 1, model.Version{}))
		}
	}, time.Second)
	s.Require().NoError(s.run())
	reached := map[string]bool{}
	for _, each := range *sent {
		s.LessOrEqual(len(each.To), 500)
		for _, id := range each.To {
			s.False(reached[id], "sent twice")
			reached[id] = true
		}
	}
	s.Len(reached, 700)
}
