package activities

import (
	"context"

	"go.temporal.io/sdk/activity"
)

// PrioritizeStepInput names a step of a workflow that waits in a queue, and the priority it is to have.
type PrioritizeStepInput struct {
	Workflow       string  `json:"workflow"`
	Run            string  `json:"run"`
	Step           string  `json:"step"`
	Level          int     `json:"level"`
	FairnessKey    string  `json:"fairnessKey,omitempty"`
	FairnessWeight float32 `json:"fairnessWeight,omitempty"`
}

// PrioritizeStepResult says whether the step was moved: one that has begun or failed before is not.
type PrioritizeStepResult struct {
	Moved bool `json:"moved"`
}

// Prioritizer changes the priority of a step that waits in its first attempt.
type Prioritizer interface {
	PrioritizeStep(ctx context.Context, namespace string, in PrioritizeStepInput) (bool, error)
}

// PrioritizeSteps is the step by which a scan moves forward in the backlog.
type PrioritizeSteps struct {
	prioritizer Prioritizer
}

// NewPrioritizeSteps prioritizes through r.
func NewPrioritizeSteps(r Prioritizer) *PrioritizeSteps { return &PrioritizeSteps{prioritizer: r} }

// PrioritizeStep gives a step that waits in a queue another priority there.
func (s *PrioritizeSteps) PrioritizeStep(ctx context.Context, in PrioritizeStepInput) (PrioritizeStepResult, error) {
	moved, err := s.prioritizer.PrioritizeStep(ctx, activity.GetInfo(ctx).Namespace, in)
	return PrioritizeStepResult{Moved: moved}, asApplicationError(err)
}
