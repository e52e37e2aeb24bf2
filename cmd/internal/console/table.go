package console

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"go.yaml.in/yaml/v3"

	"github.com/perceptor/perceptor/model"
)

// NewTable is the one look of all tables.
func NewTable(out io.Writer, header ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(out)
	t.SetStyle(table.StyleLight)
	t.Style().Options.SeparateRows = false
	t.AppendHeader(header)
	return t
}

// WriteJSON writes value as indented JSON.
func WriteJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

// WriteYAML writes a value as YAML, with the keys that it has in JSON and in their order.
func WriteYAML(out io.Writer, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode as JSON: %w", err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return fmt.Errorf("read JSON as YAML: %w", err)
	}
	plainStyle(&document)
	encoder := yaml.NewEncoder(out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return fmt.Errorf("encode as YAML: %w", err)
	}
	return encoder.Close()
}

// plainStyle undoes the braces and quotes of JSON; the encoder quotes what needs it.
func plainStyle(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		plainStyle(child)
	}
}

// WriteSummary writes one row for each image.
func WriteSummary(out io.Writer, results []Result) {
	t := NewTable(out, "image", "platform", "status", "critical", "high", "medium", "low", "unrated", "assessed", "hub")
	for _, r := range results {
		if !r.Scanned() {
			t.AppendRow([]any{r.Reference, r.Platform, "NOT SCANNED: " + string(r.Class)})
			continue
		}
		for _, v := range r.Verdicts {
			c := countFindings(r.Findings)
			t.AppendRow([]any{r.Reference, r.Platform, v.OverallStatus, c.Critical, c.High, c.Medium, c.Low, c.Unrated, v.Coverage.Summary().Short(), v.Hub})
		}
	}
	t.Render()
	for _, r := range results {
		for _, v := range r.Verdicts {
			writeCoverage(out, r.Reference, v.Coverage)
		}
	}
}

// writeCoverage says why the coverage of a verdict is not enough, what was not assessed, and how old the data are.
func writeCoverage(out io.Writer, reference string, c model.Coverage) {
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(out, reference+": "+format+"\n", args...) }
	if reason := c.Summary().ReasonAt(time.Now()); reason != "" {
		line("not assessed as the policy demands: %s", reason)
	} else {
		for _, each := range c.NotAssessed {
			line("%d not assessed, which the policy permits: %s", each.Count, each.Reason)
		}
	}
	if c.NeedsRating > 0 {
		line("%d findings need a rating: they have neither a severity nor a fix", c.NeedsRating)
	}
	if c.Sample() {
		line("demo data: only the packages that the sample names are assessed")
	}
	if asOf := c.AsOf(); !asOf.IsZero() {
		until := ""
		if !c.ValidUntil.IsZero() {
			until = ", valid until " + c.ValidUntil.Local().Format(time.DateTime)
		}
		line("vulnerability data of %s%s", asOf.Local().Format(time.DateTime), until)
		if !c.Sample() && time.Since(asOf) > model.DataWarnAfter {
			line("these data are older than %d days", int(model.DataWarnAfter.Hours()/hoursOfDay))
		}
	}
}

const hoursOfDay = 24

func countFindings(findings []model.Finding) model.Counts {
	var c model.Counts
	for _, f := range findings {
		c.Add(f.Severity)
	}
	return c
}

// WriteFindings writes the findings of one image, worst first.
func WriteFindings(out io.Writer, r Result) {
	if len(r.Findings) == 0 {
		return
	}
	findings := slices.Clone(r.Findings)
	slices.SortStableFunc(findings, func(a, b model.Finding) int {
		return slices.Index(model.Severities, a.Severity) - slices.Index(model.Severities, b.Severity)
	})
	columns := findingColumns(findings)
	t := NewTable(out, columns...)
	for _, f := range findings {
		t.AppendRow(findingRow(f)[:len(columns)])
	}
	_, _ = fmt.Fprintf(out, "\n%s\n", r.Reference)
	t.Render()
	if r.FindingsTotal > len(findings) {
		_, _ = fmt.Fprintf(out, "%d more at the hub: %s\n", r.FindingsTotal-len(findings), r.Verdicts[0].ComponentsURL)
	}
}

// findingColumns are the titles of the table of findings. The last column is only there when a finding was accepted.
func findingColumns(findings []model.Finding) []any {
	columns := []any{"id", "severity", "score", "package", "version", "fixed in", "also known as"}
	if slices.ContainsFunc(findings, model.Finding.DealtWith) {
		columns = append(columns, "accepted")
	}
	return columns
}

func findingRow(f model.Finding) []any {
	severity, score, fixed := string(f.Severity), "", f.Fixed
	if f.NeedsRating && !f.DealtWith() {
		severity += ", needs rating"
	}
	if f.Score > 0 {
		score = strconv.FormatFloat(f.Score, 'f', 1, 64)
	}
	if fixed == "" {
		fixed = "no fix known"
	}
	return []any{f.ID, severity, score, f.Package, f.Version, fixed, shorten(f.Aliases), acceptance(f)}
}

// maxReason bounds a reason in a table; JSON shows it whole.
const maxReason = 60

// acceptance says who accepted a finding, until when, and why; empty when no one did.
func acceptance(f model.Finding) string {
	e := f.Exception
	if e == nil {
		if f.DealtWith() {
			return "at the hub: " + f.Remediation
		}
		return ""
	}
	text := e.Stance
	if e.Author != "" {
		text += " by " + e.Author
	}
	if !e.Until.IsZero() {
		text += " until " + e.Until.Local().Format(time.DateTime)
	}
	reason := []rune(strings.Join(strings.Fields(strings.TrimPrefix(e.Reason, e.Stance+": ")), " "))
	if len(reason) > maxReason {
		reason = append(reason[:maxReason], []rune("...")...)
	}
	return strings.TrimSpace(text + ": " + string(reason))
}

// aliasesShown keeps rows on one line of a wide terminal.
const aliasesShown = 2

func shorten(aliases []string) string {
	text := ""
	for i, alias := range aliases {
		if i == aliasesShown {
			return text + fmt.Sprintf(" +%d", len(aliases)-i)
		}
		if i > 0 {
			text += " "
		}
		text += alias
	}
	return text
}
