package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"

	"github.com/perceptor/perceptor/cmd/internal/apibackend"
	"github.com/perceptor/perceptor/cmd/internal/console"
	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/internal/api/server"
	"github.com/perceptor/perceptor/internal/unknowns"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// odd is the image of each kind of UNKNOWN.
var odd = model.Digest("sha256:" + strings.Repeat("e", 64))

func jsonText(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}

// knowsOnly is a Temporal that knows one image and one pod that runs it, as the workflows store them.
func knowsOnly(t *testing.T, kind unknowns.Kind) *fakeTemporal {
	t.Helper()
	summary := kind.Summary(odd)
	pod := model.Join("east", model.Pod{UID: "1", Namespace: "shop", Name: "web"}, []model.ContainerVerdict{
		{Name: "main", Reference: "registry.example/odd:1", Reported: odd, Image: summary},
	})
	row := execution(t, workflows.ImageID(odd), noon, map[string]string{
		workflows.AttributeDigest.GetName(): string(odd), workflows.AttributeRepository.GetName(): "registry.example/odd",
		workflows.AttributeHub.GetName(): "main", workflows.AttributeScanStatus.GetName(): string(model.StatusComplete),
		workflows.AttributeOverallStatus.GetName(): string(kind.Said), workflows.AttributeCoverage.GetName(): workflows.CoverageText(summary.Coverage),
	})
	if until := summary.Coverage.ValidUntil; !until.IsZero() {
		row.SearchAttributes.IndexedFields[workflows.AttributeValidUntil.GetName()] = timePayload(t, until)
	}
	view := workflows.ImageView{
		References: []workflows.Reference{{Kind: workflows.ReferenceInventory, ID: workflows.ReferrerID("east", "shop")}}, Referrers: 1,
		Digest: odd, Names: []model.Name{{Repository: "registry.example/odd", Tag: "1"}}, Status: model.StatusComplete, OverallStatus: kind.Said,
		Verdicts: []model.Verdict{kind.Verdict()},
	}
	f := &fakeTemporal{
		queries: map[string]string{
			workflows.ImageID(odd): jsonText(t, view), workflows.HubPoolID: `{"hubs":[]}`,
			workflows.ClusterID("east"):           `{"cluster":"east","namespaces":[{"namespace":"shop","pods":1}]}`,
			workflows.InventoryID("east", "shop"): jsonText(t, workflows.JoinPage{Rows: []model.PodVerdict{pod}}),
		},
		listed: map[string][]*workflowpb.WorkflowExecutionInfo{
			"Image": {row}, "Cluster": {execution(t, workflows.ClusterID("east"), noon, nil)},
		},
		steps: map[string]string{},
	}
	f.resolves(odd, "odd")
	f.steps["verdict"] = `{"verdict":` + jsonText(t, kind.Verdict()) + "}"
	return f
}

const someToken = "reader-of-every-cluster"

// served is the API with the true backend, on the fake.
func served(t *testing.T, f *fakeTemporal) http.Handler {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	require.NoError(t, os.WriteFile(path, []byte("tokens:\n  - {scope: reader, cluster: east, token: "+someToken+"}\n"), 0o600))
	log := slog.New(slog.DiscardHandler)
	tokens, err := access.OpenTokens(path, log)
	require.NoError(t, err)
	return server.New(server.Options{Options: api.Options{Backend: apibackend.New(starter.New(f)), Tokens: tokens, Version: "test", Log: log}})
}

func get(t *testing.T, from http.Handler, path string) string {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, path, nil)
	request.Header.Set("Authorization", "Bearer "+someToken)
	recorder := httptest.NewRecorder()
	from.ServeHTTP(recorder, request)
	require.Equal(t, http.StatusOK, recorder.Code, "%s: %s", path, recorder.Body)
	return recorder.Body.String()
}

