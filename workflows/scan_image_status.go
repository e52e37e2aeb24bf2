package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/model"
)

// ScanView is what a ScanImage answers to QueryStatus.
type ScanView struct {
	Digest   model.Digest     `json:"digest"`
	Name     string           `json:"name"`
	Status   model.ScanStatus `json:"status"`
	Priority Priority         `json:"priority"`
	Attempt  int              `json:"attempt"`
	// WaitingFor says in words what the scan waits for.
	WaitingFor string    `json:"waitingFor"`
	State      ScanState `json:"state"`
}

// PlaceView is what a ScanImage answers to QueryPlace.
type WorkspaceView struct {
	// Chain is the first run id of the scan that answers.
	Chain string `json:"chain"`
	// Undecided is set while a pull is under way: its berth may be on any host.
	Undecided bool `json:"undecided,omitempty"`
	// Host and Berth are where the image lies; both are empty when the scan needs no berth any more.
	Host  string `json:"host,omitempty"`
	Berth string `json:"berth,omitempty"`
}

func (s *scanImage) answerQueries(ctx workflow.Context) error {
	err := workflow.SetQueryHandlerWithOptions(ctx, QueryStatus, func() (ScanView, error) { return s.view(), nil },
		workflow.QueryHandlerOptions{Description: "Where the scan is, and what it waits for."})
	if err != nil {
		return fmt.Errorf("query %s: %w", QueryStatus, err)
	}
	err = workflow.SetQueryHandlerWithOptions(ctx, QueryWorkspace, func() (WorkspaceView, error) { return s.workspaceView(), nil },
		workflow.QueryHandlerOptions{Description: "On which host, in which berth the image lies."})
	if err != nil {
		return fmt.Errorf("query %s: %w", QueryWorkspace, err)
	}
	return nil
}

func (s *scanImage) view() ScanView {
	return ScanView{
		Digest: s.in.Digest, Name: s.in.Names[0].Reference(), Status: s.status(), Priority: s.in.Priority,
		Attempt: s.in.Attempt, WaitingFor: s.waitingFor(), State: *s.state,
	}
}

func (s *scanImage) workspaceView() WorkspaceView {
	view := WorkspaceView{Chain: s.state.Chain}
	switch s.state.Step {
	case StepPull:
		view.Undecided = true
	case StepSBOM, StepLease, StepUpload:
		view.Host, view.Berth = s.state.Workspace.Host, s.state.Workspace.Key
	}
	return view
}

// status is the step in the original's terms.
func (s *scanImage) status() model.ScanStatus {
	switch s.state.Step {
	case StepLookUp, StepPull:
		return model.StatusInQueue
	case StepSBOM, StepLease, StepUpload:
		return model.StatusRunningScanClient
	case StepAwait, StepVerdict:
		return model.StatusRunningHubScan
	}
	if s.state.Failure != nil {
		return model.StatusFailed
	}
	return model.StatusComplete
}

func (s *scanImage) waitingFor() string {
	if s.state.Waiting != "" {
		return s.state.Waiting
	}
	switch s.state.Step {
	case StepLookUp:
		return "the hubs to say whether they know it"
	case StepPull:
		return "a berth in domain " + s.in.Domain + ", or its pull to end"
	case StepSBOM:
		return "the scan client on host " + s.state.Workspace.Host
	case StepLease:
		return "a lease on a hub"
	case StepUpload:
		return "the upload to hub " + s.state.Lease.Hub
	case StepAwait:
		return "hub " + s.state.Scan.Hub + " to finish"
	case StepVerdict:
		return "the verdict of hub " + s.state.Scan.Hub
	case StepReport:
		return "the image's workflow to take the report"
	default:
		return ""
	}
}

// show puts the step on the workflow's page in Web UI.
func (s *scanImage) updateDetails(ctx workflow.Context) {
	lines := []string{fmt.Sprintf("**%s** `%s`", s.in.Names[0].Reference(), s.in.Digest)}
	now := fmt.Sprintf("%s, attempt %d", s.status(), s.in.Attempt)
	if waits := s.waitingFor(); waits != "" {
		now += ", waiting for " + waits
	}
	lines = append(lines, now)
	if s.state.Components > 0 {
		lines = append(lines, fmt.Sprintf("%d components listed", s.state.Components))
	}
	if f := s.state.Failure; f != nil {
		lines = append(lines, fmt.Sprintf("failed at %s: %s: %s", f.Step, f.Class, f.Reason))
	}
	workflow.SetCurrentDetails(ctx, strings.Join(lines, "\n\n"))
}
