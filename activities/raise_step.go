package activities

import (
	"context"

	"go.temporal.io/sdk/activity"
)

// RaiseStepInput names a step of a workflow that waits in a queue, and the priority it is to have.
type RaiseStepInput struct {
	Workflow       string  `json:"workflow"`
	Run            string  `json:"run"`
	Step           string  `json:"step"`
	Level          int     `json:"level"`
	FairnessKey    string  `json:"fairnessKey,omitempty"`
	FairnessWeight float32 `json:"fairnessWeight,omitempty"`
}

// RaiseStepResult says whether the step was moved: one that has begun or failed before is left alone.
type RaiseStepResult struct {
	Raised bool `json:"raised"`
}

// Raiser changes the priority of a step that waits in its first attempt.
type Raiser interface {
	RaiseStep(ctx context.Context, namespace string, in RaiseStepInput) (bool, error)
}

// RaiseSteps is the step by which a scan moves forward in the backlog.
type RaiseSteps struct {
	raiser Raiser
}

// NewRaiseSteps raises through r.
func NewRaiseSteps(r Raiser) *RaiseSteps { return &RaiseSteps{raiser: r} }

// RaiseStep gives a step that waits in a queue another priority there.
func (s *RaiseSteps) RaiseStep(ctx context.Context, in RaiseStepInput) (RaiseStepResult, error) {
	raised, err := s.raiser.RaiseStep(ctx, activity.GetInfo(ctx).Namespace, in)
	return RaiseStepResult{Raised: raised}, asApplicationError(err)
}
