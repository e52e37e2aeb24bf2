package scan

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

func (s *scanImage) answerQueries(ctx workflow.Context) error {
	err := workflow.SetQueryHandlerWithOptions(ctx, workflows.QueryStatus, func() (workflows.ScanView, error) { return viewOf(s.in, s.state), nil },
		workflow.QueryHandlerOptions{Description: "The step of the scan, and what it waits for."})
	if err != nil {
		return fmt.Errorf("query %s: %w", workflows.QueryStatus, err)
	}
	err = workflow.SetQueryHandlerWithOptions(ctx, workflows.QueryWorkspace, func() (workflows.WorkspaceView, error) { return workspaceOf(s.state), nil },
		workflow.QueryHandlerOptions{Description: "The host and the workspace that the image is in."})
	if err != nil {
		return fmt.Errorf("query %s: %w", workflows.QueryWorkspace, err)
	}
	return nil
}

func viewOf(in workflows.ScanImageInput, s *workflows.ScanState) workflows.ScanView {
	return workflows.ScanView{
		Digest: in.Digest, Name: in.Names[0].Reference(), Status: statusOf(s), Priority: in.Priority,
		Attempt: in.Attempt, WaitingFor: waitingFor(in, s), State: *s,
	}
}

func workspaceOf(s *workflows.ScanState) workflows.WorkspaceView {
	view := workflows.WorkspaceView{Chain: s.Chain}
	switch s.Step {
	case workflows.StepPull:
		view.Undecided = true
	case workflows.StepLease, workflows.StepUpload:
		view.Host, view.Workspace = s.Workspace.Host, s.Workspace.Key
	}
	return view
}

// statusOf is the step in the terms of Perceptor of 2018.
func statusOf(s *workflows.ScanState) model.ScanStatus {
	switch s.Step {
	case workflows.StepLookUp, workflows.StepPull:
		return model.StatusInQueue
	case workflows.StepLease, workflows.StepUpload, workflows.StepExternal:
		return model.StatusRunningScanClient
	case workflows.StepAwait, workflows.StepVerdict:
		return model.StatusRunningHubScan
	}
	if s.Failure != nil {
		return model.StatusFailed
	}
	return model.StatusComplete
}

// waitingFor says in words what the scan waits for.
func waitingFor(in workflows.ScanImageInput, s *workflows.ScanState) string {
	if s.Waiting != "" {
		return s.Waiting
	}
	switch s.Step {
	case workflows.StepLookUp:
		return "checking hubs for an existing scan"
	case workflows.StepPull:
		if engine := in.Names[0].Engine; in.Domain == workflows.EngineDomain(engine) {
			return "a scanner with --docker-host on the host of Docker Engine " + engine + ", or its export to end"
		}
		return "a workspace in domain " + in.Domain + ", or its pull and its SBOM to end"
	case workflows.StepLease:
		return "a lease on a hub"
	case workflows.StepExternal:
		return "a scanner of others to scan it for hub " + s.Lease.Hub
	case workflows.StepUpload:
		return "the upload to hub " + s.Lease.Hub
	case workflows.StepAwait:
		return "hub " + s.Scan.Hub + " to finish"
	case workflows.StepVerdict:
		return "the verdict of hub " + s.Scan.Hub
	case workflows.StepReport:
		return "the image's workflow to take the report"
	default:
		return ""
	}
}

// updateDetails puts the step on the workflow's page in Web UI.
func (s *scanImage) updateDetails(ctx workflow.Context) {
	lines := []string{fmt.Sprintf("**%s** `%s`", s.in.Names[0].Reference(), s.in.Digest)}
	now := fmt.Sprintf("%s, attempt %d", statusOf(s.state), s.in.Attempt)
	if waits := waitingFor(s.in, s.state); waits != "" {
		now += ", waiting for " + waits
	}
	lines = append(lines, now)
	if s.state.Components > 0 {
		lines = append(lines, fmt.Sprintf("%d components found", s.state.Components))
	}
	if f := s.state.Failure; f != nil {
		lines = append(lines, fmt.Sprintf("failed at %s: %s: %s", f.Step, f.Class, f.Reason))
	}
	workflow.SetCurrentDetails(ctx, strings.Join(lines, "\n\n"))
}
