package starter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// The steps that are asked without a workflow; only their names are used.
var (
	registrySteps *activities.RegistrySteps
	hubSteps      *activities.HubSteps
)

// Images is the client of the workflows that keep one image each, named by its digest.
type Images struct{ link }

// View asks an image for everything known about it: names, verdicts, failure, and who refers to it. It gives
// ErrUnknownImage when no such image is known. Verdicts are shown as they hold now: see model.Verdict.At.
func (i Images) View(ctx context.Context, d model.Digest) (workflows.ImageView, error) {
	var view workflows.ImageView
	err := i.query(ctx, workflows.ImageID(d), workflows.QueryStatus, &view)
	if isNotFound(err) {
		return view, fmt.Errorf("view image %s: %w", d, ErrUnknownImage)
	}
	return shownAt(view, time.Now()), err
}

// HasVerdict reports whether an image has a verdict of any hub. An unknown image has none, and that is no error.
func (i Images) HasVerdict(ctx context.Context, d model.Digest) (bool, error) {
	view, err := i.View(ctx, d)
	if errors.Is(err, ErrUnknownImage) {
		return false, nil
	}
	return len(view.Verdicts) > 0, err
}

// shownAt is a view as it holds at a time: a green verdict that its coverage does not carry is UNKNOWN.
func shownAt(view workflows.ImageView, now time.Time) workflows.ImageView {
	verdicts := slices.Clone(view.Verdicts)
	for n, v := range verdicts {
		verdicts[n] = v.At(now)
		if n == 0 {
			view.OverallStatus = verdicts[n].OverallStatus
		}
		view.OverallStatus = view.OverallStatus.Worst(verdicts[n].OverallStatus)
	}
	view.Verdicts = verdicts
	return view
}

// Observe says that someone refers to an image. Its workflow is started when there is none, and scans the image unless a
// hub already knows it. At least one name is needed, by which the image can be pulled.
func (i Images) Observe(ctx context.Context, d model.Digest, o workflows.Observe) error {
	if err := errors.Join(d.Check(), o.Check(time.Now())); err != nil {
		return fmt.Errorf("observe %.80s: %w", d, err)
	}
	if err := i.signalImage(ctx, d, o.Names[0], workflows.ObservedAttributes(d, o.Names[0]), workflows.SignalObserve.Name, o); err != nil {
		return fmt.Errorf("observe %s: %w", d, err)
	}
	return nil
}

// Rescan asks for a new scan of an image although it has a verdict. It does not wait for the scan. It gives
// ErrUnknownImage when no such image is known.
func (i Images) Rescan(ctx context.Context, d model.Digest, r workflows.Rescan) error {
	err := i.signal(ctx, workflows.ImageID(d), workflows.SignalRescan.Name, r)
	if isNotFound(err) {
		return fmt.Errorf("rescan %s: %w", d, ErrUnknownImage)
	}
	if err != nil {
		return fmt.Errorf("rescan %s: %w", d, err)
	}
	return nil
}

// Prioritize gives an image a higher priority, also when its scan waits already. A lower one changes nothing. It gives
// ErrUnknownImage when no such image is known.
func (i Images) Prioritize(ctx context.Context, d model.Digest, r workflows.Prioritize) error {
	err := i.signal(ctx, workflows.ImageID(d), workflows.SignalPrioritize.Name, r)
	if isNotFound(err) {
		return fmt.Errorf("prioritize %s: %w", d, ErrUnknownImage)
	}
	if err != nil {
		return fmt.Errorf("prioritize %s: %w", d, err)
	}
	return nil
}

// ReportScan gives an image the outcome of its scan. The last step of every scan uses it.
func (i Images) ReportScan(ctx context.Context, r activities.ScanReport) error {
	attributes := temporal.NewSearchAttributes(workflows.AttributeDigest.ValueSet(workflows.Keyword(string(r.Digest))))
	if err := i.signalImage(ctx, r.Digest, model.Name{Repository: string(r.Digest)}, attributes, workflows.SignalScanReport.Name, r); err != nil {
		return fmt.Errorf("report the scan of %s: %w", r.Digest, err)
	}
	return nil
}

// signalImage signals an image. When its workflow is not running it is started, with these attributes.
func (i Images) signalImage(ctx context.Context, d model.Digest, shown model.Name, attributes temporal.SearchAttributes, signal string, value any) error {
	return i.signalOrStart(ctx, start{
		workflowType: workflows.TypeImage, id: workflows.ImageID(d), summary: "image " + shown.Reference(), attributes: attributes,
		input: workflows.ImageInput{Digest: d},
	}, signal, value)
}

