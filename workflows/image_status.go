package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/model"
)

// ImageView is what an Image answers to QueryStatus.
type ImageView struct {
	Digest model.Digest `json:"digest"`
	Names  []model.Name `json:"names"`
	// Status is Complete once there is a verdict, also while a rescan is under way.
	Status        model.ScanStatus    `json:"status"`
	OverallStatus model.OverallStatus `json:"overallStatus"`
	Verdicts      []model.Verdict     `json:"verdicts,omitempty"`
	Failure       *model.Failure      `json:"failure,omitempty"`
	// Scanning is set while a scan is under way; ask ScanImageID for how far it is.
	Scanning bool `json:"scanning"`
	// References are the first 100 of those that refer to it, Referrers counts all.
	References []Reference `json:"references"`
	Referrers  int         `json:"referrers"`
	NextTry    time.Time   `json:"nextTry"`
	// LastStarted is when the newest reported scan began; zero before the first report.
	LastStarted time.Time `json:"lastStarted"`
}

func (i *imageRun) answerQueries(ctx workflow.Context) error {
	err := workflow.SetQueryHandlerWithOptions(ctx, QueryStatus, func() (ImageView, error) { return i.view(), nil },
		workflow.QueryHandlerOptions{Description: "The image's names, who refers to it, its verdicts and its failure."})
	if err != nil {
		return fmt.Errorf("query %s: %w", QueryStatus, err)
	}
	return nil
}

// referencesShown bounds the answer: a base image may be run in thousands of namespaces.
const referencesShown = 100

func (i *imageRun) view() ImageView {
	s := i.state
	return ImageView{
		Digest: i.digest, Names: s.Names, Status: s.status(), OverallStatus: s.overall(), Verdicts: s.Verdicts,
		Failure: s.Failure, Scanning: s.Scan != nil, NextTry: s.NotBefore, LastStarted: s.LastStarted,
		References: s.References[:min(len(s.References), referencesShown)], Referrers: len(s.References),
	}
}

// status never says Complete without a verdict, and never hides a failure behind a queue.
func (s *ImageState) status() model.ScanStatus {
	switch {
	case len(s.Verdicts) > 0:
		return model.StatusComplete
	case s.Failure != nil:
		return model.StatusFailed
	case s.Scan != nil:
		return model.StatusInQueue
	default:
		return model.StatusUnknown
	}
}

// overall is the worst of all hubs' verdicts, and Unknown without one.
func (s *ImageState) overall() model.OverallStatus {
	if len(s.Verdicts) == 0 {
		return model.OverallUnknown
	}
	worst := s.Verdicts[0].OverallStatus
	for _, v := range s.Verdicts[1:] {
		worst = worst.Worst(v.OverallStatus)
	}
	return worst
}

// show writes what changed to the search attributes and to the workflow's page in Web UI.
func (i *imageRun) updateDetails(ctx workflow.Context) error {
	s := i.state
	var repository string
	var first model.Verdict
	if len(s.Names) > 0 {
		repository = s.Names[0].Repository
	}
	if len(s.Verdicts) > 0 {
		first = s.Verdicts[0]
	}
	workflow.SetCurrentDetails(ctx, i.details())
	return i.attributes.upsert(ctx, imageAttributes,
		[]string{string(i.digest), repository, first.Hub, model.VersionKey(first.VersionURL), string(s.status()), string(s.overall())}, first.AsOf())
}

// details is the image in Markdown.
func (i *imageRun) details() string {
	s := i.state
	var names, verdicts []string
	for _, name := range s.Names {
		names = append(names, "**"+name.Reference()+"**")
	}
	for _, v := range s.Verdicts {
		verdicts = append(verdicts, fmt.Sprintf("- %s: %s, %d policy violations, %d findings, %d components, %d not assessed", v.Hub, v.OverallStatus,
			v.PolicyViolations, v.Findings, v.Components, v.NotAssessed))
	}
	parts := []string{
		strings.Join(names, ", "),
		fmt.Sprintf("%s, %s, referred to by %d", s.status(), s.overall(), len(s.References)),
		strings.Join(verdicts, "\n"),
	}
	if f := s.Failure; f != nil {
		parts = append(parts, fmt.Sprintf("failed %d times, last at %s: %s: %s; next try %s", s.Failures, f.Step, f.Class, f.Reason, f.NextTry.Format(time.RFC3339)))
	}
	return strings.Join(parts, "\n\n")
}
