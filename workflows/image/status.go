package image

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/perceptor/perceptor/internal/record"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

func (i *imageRun) answerQueries(ctx workflow.Context) error {
	err := workflow.SetQueryHandlerWithOptions(ctx, workflows.QueryStatus, func() (workflows.ImageView, error) { return viewOf(i.Image), nil },
		workflow.QueryHandlerOptions{Description: "The image's names, its references, its verdicts and its failure."})
	if err != nil {
		return fmt.Errorf("offer the query %s: %w", workflows.QueryStatus, err)
	}
	return nil
}

// referencesShown bounds the answer: a base image may be run in thousands of namespaces.
const referencesShown = 100

func viewOf(i *record.Image) workflows.ImageView {
	return workflows.ImageView{
		Digest: i.Digest, Names: i.Names, Status: i.Status(), OverallStatus: i.OverallStatus(), Verdicts: i.Verdicts,
		Failure: i.CurrentFailure(), Scanning: i.Scan != nil, LastStarted: i.LastStarted,
		References: i.References.List[:min(len(i.References.List), referencesShown)], Referrers: len(i.References.List),
		Rejected: i.Rejected,
	}
}

// updateDetails writes what changed to the search attributes and to the workflow's page in Web UI.
func (i *imageRun) updateDetails(ctx workflow.Context) error {
	var repository string
	var first model.Verdict
	if len(i.Names) > 0 {
		repository = i.Names[0].Repository
	}
	if len(i.Verdicts) > 0 {
		first = i.Verdicts[0]
	}
	workflow.SetCurrentDetails(ctx, detailsOf(i.Image))
	coverage := i.Coverage()
	return i.attributes.Upsert(ctx, workflows.ImageAttributes,
		[]string{
			string(i.Digest), repository, first.Hub, model.VersionKey(first.VersionURL), string(i.Status()), string(i.OverallStatus()),
			workflows.CoverageText(coverage),
		}, first.AsOf(), coverage.ValidUntil)
}

// coverageDetails are the coverage of a verdict, why it is not enough, and until when the verdict holds.
func coverageDetails(c model.CoverageSummary) string {
	text := c.Text()
	if c.Reason != "" {
		text += ": " + c.Reason
	}
	if !c.ValidUntil.IsZero() {
		text += ", valid until " + c.ValidUntil.UTC().Format(time.RFC3339)
	}
	return text
}

// detailsOf is the image in Markdown.
func detailsOf(i *record.Image) string {
	var names, verdicts []string
	for _, name := range i.Names {
		names = append(names, "**"+name.Reference()+"**")
	}
	for _, v := range i.Verdicts {
		verdicts = append(verdicts, fmt.Sprintf("- %s: %s, %d policy violations, %d findings, %s", v.Hub, v.OverallStatus,
			v.PolicyViolations, v.Findings, coverageDetails(v.Coverage.Summary())))
	}
	parts := []string{
		strings.Join(names, ", "),
		fmt.Sprintf("%s, %s, %d references", i.Status(), i.OverallStatus(), len(i.References.List)),
		strings.Join(verdicts, "\n"),
	}
	if f := i.CurrentFailure(); f != nil {
		text := fmt.Sprintf("failed %d times, last at %s: %s: %s", i.Attempts.Failures, f.Step, f.Class, f.Reason)
		if !f.NextTry.IsZero() {
			text += "; next try " + f.NextTry.Format(time.RFC3339)
		}
		parts = append(parts, text)
	}
	if text := i.Rejected.Text(); text != "" {
		parts = append(parts, text)
	}
	return strings.Join(parts, "\n\n")
}
