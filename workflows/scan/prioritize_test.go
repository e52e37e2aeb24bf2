package scan_test

import (
	"context"
	"time"

	"github.com/stretchr/testify/mock"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

func (s *ScanImageSuite) prioritize(after time.Duration, priority workflows.Priority) {
	s.env.RegisterDelayedCallback(func() {
		s.env.SignalWorkflow(workflows.SignalPrioritize.Name, workflows.Prioritize{Priority: priority})
	}, after)
}

func (s *ScanImageSuite) TestPrioritizedWhileItWaitsInTheBacklog() {
	s.env.RegisterActivity(activities.NewPrioritizeSteps(nil))
	s.lookUp(model.HubScanAbsent)
	s.pulls().After(time.Minute)
	s.uploads().Once()
	s.awaits().Once()
	s.judges().Once()
	var prioritized []activities.PrioritizeStepInput
	var steps *activities.PrioritizeSteps
	s.env.OnActivity(steps.PrioritizeStep, mock.Anything, mock.Anything).Return(func(_ context.Context, in activities.PrioritizeStepInput) (activities.PrioritizeStepResult, error) {
		prioritized = append(prioritized, in)
		return activities.PrioritizeStepResult{Moved: true}, nil
	})
	s.prioritize(10*time.Second, workflows.PriorityInteractive)
	s.prioritize(20*time.Second, workflows.PriorityPod)
	s.Require().NoError(s.run())
	s.completed()
	s.Require().Len(prioritized, 1, "less urgent than it is changes nothing")
	s.Equal("pull-1", prioritized[0].Step)
	s.Equal(1, prioritized[0].Level)
	s.NotEmpty(s.acquired)
	s.Equal(workflows.PriorityInteractive, s.acquired[0].Priority, "and it asks for its lease as what it is now")
}

func (s *ScanImageSuite) TestPrioritizedWhileItWaitsForALease() {
	s.lookUp(model.HubScanAbsent)
	s.pulls().Once()
	s.uploads().Once()
	s.awaits().Once()
	s.judges().Once()
	s.grant = func(a workflows.Acquire) *workflows.Grant {
		if a.Priority != workflows.PriorityInteractive {
			return nil
		}
		return &workflows.Grant{Chain: a.Chain, Hub: someHub, Attempt: s.next()}
	}
	s.prioritize(10*time.Second, workflows.PriorityInteractive)
	s.Require().NoError(s.run())
	s.completed()
	s.Require().NotEmpty(s.acquired)
	s.Equal(workflows.PriorityPod, s.acquired[0].Priority)
	s.Equal(workflows.PriorityInteractive, s.acquired[len(s.acquired)-1].Priority)
}