// TestNoViewOfAnUnknownImageSaysItIsFine asks every table, every JSON and every path of the API about one image of each kind of
// UNKNOWN. The marks on pods have the same test beside their code.
func TestNoViewOfAnUnknownImageSaysItIsFine(t *testing.T) {
	for _, kind := range unknowns.All() {
		t.Run(kind.Name, func(t *testing.T) {
			shows := func(view, text string, reason bool) {
				require.NotContains(t, text, string(model.NotInViolation), view)
				require.NotContains(t, text, string(model.InViolationOverridden), view)
				require.NotContains(t, text, `"satisfied":true`, view)
				require.NotContains(t, text, `"satisfied": true`, view)
				require.Contains(t, text, string(model.OverallUnknown), view)
				if reason {
					require.Contains(t, text, kind.Reason, view)
				}
			}
			f := knowsOnly(t, kind)
			for _, view := range []struct {
				args   string
				reason bool
			}{
				{"images", false},
				{"images -o json", true},
				{"pods", false},
				{"pods -o wide", true},
				{"pods -o json", true},
				{"pods -o yaml", true},
				{"explain " + string(odd), true},
				{"explain -o json " + string(odd), true},
			} {
				done := f.command(t, strings.Fields(view.args)...)
				require.Equal(t, exitOK, done.code, done.problems)
				shows(view.args, done.out, view.reason)
			}
			for _, form := range []string{"table", "json"} {
				for _, bar := range [][]string{nil, {"--fail-on", "low"}} {
					done := f.command(t, append([]string{"scan", "registry.example/odd:1", "--timeout", "1ms", "-o", form}, bar...)...)
					require.Equal(t, exitTrouble, done.code)
					require.Contains(t, done.problems, kind.Reason)
					shows("scan -o "+form, done.out, true)
				}
				done := f.command(t, "scan", "registry.example/odd:1", "--timeout", "1ms", "-o", form, "--allow-unassessed")
				require.Equal(t, exitOK, done.code, "it was allowed: %s", done.problems)
				shows("scan --allow-unassessed -o "+form, done.out, true)
			}
			from := served(t, f)
			shows("api images", get(t, from, "/api/v1/images"), true)
			shows("api image", get(t, from, "/api/v1/images/"+string(odd)), true)
			shows("api pods", get(t, from, "/api/v1/pods"), true)
			shows("compat /scanresults", get(t, from, "/scanresults"), false)
			shows("compat /model", get(t, from, "/model"), false)
			require.Contains(t, get(t, from, "/metrics"), `perceptor_core_status_gauge{name="image_overall_status_UNKNOWN"} 1`)
			require.Contains(t, get(t, from, "/metrics"), `perceptor_core_status_gauge{name="image_overall_status_NOT_IN_VIOLATION"} 0`)
		})
	}
}

// runsOnly is a Temporal that knows one pod, and no image.
func runsOnly(t *testing.T, image model.Summary) *fakeTemporal {
	t.Helper()
	pod := model.Join("east", model.Pod{UID: "1", Namespace: "shop", Name: "web"}, []model.ContainerVerdict{{Name: "main", Reference: "registry.example/odd:1", Image: image}})
	return &fakeTemporal{
		queries: map[string]string{
			workflows.HubPoolID: `{"hubs":[]}`, workflows.ClusterID("east"): `{"cluster":"east","namespaces":[{"namespace":"shop","pods":1,"unscanned":1,"unknown":1}]}`,
			workflows.InventoryID("east", "shop"): jsonText(t, workflows.JoinPage{Rows: []model.PodVerdict{pod}}),
		},
		listed: map[string][]*workflowpb.WorkflowExecutionInfo{"Cluster": {execution(t, workflows.ClusterID("east"), noon, nil)}},
		steps:  map[string]string{},
	}
}