// Resolve finds the platform manifests behind references. The scanners of the domain do it, because they reach the
// registries. The answers stand in the order of the requests; each has either an image or a failure. It waits for at most
// 80 seconds.
func (i Images) Resolve(ctx context.Context, domain string, requests []activities.ResolveRequest) ([]activities.Resolution, error) {
	var result activities.ResolveImagesResult
	in := activities.ResolveImagesInput{Requests: requests}
	if err := i.ask(ctx, "resolve", workflows.RegistryQueue(domain), registrySteps.ResolveImages, in, &result); err != nil {
		return nil, fmt.Errorf("resolve images: %w", err)
	}
	if len(result.Resolutions) != len(requests) {
		return nil, fmt.Errorf("resolve images: %d answers to %d requests", len(result.Resolutions), len(requests))
	}
	return result.Resolutions, nil
}

// Limits of Findings: a page stays below the payload limit of 2 MiB.
const (
	findingsPage   = 500
	findingsAtMost = 20_000
)

// Findings reads the findings behind a verdict from its hub, at most 20,000, in the hub's order. Total is how many the hub
// has.
func (i Images) Findings(ctx context.Context, v model.Verdict) (findings []model.Finding, total int, err error) {
	for {
		var page model.FindingsPage
		in := activities.FetchFindingsInput{Hub: v.Hub, VersionURL: v.VersionURL, Offset: len(findings), Limit: findingsPage}
		if err := i.askHub(ctx, v.Hub, "findings", hubSteps.FetchFindings, in, &page); err != nil {
			return nil, 0, fmt.Errorf("read findings from hub %s: %w", v.Hub, err)
		}
		findings, total = append(findings, page.Findings...), page.Total
		if len(page.Findings) == 0 || len(findings) >= min(total, findingsAtMost) {
			return findings, total, nil
		}
	}
}

// Refresh asks the hubs whether they now judge an image differently than its verdicts say, without a scan. Newer verdicts
// are sent to the image's workflow and stand in the view returned.
func (i Images) Refresh(ctx context.Context, view workflows.ImageView) (workflows.ImageView, error) {
	fresh := view
	fresh.Verdicts = nil
	for _, old := range view.Verdicts {
		newer, err := i.judgeAgain(ctx, old)
		if err != nil {
			return view, fmt.Errorf("ask hub %s again: %w", old.Hub, err)
		}
		fresh.Verdicts = append(fresh.Verdicts, newer)
		if !newer.JudgedAt.After(old.JudgedAt) {
			continue
		}
		err = i.signal(ctx, workflows.ImageID(view.Digest), workflows.SignalJudged.Name, workflows.Judged{Verdict: newer})
		if err != nil {
			return view, fmt.Errorf("send the newer verdict of hub %s to image %s: %w", old.Hub, view.Digest, err)
		}
	}
	return shownAt(fresh, time.Now()), nil
}

// judgeAgain reads a verdict again from its hub.
func (i Images) judgeAgain(ctx context.Context, old model.Verdict) (model.Verdict, error) {
	var read activities.FetchVerdictResult
	in := activities.FetchVerdictInput{Scan: model.HubScan{Hub: old.Hub, VersionURL: old.VersionURL, State: model.HubScanComplete}}
	if err := i.askHub(ctx, old.Hub, "verdict", hubSteps.FetchVerdict, in, &read); err != nil {
		return old, err
	}
	if read.Trouble != nil {
		return old, fmt.Errorf("%s: %s", read.Trouble.Class, read.Trouble.Reason)
	}
	read.Verdict.ScanStarted, read.Verdict.SkippedHubs = old.ScanStarted, old.SkippedHubs
	return read.Verdict, nil
}

// ImageRow is one image in a list.
type ImageRow struct {
	Digest model.Digest `json:"digest"`
	// Repository is that of the first name.
	Repository string `json:"repository"`
	// Hub is the hub of the first verdict; empty without one.
	Hub           string              `json:"hub,omitempty"`
	Status        model.ScanStatus    `json:"status"`
	OverallStatus model.OverallStatus `json:"overallStatus"`
	// Assessed is model.CoverageSummary.Short; empty without a verdict. Reason is why the coverage is not enough, and may be cut.
	Assessed string `json:"assessed,omitempty"`
	Reason   string `json:"reason,omitempty"`
	// ValidUntil is when a green status ends; zero when the hub manages the age of its data.
	ValidUntil time.Time `json:"validUntil,omitzero"`
	// Since is when the image's workflow started its present run.
	Since time.Time `json:"since"`
}

// at is the row as it holds at a time: green needs a coverage, and data that have not expired.
func (r ImageRow) at(now time.Time) ImageRow {
	switch green := r.OverallStatus == model.NotInViolation || r.OverallStatus == model.InViolationOverridden; {
	case !green:
	case r.Assessed == "" || r.Reason != "":
		r.OverallStatus, r.Reason = model.OverallUnknown, cmp.Or(r.Reason, model.CoverageSummary{}.ReasonAt(now))
	case !r.ValidUntil.IsZero() && !now.Before(r.ValidUntil):
		reason := model.CoverageSummary{Satisfied: true, ValidUntil: r.ValidUntil}.ReasonAt(now)
		if r.OverallStatus == model.InViolationOverridden {
			reason += ", or an exception ended on that day"
		}
		r.OverallStatus, r.Reason = model.OverallUnknown, reason
	}
	return r
}

