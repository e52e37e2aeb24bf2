package workflows_test

import (
	"context"
	"time"

	"github.com/stretchr/testify/mock"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/image"
	"github.com/perceptor/perceptor/workflows"
)

func (s *ScanImageSuite) raise(after time.Duration, class workflows.Class) {
	s.env.RegisterDelayedCallback(func() { s.env.SignalWorkflow(workflows.SignalRaise.Name, workflows.Raise{Class: class}) }, after)
}

func (s *ScanImageSuite) TestRaisedWhileItWaitsInTheBacklog() {
	s.env.RegisterActivity(activities.NewRaiseSteps(nil))
	s.lookUp(image.HubScanAbsent)
	s.pulls().After(time.Minute)
	s.lists().Once()
	s.uploads().Once()
	s.awaits().Once()
	s.judges().Once()
	var raised []activities.RaiseStepInput
	var steps *activities.RaiseSteps
	s.env.OnActivity(steps.RaiseStep, mock.Anything, mock.Anything).Return(func(_ context.Context, in activities.RaiseStepInput) (activities.RaiseStepResult, error) {
		raised = append(raised, in)
		return activities.RaiseStepResult{Raised: true}, nil
	})
	s.raise(10*time.Second, workflows.ClassPerson)
	s.raise(20*time.Second, workflows.ClassPod)
	s.Require().NoError(s.run())
	s.completed()
	s.Require().Len(raised, 1, "less urgent than it is changes nothing")
	s.Equal("pull-1", raised[0].Step)
	s.Equal(1, raised[0].Level)
	s.NotEmpty(s.acquired)
	s.Equal(workflows.ClassPerson, s.acquired[0].Class, "and it asks for its lease as what it is now")
}

func (s *ScanImageSuite) TestRaisedWhileItWaitsForALease() {
	s.lookUp(image.HubScanAbsent)
	s.pulls().Once()
	s.lists().Once()
	s.uploads().Once()
	s.awaits().Once()
	s.judges().Once()
	s.grant = func(a workflows.Acquire) *workflows.Grant {
		if a.Class != workflows.ClassPerson {
			return nil
		}
		return &workflows.Grant{Chain: a.Chain, Hub: someHub, Attempt: s.next()}
	}
	s.raise(10*time.Second, workflows.ClassPerson)
	s.Require().NoError(s.run())
	s.completed()
	s.Require().NotEmpty(s.acquired)
	s.Equal(workflows.ClassPod, s.acquired[0].Class)
	s.Equal(workflows.ClassPerson, s.acquired[len(s.acquired)-1].Class)
}
