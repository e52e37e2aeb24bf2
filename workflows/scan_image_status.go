package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/image"
)

// ScanView is what a ScanImage answers to QueryStatus.
type ScanView struct {
	Digest  image.Digest     `json:"digest"`
	Name    string           `json:"name"`
	Status  image.ScanStatus `json:"status"`
	Class   Class            `json:"class"`
	Attempt int              `json:"attempt"`
	// WaitingFor says in words what the scan waits for.
	WaitingFor string    `json:"waitingFor"`
	State      ScanState `json:"state"`
}

// PlaceView is what a ScanImage answers to QueryPlace.
type PlaceView struct {
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
	err = workflow.SetQueryHandlerWithOptions(ctx, QueryPlace, func() (PlaceView, error) { return s.place(), nil },
		workflow.QueryHandlerOptions{Description: "On which host, in which berth the image lies."})
	if err != nil {
		return fmt.Errorf("query %s: %w", QueryPlace, err)
	}
	return nil
}

func (s *scanImage) view() ScanView {
	return ScanView{
		Digest: s.in.Digest, Name: s.in.Names[0].Reference(), Status: s.status(), Class: s.in.Class,
		Attempt: s.in.Attempt, WaitingFor: s.waitingFor(), State: *s.state,
	}
}

func (s *scanImage) place() PlaceView {
	view := PlaceView{Chain: s.state.Chain}
	switch s.state.Step {
	case StepPull:
		view.Undecided = true
	case StepList, StepLease, StepUpload:
		view.Host, view.Berth = s.state.Place.Host, s.state.Place.Berth
	}
	return view
}

// status is the step in the original's terms.
func (s *scanImage) status() image.ScanStatus {
	switch s.state.Step {
	case StepLookUp, StepPull:
		return image.StatusInQueue
	case StepList, StepLease, StepUpload:
		return image.StatusRunningScanClient
	case StepAwait, StepVerdict:
		return image.StatusRunningHubScan
	}
	if s.state.Failure != nil {
		return image.StatusFailed
	}
	return image.StatusComplete
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
	case StepList:
		return "the scan client on host " + s.state.Place.Host
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
func (s *scanImage) show(ctx workflow.Context) {
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
