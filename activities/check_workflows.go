package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/perceptor/perceptor/model"
)

// StuckWorkflow is a workflow that cannot go on by itself.
type StuckWorkflow struct {
	WorkflowID string `json:"workflowID"`
	Type       string `json:"type"`
	// Failures is how many times in a row its task failed; 0 when it is missing altogether.
	Failures int `json:"failures,omitempty"`
	// Problem says what is wrong, Remedy what rebuilds it once it is terminated; both are for a person.
	Problem string `json:"problem"`
	Remedy  string `json:"remedy"`
	// RunID is the run that fails; empty when it is missing altogether.
	RunID string `json:"runID,omitempty"`
}

// Workflows looks after all workflows of a namespace.
type Workflows interface {
	// Restore brings back what was ended by hand, and names the workflows that it has brought back.
	Restore(ctx context.Context, namespace string) ([]string, error)
	// Look finds the workflows that cannot go on by themselves.
	Look(ctx context.Context) ([]StuckWorkflow, error)
}

// WatchSteps are the steps of the Watchdog.
type WatchSteps struct {
	workflows Workflows
}

// NewWatchSteps looks after the workflows of w.
func NewWatchSteps(w Workflows) *WatchSteps { return &WatchSteps{workflows: w} }

// shownStuck is how many stuck and restored workflows an answer names; the rest is counted.
const shownStuck = 100

// CheckWorkflowsResult is what one look at all workflows found.
type CheckWorkflowsResult struct {
	// At is when the look ended.
	At time.Time `json:"at"`
	// Stuck and Restored name the first 100 of each; StuckCount and RestoredCount count all.
	Stuck         []StuckWorkflow `json:"stuck,omitempty"`
	StuckCount    int             `json:"stuckCount"`
	Restored      []string        `json:"restored,omitempty"`
	RestoredCount int             `json:"restoredCount"`
}

// CheckWorkflows brings back what was ended by hand, and finds the workflows that cannot go on by themselves. What could not be
// restored or looked at is an error: the look then counts for nothing.
func (s *WatchSteps) CheckWorkflows(ctx context.Context) (CheckWorkflowsResult, error) {
	beat := startHeartbeat(ctx, Progress{Phase: "look after workflows"})
	defer beat.end()
	restored, err := s.workflows.Restore(ctx, activity.GetInfo(ctx).Namespace)
	stuck, lookErr := s.workflows.Look(ctx)
	for _, id := range restored {
		activity.GetLogger(ctx).Warn("workflow was ended by hand and is restored", "workflow", id)
	}
	if err := errors.Join(err, lookErr); err != nil {
		return CheckWorkflowsResult{}, asApplicationError(err)
	}
	if len(stuck) > 0 {
		activity.GetLogger(ctx).Error("workflows cannot go on by themselves; perceptor doctor shows what to do", "count", len(stuck),
			"first", stuck[0].WorkflowID, "error", stuck[0].Problem)
	}
	return CheckWorkflowsResult{
		At: time.Now().UTC(), Stuck: stuck[:min(len(stuck), shownStuck)], StuckCount: len(stuck),
		Restored: restored[:min(len(restored), shownStuck)], RestoredCount: len(restored),
	}, nil
}

// WriteAuditInput is a change that a person has made from the command line.
type WriteAuditInput struct {
	// Who is the user, the host and the process. What is the command with its arguments, without values of flags.
	Who  string    `json:"who"`
	What string    `json:"what"`
	At   time.Time `json:"at"`
	// Outcome is "done", or "failed" with the reason in Error.
	Outcome string `json:"outcome"`
	Error   string `json:"error,omitempty"`
}

// auditText bounds each text of a change.
const auditText = 500

// WriteAudit writes the change into the log of this worker, in the form in which the API writes those of its clients.
func (s *WatchSteps) WriteAudit(ctx context.Context, in WriteAuditInput) error {
	clip := func(text string) string { return model.Clip(text, auditText) }
	fields := []any{"who", clip(in.Who), "what", clip(in.What), "from", "command line", "at", in.At.UTC().Format(time.RFC3339), "outcome", clip(in.Outcome)}
	if in.Error != "" {
		fields = append(fields, "error", clip(in.Error))
	}
	activity.GetLogger(ctx).Info("audit", fields...)
	return nil
}
