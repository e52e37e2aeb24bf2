package workflows_test

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/image"
	"github.com/perceptor/perceptor/workflows"
)

// observeAs refers to the image with a class; every class is a referrer of its own.
func (s *ImageSuite) observeAs(after time.Duration, class workflows.Class, namespace string) {
	s.env.RegisterDelayedCallback(func() {
		s.env.SignalWorkflow(workflows.SignalObserve.Name, workflows.Observe{
			Names: []image.Name{{Repository: "registry.example/app", Tag: "1"}}, Class: class, Namespace: namespace,
			Reference: workflows.Reference{Kind: workflows.ReferencePerson, ID: string(class), Version: image.Version{Epoch: 1}, Until: s.env.Now().Add(time.Hour)},
		})
	}, after)
}

// hearRaises lets scans take an hour and gives what they are told meanwhile.
func (s *ImageSuite) hearRaises() *[]workflows.Raise {
	var heard []workflows.Raise
	s.hold = func(ctx workflow.Context) {
		workflow.Go(ctx, func(ctx workflow.Context) {
			for {
				var r workflows.Raise
				workflow.GetSignalChannel(ctx, workflows.SignalRaise.Name).Receive(ctx, &r)
				heard = append(heard, r)
			}
		})
		s.NoError(workflow.Sleep(ctx, time.Hour))
	}
	return &heard
}

func (s *ImageSuite) TestScanUnderWayIsRaisedForWhoeverIsMoreUrgent() {
	heard := s.hearRaises()
	s.observeAs(0, workflows.ClassImage, "")
	s.observeAs(time.Minute, workflows.ClassPod, "shop")
	s.observeAs(2*time.Minute, workflows.ClassPod, "other")
	s.env.RegisterDelayedCallback(func() {
		s.env.SignalWorkflow(workflows.SignalRescan.Name, workflows.Rescan{Class: workflows.ClassPerson})
	}, 3*time.Minute)
	s.NoError(s.run())
	s.Equal([]workflows.Raise{{Class: workflows.ClassPod, Namespace: "shop"}, {Class: workflows.ClassPerson, Namespace: "shop"}}, *heard)
	s.Equal(workflows.ClassImage, s.scans[0].Class)
}

func (s *ImageSuite) TestRaisedByHand() {
	heard := s.hearRaises()
	s.observeAs(0, workflows.ClassPod, "shop")
	for after := range 2 {
		s.env.RegisterDelayedCallback(func() {
			s.env.SignalWorkflow(workflows.SignalRaise.Name, workflows.Raise{Class: workflows.ClassPerson})
		}, time.Duration(after+1)*time.Minute)
	}
	s.NoError(s.run())
	s.Equal([]workflows.Raise{{Class: workflows.ClassPerson, Namespace: "shop"}}, *heard, "once is enough")
}

// TestRaisedImageWaitsForNoDelay: who raises an image that has failed has it tried again now.
func (s *ImageSuite) TestRaisedImageWaitsForNoDelay() {
	s.outcome = failed
	s.observeAs(0, workflows.ClassPod, "shop")
	s.env.RegisterDelayedCallback(func() {
		s.outcome = completed
		s.env.SignalWorkflow(workflows.SignalRaise.Name, workflows.Raise{Class: workflows.ClassPerson})
	}, 2*time.Second)
	s.view(5*time.Second, func(v workflows.ImageView) { s.Equal(image.StatusComplete, v.Status) })
	s.NoError(s.run())
	s.Len(s.scans, 2)
	s.Equal(workflows.ClassPerson, s.scans[1].Class)
}
