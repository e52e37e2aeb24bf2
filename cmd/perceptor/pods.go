package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/cmd/internal/console"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
)

// podForms are the values of --output.
var podForms = []string{"table", "wide", "json", "yaml"}

func newPods(s *shared) *cobra.Command {
	var filter starter.JoinFilter
	var status, overall, output string
	var labels []string
	var limit int
	cmd := &cobra.Command{
		Use:   "pods",
		Short: "List the running pods and the verdicts on their images",
		Long: `List the running pods of all clusters, with the verdicts on their images.

The status of a pod is the worst status of its containers. A pod with an image that is not scanned has the status UNKNOWN.
"-o wide" has one row for each container and says why an image is not scanned, or not assessed in full.

A finding is one vulnerability of one component. The column "vulnerable components" counts each component once, by its worst
vulnerability. The column "assessed" says how many components were compared with complete vulnerability data.`,
		Example: `  perceptor pods
  perceptor pods --namespace shop --overall-status IN_VIOLATION
  perceptor pods --status Failed -o wide
  perceptor pods --workload deployment/web --label team=shop
  perceptor pods --image registry.example/base -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains(podForms, output) {
				return fmt.Errorf("output %q: want one of %s", output, strings.Join(podForms, ", "))
			}
			if limit < 1 {
				return fmt.Errorf("limit is %d; want at least 1", limit)
			}
			var err error
			if filter.Labels, err = model.ParseLabels(labels); err != nil {
				return err
			}
			filter.Status, filter.OverallStatus = model.ScanStatus(status), model.OverallStatus(strings.ToUpper(overall))
			return s.withStarter(func(st *starter.Starter) error {
				pods, err := readPods(cmd.Context(), st, filter, limit)
				if err != nil {
					return err
				}
				pods.owner = filter.Workload != "" || len(labels) > 0
				return pods.write(cmd.OutOrStdout(), output)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.Cluster, "cluster", "", "only pods of this cluster")
	flags.StringVar(&filter.Namespace, "namespace", "", "only pods of this namespace")
	flags.StringVar(&status, "status", "", "only pods with this scan status: Unknown, InQueue, Complete or Failed")
	flags.StringVar(&overall, "overall-status", "", "only pods with this overall status, such as IN_VIOLATION")
	flags.StringVar(&filter.Image, "image", "", "only pods that run this image: its digest, or a part of its reference")
	flags.StringVar(&filter.Workload, "workload", "", "only pods of this workload: its name, or kind and name such as deployment/web")
	flags.StringArrayVar(&labels, "label", nil, "only pods with this label, such as team=shop; perceivers report the labels of their --pod-labels")
	flags.StringVarP(&output, "output", "o", "table", "table, wide, json or yaml")
	flags.IntVar(&limit, "limit", 10_000, "largest number of rows")
	return cmd
}

// podList holds the pods that were read.
type podList struct {
	rows    []model.PodVerdict
	refused int
	more    bool
	// owner says that only pods of a workload or with some labels were asked for.
	owner bool
}

// readPods reads page after page, until the last page or the limit.
func readPods(ctx context.Context, st *starter.Starter, f starter.JoinFilter, limit int) (podList, error) {
	pods := podList{rows: []model.PodVerdict{}}
	for {
		f.Limit = limit - len(pods.rows)
		page, err := st.Pods.Join(ctx, f)
		if err != nil {
			return pods, err
		}
		pods.rows = append(pods.rows, page.Rows...)
		pods.refused += page.Refused
		f.After, pods.more = page.Next, page.Next != ""
		if !pods.more || len(pods.rows) >= limit {
			return pods, nil
		}
	}
}

func (l podList) write(out io.Writer, form string) error {
	switch form {
	case "json":
		return console.WriteJSON(out, l.rows)
	case "yaml":
		return console.WriteYAML(out, l.rows)
	case "wide":
		l.wide(out)
	default:
		l.table(out)
	}
	p := &printer{out: out}
	if l.owner && len(l.rows) == 0 {
		p.line("No pod is known with this workload and these labels. A perceiver reports only the labels that its --pod-labels names.")
	}
	if l.refused > 0 {
		p.line("At least %d pods are not in the list: their namespaces have more pods than an inventory can hold.", l.refused)
	}
	if l.more {
		p.line("There are more than %d pods. Filter the list, or use a larger --limit.", len(l.rows))
	}
	return p.err
}

func (l podList) table(out io.Writer) {
	t := console.NewTable(out, "cluster", "namespace", "pod", "scan", "status", "violations", "findings", "assessed")
	for _, r := range l.rows {
		t.AppendRow([]any{r.Cluster, r.Namespace, podName(r), r.Status, r.OverallStatus, r.PolicyViolations, findings(r.Findings, r.FindingCounts), assessedOf(r)})
	}
	t.Render()
}

// wide writes one row for each container.
func (l podList) wide(out io.Writer) {
	t := console.NewTable(out, "cluster", "namespace", "pod", "workload", "labels", "container", "image", "digest", "scan", "status", "violations", "findings",
		"vulnerable components", "assessed", "not enough because", "hubs", "failure")
	for _, r := range l.rows {
		for _, c := range r.Containers {
			t.AppendRow([]any{
				r.Cluster, r.Namespace, podName(r), r.Workload.String(), labelsText(r.Labels), c.Name, c.Reference, c.Image.Digest.Short(), c.Image.Status, c.Image.OverallStatus,
				c.Image.PolicyViolations, findings(c.Image.Findings, c.Image.FindingCounts), severities(c.Image.Vulnerabilities),
				assessedImage(c.Image), c.Image.Coverage.Reason, strings.Join(c.Image.Hubs, ", "), failureText(c.Image.Failure),
			})
		}
		if len(r.Containers) == 0 {
			t.AppendRow([]any{
				r.Cluster, r.Namespace, podName(r), r.Workload.String(), labelsText(r.Labels), "", "", "", r.Status, r.OverallStatus,
				0, "", "", "", "", "", "the pod has no container",
			})
		}
	}
	t.Render()
}

// assessedOf is the coverage of a pod's images together; empty where none has a verdict.
func assessedOf(r model.PodVerdict) string {
	var all model.CoverageSummary
	scanned := false
	for _, c := range r.Containers {
		if c.Image.Status != model.StatusComplete {
			continue
		}
		scanned = true
		all.Components += c.Image.Coverage.Components
		all.OwnSoftware += c.Image.Coverage.OwnSoftware
		all.Assessed += c.Image.Coverage.Assessed
		all.ManagedByHub = all.ManagedByHub || c.Image.Coverage.ManagedByHub
		all.Sample = all.Sample || c.Image.Coverage.Sample
	}
	if !scanned {
		return ""
	}
	return all.Short()
}

func assessedImage(s model.Summary) string {
	if s.Status != model.StatusComplete {
		return ""
	}
	return s.Coverage.Short()
}

// labelsText lists labels in the order of their keys.
func labelsText(labels map[string]string) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, key+"="+labels[key])
	}
	return strings.Join(all, ", ")
}

func podName(r model.PodVerdict) string {
	if r.Bare {
		return "(image alone)"
	}
	return r.Name
}

// findings are the counts by severity, or their number alone where a hub does not count them by severity.
func findings(total int, c model.Counts) string {
	if text := severities(c); text != "" || total == 0 {
		return text
	}
	return strconv.Itoa(total)
}

// severities lists the counts that are not zero, the worst severity first.
func severities(c model.Counts) string {
	var parts []string
	for _, each := range []struct {
		name  string
		count int
	}{{"critical", c.Critical}, {"high", c.High}, {"medium", c.Medium}, {"low", c.Low}, {"unrated", c.Unrated}} {
		if each.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", each.count, each.name))
		}
	}
	return strings.Join(parts, ", ")
}

func failureText(f *model.Failure) string {
	if f == nil {
		return ""
	}
	text := fmt.Sprintf("%s: %s: %s; attempt %d", f.Step, f.Class, f.Reason, f.Attempt)
	if !f.NextTry.IsZero() {
		text += ", next try " + f.NextTry.Local().Format(time.DateTime)
	}
	return text
}
