package image_test

import (
	"time"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// observeAs refers to the image with a class; every class is a referrer of its own.
func (s *ImageSuite) observeAs(after time.Duration, priority workflows.Priority, namespace string) {
	s.env.RegisterDelayedCallback(func() {
		s.env.SignalWorkflow(workflows.SignalObserve.Name, workflows.Observe{
			Names: []model.Name{{Repository: "registry.example/app", Tag: "1"}}, Priority: priority, Namespace: namespace,
			Reference: workflows.Reference{Kind: workflows.ReferencePerson, ID: string(priority), Version: model.Version{Epoch: 1}, Until: s.env.Now().Add(time.Hour)},
		})
	}, after)
}

func (s *ImageSuite) TestScanUnderWayGetsAHigherPriority() {
	s.takes = time.Hour
	s.observeAs(0, workflows.PriorityImage, "")
	s.observeAs(time.Minute, workflows.PriorityPod, "shop")
	s.observeAs(2*time.Minute, workflows.PriorityPod, "other")
	s.env.RegisterDelayedCallback(func() {
		s.env.SignalWorkflow(workflows.SignalRescan.Name, workflows.Rescan{Priority: workflows.PriorityInteractive})
	}, 3*time.Minute)
	s.NoError(s.run())
	s.Equal([]workflows.Prioritize{{Priority: workflows.PriorityPod, Namespace: "shop"}, {Priority: workflows.PriorityInteractive, Namespace: "shop"}}, s.prioritized)
	s.Equal(workflows.PriorityImage, s.scans[0].Priority)
}

func (s *ImageSuite) TestPrioritizedByHand() {
	s.takes = time.Hour
	s.observeAs(0, workflows.PriorityPod, "shop")
	for after := range 2 {
		s.env.RegisterDelayedCallback(func() {
			s.env.SignalWorkflow(workflows.SignalPrioritize.Name, workflows.Prioritize{Priority: workflows.PriorityInteractive})
		}, time.Duration(after+1)*time.Minute)
	}
	s.NoError(s.run())
	s.Equal([]workflows.Prioritize{{Priority: workflows.PriorityInteractive, Namespace: "shop"}}, s.prioritized, "once is enough")
}

// TestPrioritizedImageWaitsForNoDelay: an image that has failed and gets a higher priority is tried again now.
func (s *ImageSuite) TestPrioritizedImageWaitsForNoDelay() {
	s.outcome = failed
	s.observeAs(0, workflows.PriorityPod, "shop")
	s.env.RegisterDelayedCallback(func() {
		s.outcome = completed
		s.env.SignalWorkflow(workflows.SignalPrioritize.Name, workflows.Prioritize{Priority: workflows.PriorityInteractive})
	}, 2*time.Second)
	s.view(5*time.Second, func(v workflows.ImageView) { s.Equal(model.StatusComplete, v.Status) })
	s.NoError(s.run())
	s.Len(s.scans, 2)
	s.Equal(workflows.PriorityInteractive, s.scans[1].Priority)
}