// TestNoViewOfAPodWithoutAVerdictSaysItIsFine asks every view of pods about one container of each kind that has no verdict.
func TestNoViewOfAPodWithoutAVerdictSaysItIsFine(t *testing.T) {
	for _, kind := range unknowns.Pods() {
		t.Run(kind.Name, func(t *testing.T) {
			f := runsOnly(t, kind.Image)
			shows := func(view, text string, reason bool) {
				require.NotContains(t, text, string(model.NotInViolation), view)
				require.Contains(t, text, string(model.OverallUnknown), view)
				if reason {
					require.Contains(t, text, kind.Reason, view)
				}
			}
			for args, reason := range map[string]bool{"pods": false, "pods -o wide": true, "pods -o json": true, "pods -o yaml": true} {
				done := f.command(t, strings.Fields(args)...)
				require.Equal(t, exitOK, done.code, done.problems)
				shows(args, done.out, reason)
			}
			from := served(t, f)
			shows("api pods", get(t, from, "/api/v1/pods"), true)
			results := get(t, from, "/scanresults")
			require.NotContains(t, results, string(model.NotInViolation), "compat /scanresults")
			require.NotContains(t, get(t, from, "/model"), string(model.NotInViolation), "compat /model")
			require.Contains(t, get(t, from, "/metrics"), `perceptor_core_status_gauge{name="image_overall_status_NOT_IN_VIOLATION"} 0`)
		})
	}
}

// TestScanOfSeveralImages: an image that could not be scanned goes before a finding, and a finding before too little coverage.
func TestScanOfSeveralImages(t *testing.T) {
	good := console.Result{Reference: "good", Coverage: model.CoverageSummary{Components: 1, Assessed: 1, Satisfied: true}}
	unsure := console.Result{Reference: "unsure", Coverage: model.CoverageSummary{Reason: "why"}}
	bad, both := good, unsure
	bad.Findings = []model.Finding{{ID: "X", Severity: model.SeverityHigh}}
	both.Findings = bad.Findings
	many := good
	many.FindingsTotal = 1
	missing := console.Result{Reference: "missing", Error: "no such image"}
	low := unsure
	low.OverallStatus, low.Findings = model.InViolation, []model.Finding{{ID: "Y", Severity: model.SeverityUnrated}}
	for name, row := range map[string]struct {
		results []console.Result
		allowed bool
		code    int
	}{
		"good":                                 {[]console.Result{good}, false, exitOK},
		"not enough":                           {[]console.Result{good, unsure}, false, exitTrouble},
		"not enough, allowed":                  {[]console.Result{good, unsure}, true, exitOK},
		"in violation below the bar":           {[]console.Result{low}, false, exitTrouble},
		"finding and not enough":               {[]console.Result{both}, false, exitFindings},
		"finding here, not enough there":       {[]console.Result{unsure, bad}, false, exitFindings},
		"not scanned goes before a finding":    {[]console.Result{bad, missing}, false, exitTrouble},
		"not scanned is never allowed":         {[]console.Result{missing}, true, exitTrouble},
		"more findings than can be read":       {[]console.Result{many}, false, exitTrouble},
		"finding and not enough, also allowed": {[]console.Result{both}, true, exitFindings},
	} {
		t.Run(name, func(t *testing.T) {
			err := outcome(row.results, console.Bar{Severity: model.SeverityHigh}, row.allowed)
			switch row.code {
			case exitOK:
				require.NoError(t, err)
			case exitFindings:
				require.ErrorIs(t, err, errFindings)
			default:
				require.Error(t, err)
				require.NotErrorIs(t, err, errFindings)
			}
		})
	}
	require.ErrorIs(t, outcome([]console.Result{low}, console.Bar{Severity: model.SeverityUnrated}, false), errFindings, "unrated is a bar: any finding reaches it")
	require.NotErrorIs(t, outcome([]console.Result{low}, console.Bar{Severity: model.SeverityLow}, false), errFindings, "what has no severity is below low")
}

func timePayload(t *testing.T, at time.Time) *commonpb.Payload {
	t.Helper()
	payload, err := converter.GetDefaultDataConverter().ToPayload(at)
	require.NoError(t, err)
	payload.Metadata["type"] = []byte(enumspb.INDEXED_VALUE_TYPE_DATETIME.String())
	return payload
}