// ImageFilter narrows a list; empty fields do not.
type ImageFilter struct {
	// Repository is the exact repository, such as "registry.example/team/app".
	Repository    string
	Status        model.ScanStatus
	OverallStatus model.OverallStatus
}

// query is the filter in the server's language. Values are quoted, so that none can become a condition of its own.
func (f ImageFilter) query(now time.Time) string {
	conditions := []string{running(workflows.TypeImage)}
	add := func(key temporal.SearchAttributeKeyKeyword, value string) {
		if value != "" {
			conditions = append(conditions, fmt.Sprintf("%s = %s", key.GetName(), quote(value)))
		}
	}
	add(workflows.AttributeRepository, f.Repository)
	add(workflows.AttributeScanStatus, string(f.Status))
	if condition := f.overall(now); condition != "" {
		conditions = append(conditions, condition)
	}
	return strings.Join(conditions, " AND ")
}

// overall is the condition on the overall status as it holds at a time: what was green is UNKNOWN when its data have expired.
func (f ImageFilter) overall(now time.Time) string {
	if f.OverallStatus == "" {
		return ""
	}
	is := fmt.Sprintf("%s = %s", workflows.AttributeOverallStatus.GetName(), quote(string(f.OverallStatus)))
	until, at := workflows.AttributeValidUntil.GetName(), quote(now.UTC().Format(time.RFC3339))
	switch f.OverallStatus {
	case model.NotInViolation, model.InViolationOverridden:
		return fmt.Sprintf("%s AND (%s IS NULL OR %s > %s)", is, until, until, at)
	case model.OverallUnknown:
		return fmt.Sprintf("(%s OR %s != %s AND %s <= %s)", is, workflows.AttributeOverallStatus.GetName(), quote(string(model.InViolation)), until, at)
	default:
		return is
	}
}

func quote(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(workflows.Keyword(value)) + `"`
}

// List lists images, newest first, at most limit. More says that there are others. Lists are for browsing: they lag about
// a second behind. View asks the image itself.
func (i Images) List(ctx context.Context, f ImageFilter, limit int) (rows []ImageRow, more bool, err error) {
	var next []byte
	for {
		page, token, err := i.ListPage(ctx, f, min(limit-len(rows), pageSize), next)
		if err != nil {
			return nil, false, err
		}
		rows, next = append(rows, page...), token
		if len(next) == 0 || len(rows) >= limit {
			return rows, len(next) > 0, nil
		}
	}
}

// ListPage lists at most limit images, up to 1,000, newest first. After is the next of the page before; empty begins the
// list. Next is empty on the last page. An after that no page gave is ErrBadCursor.
func (i Images) ListPage(ctx context.Context, f ImageFilter, limit int, after []byte) (rows []ImageRow, next []byte, err error) {
	now := time.Now()
	page, err := i.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: f.query(now), PageSize: int32(min(limit, pageSize)), NextPageToken: after, //nolint:gosec // bounded by 1,000
	})
	if invalid, is := errors.AsType[*serviceerror.InvalidArgument](err); is && len(after) > 0 {
		return nil, nil, fmt.Errorf("list images: %w: %s", ErrBadCursor, invalid.Message)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list images: %w", err)
	}
	for _, each := range page.GetExecutions() {
		rows = append(rows, imageRow(each.GetSearchAttributes().GetIndexedFields(), each.GetStartTime().AsTime()).at(now))
	}
	return rows, page.GetNextPageToken(), nil
}

// Count counts what List would list.
func (i Images) Count(ctx context.Context, f ImageFilter) (int64, error) {
	counted, err := i.temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: f.query(time.Now())})
	if err != nil {
		return 0, fmt.Errorf("count images: %w", err)
	}
	return counted.GetCount(), nil
}

func imageRow(fields map[string]*commonpb.Payload, since time.Time) ImageRow {
	row := ImageRow{Since: since}
	readField(fields, workflows.AttributeDigest, &row.Digest)
	readField(fields, workflows.AttributeRepository, &row.Repository)
	readField(fields, workflows.AttributeHub, &row.Hub)
	readField(fields, workflows.AttributeScanStatus, &row.Status)
	readField(fields, workflows.AttributeOverallStatus, &row.OverallStatus)
	var coverage string
	readField(fields, workflows.AttributeCoverage, &coverage)
	row.Assessed, row.Reason = workflows.ParseCoverageText(coverage)
	readField(fields, workflows.AttributeValidUntil, &row.ValidUntil)
	return row
}

// readField reads a search attribute; one that is not there leaves its value alone.
func readField(fields map[string]*commonpb.Payload, key temporal.SearchAttributeKey, value any) {
	if p, ok := fields[key.GetName()]; ok {
		_ = converter.GetDefaultDataConverter().FromPayload(p, value)
	}
}
