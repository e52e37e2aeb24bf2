package activities

import (
	"context"

	"go.temporal.io/sdk/activity"
)

// RaiseStepInput names a step of a workflow that waits in a queue, and the priority it is to have.
type PrioritizeStepInput struct {
	Workflow       string  `json:"workflow"`
	Run            string  `json:"run"`
	Step           string  `json:"step"`
	Level          int     `json:"level"`
	FairnessKey    string  `json:"fairnessKey,omitempty"`
	FairnessWeight float32 `json:"fairnessWeight,omitempty"`
}

// RaiseStepResult says whether the step was moved: one that has begun or failed before is left alone.
type PrioritizeStepResult struct {
	Raised bool `json:"raised"`
}

// Raiser changes the priority of a step that waits in its first attempt.
type Prioritizer interface {
	PrioritizeStep(ctx context.Context, namespace string, in PrioritizeStepInput) (bool, error)
}

// RaiseSteps is the step by which a scan moves forward in the backlog.
type PrioritizeSteps struct {
	prioritizer Prioritizer
}

// NewRaiseSteps raises through r.
func NewPrioritizeSteps(r Prioritizer) *PrioritizeSteps { return &PrioritizeSteps{prioritizer: r} }

// RaiseStep gives a step that waits in a queue another priority there.
func (s *PrioritizeSteps) PrioritizeStep(ctx context.Context, in PrioritizeStepInput) (PrioritizeStepResult, error) {
	raised, err := s.prioritizer.PrioritizeStep(ctx, activity.GetInfo(ctx).Namespace, in)
	return PrioritizeStepResult{Raised: raised}, asApplicationError(err)
}
