package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/cmd/internal/console"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// explanation is everything known about one image.
type explanation struct {
	Image workflows.ImageView  `json:"image"`
	Scan  *workflows.ScanView  `json:"scan,omitempty"`
	Doing *starter.CurrentStep `json:"doing,omitempty"`
	// Stuck are those of the workflows that this image needs that cannot go on by themselves.
	Stuck []starter.Stuck `json:"stuck,omitempty"`
}

func newExplain(s *shared) *cobra.Command {
	var output, domain string
	cmd := &cobra.Command{
		Use:     "explain IMAGE",
		Short:   "Show everything known about an image: verdicts, failures, what it is waiting for",
		Long:    "Show everything known about an image. Name it by its digest, or by a reference, which the scanners resolve.",
		Example: "  perceptor explain localhost:5005/samples/vulnerable:1\n  perceptor explain sha256:...",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withStarter(func(st *starter.Starter) error {
				e, err := explain(cmd.Context(), st, domain, args[0])
				if err != nil {
					return err
				}
				if output == "json" {
					return console.WriteJSON(cmd.OutOrStdout(), e)
				}
				return e.write(cmd.OutOrStdout())
			})
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.Flags().StringVar(&domain, "domain", workflows.DefaultDomain, "group of scanners (domain) that resolves the reference")
	return cmd
}

// digestOf reads a digest, or asks the scanners to resolve a reference.
func digestOf(ctx context.Context, s *starter.Starter, domain, text string) (model.Digest, error) {
	if d, err := model.ParseDigest(text); err == nil {
		return d, nil
	}
	found, err := s.Images.Resolve(ctx, domain, []activities.ResolveRequest{{Reference: text}})
	if err != nil {
		return "", err
	}
	if found[0].Failure != nil {
		return "", errors.New(found[0].Failure.Reason)
	}
	return found[0].Image.Digest, nil
}

func explain(ctx context.Context, s *starter.Starter, domain, text string) (explanation, error) {
	var e explanation
	d, err := digestOf(ctx, s, domain, text)
	if err != nil {
		return e, err
	}
	stuck, err := s.Watch.StuckAmong(ctx, workflows.ImageID(d), workflows.ScanImageID(d), workflows.HubPoolID)
	if err != nil {
		return e, err
	}
	e.Stuck = stuck
	if e.Image, err = s.Images.View(ctx, d); err != nil {
		return e, errors.Join(err, stuckError(stuck))
	}
	if !e.Image.Scanning {
		return e, nil
	}
	if scan, err := s.Scans.View(ctx, d); err == nil {
		e.Scan = &scan
	}
	if doing, err := s.Scans.CurrentStep(ctx, d); err == nil && doing.Step != "" {
		e.Doing = &doing
	}
	return e, nil
}

// stuckError says that workflows cannot go on by themselves; nil when none is given.
func stuckError(stuck []starter.Stuck) error {
	var wrong []error
	for _, each := range stuck {
		wrong = append(wrong, fmt.Errorf("%s cannot go on: %s (%d times in a row); perceptor doctor shows what to do", each.WorkflowID, each.Problem, each.Failures))
	}
	return errors.Join(wrong...)
}

func (e explanation) write(out io.Writer) error {
	p := &printer{out: out}
	v := e.Image
	p.line("%s", v.Digest)
	for _, each := range e.Stuck {
		p.line("  stuck      %s: %s (%d times in a row); perceptor doctor shows what to do", each.WorkflowID, each.Problem, each.Failures)
	}
	for _, name := range v.Names {
		p.line("  name       %s", name.Reference())
	}
	p.line("  scan       %s", v.Status)
	p.line("  status     %s", v.OverallStatus)
	for _, verdict := range v.Verdicts {
		p.line("  verdict    %s at %s: %s, %d policy violations, %d findings, %s", verdict.Hub,
			verdict.JudgedAt.Local().Format(time.DateTime), verdict.OverallStatus, verdict.PolicyViolations, verdict.Findings,
			verdict.Coverage.Summary().Text())
		p.coverage(verdict.Coverage)
		for _, skipped := range verdict.SkippedHubs {
			p.line("             hub %s was not available, so it was not checked for an existing scan", skipped)
		}
		p.line("             %s", verdict.ComponentsURL)
	}
	if f := v.Failure; f != nil {
		p.line("  failed     %d times, last at step %s: %s: %s", f.Attempt, f.Step, f.Class, f.Reason)
		// While a scan is under way there is no next try to wait for.
		if !v.Scanning && !f.NextTry.IsZero() {
			p.line("  next try   %s", f.NextTry.Local().Format(time.DateTime))
		}
	}
	if e.Scan != nil {
		p.line("  scanning   %s, waiting for %s", e.Scan.Status, e.Scan.WaitingFor)
	}
	if e.Doing != nil && e.Doing.LastFailure != "" && e.Doing.Hub == "" {
		p.line("             attempt %d; the attempt before failed: %s", e.Doing.Attempt, e.Doing.LastFailure)
	}
	for _, r := range v.References {
		until := "no expiry"
		if !r.Until.IsZero() {
			until = "until " + r.Until.Local().Format(time.DateTime)
		}
		p.line("  kept for   %s %s, %s", r.Kind, r.ID, until)
	}
	if more := v.Referrers - len(v.References); more > 0 {
		p.line("             and %d others", more)
	}
	return p.err
}

// coverage says why a coverage is not enough, what was not assessed, and against which data the rest was.
func (p *printer) coverage(c model.Coverage) {
	if c.Reason != "" {
		p.line("             not enough because %s", c.Reason)
	}
	for _, each := range c.NotAssessed {
		p.line("             %d not assessed: %s", each.Count, each.Reason)
	}
	if c.NeedsRating > 0 {
		p.line("             %d findings need a rating", c.NeedsRating)
	}
	for _, data := range c.Data {
		kind := "incomplete"
		switch {
		case data.Sample:
			kind = "demo data"
		case data.Complete:
			kind = "complete"
		}
		p.line("             data of %s: %s, as of %s, %s", data.Ecosystem, kind, data.AsOf.Local().Format(time.DateTime), data.Source)
	}
	if !c.ValidUntil.IsZero() {
		p.line("             valid until %s", c.ValidUntil.Local().Format(time.DateTime))
	}
	if !c.ExceptionsEnd.IsZero() {
		p.line("             the first exception ends on %s", c.ExceptionsEnd.Local().Format(time.DateTime))
	}
}

// printer writes lines and remembers the first error.
type printer struct {
	out io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format+"\n", args...)
	}
}
