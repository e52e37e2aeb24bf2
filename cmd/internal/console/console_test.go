package console

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
)

func scanned() Result {
	return Result{
		Reference: "registry.example/app:1", Platform: "linux/amd64", OverallStatus: model.InViolation, FindingsTotal: 3,
		Verdicts: []model.Verdict{{Hub: "main", OverallStatus: model.InViolation, Components: 9, NotAssessed: 2, ComponentsURL: "https://hub/c"}},
		Findings: []model.Finding{
			{ID: "CVE-1", Severity: model.SeverityLow, Package: "a", Version: "1", Remediation: "NEW"},
			{ID: "CVE-2", Severity: model.SeverityHigh, Package: "b", Version: "1", Fixed: "2", Aliases: []string{"x", "y", "z"}, Score: 7.5, Remediation: "IGNORED"},
		},
	}
}

func TestSummaryNeverShowsAFailureAsClean(t *testing.T) {
	var out bytes.Buffer
	WriteSummary(&out, []Result{scanned(), {Reference: "gone", Error: "no such image", Class: model.NotFound, OverallStatus: model.OverallUnknown}})
	require.Contains(t, out.String(), "NOT SCANNED: not-found")
	require.Contains(t, out.String(), "IN_VIOLATION")
	require.NotContains(t, out.String(), "NOT_IN_VIOLATION")
}

func TestFindingsAreShownWorstFirstWithTheirFix(t *testing.T) {
	var out bytes.Buffer
	WriteFindings(&out, scanned())
	text := out.String()
	require.Less(t, bytes.Index(out.Bytes(), []byte("CVE-2")), bytes.Index(out.Bytes(), []byte("CVE-1")))
	require.Contains(t, text, "no fix known")
	require.Contains(t, text, "x y +1")
	require.Contains(t, text, "1 more at the hub: https://hub/c")
}

func TestTheBarLeavesOutWhatIsDealtWith(t *testing.T) {
	r := scanned()
	require.False(t, r.Reaches(Bar{Severity: model.SeverityHigh}), "the high one is ignored at the hub")
	require.True(t, r.Reaches(Bar{Severity: model.SeverityLow}))
	r.Findings[0].Exception = &model.FindingException{Reason: "not reachable"}
	require.False(t, r.Reaches(Bar{Severity: model.SeverityLow}), "both are accepted now")
}

// TestTheBarOfFixedFindings: each finding without a fix, and its twin with one.
func TestTheBarOfFixedFindings(t *testing.T) {
	for _, severity := range []model.Severity{model.SeverityCritical, model.SeverityUnrated} {
		unfixed := Result{Findings: []model.Finding{{ID: "CVE-1", Severity: severity}}}
		fixed := Result{Findings: []model.Finding{{ID: "CVE-1", Severity: severity, Fixed: "2"}}}
		require.False(t, unfixed.Reaches(Bar{Severity: model.SeverityUnrated, OnlyFixed: true}))
		require.True(t, unfixed.Reaches(Bar{Severity: model.SeverityUnrated}))
		require.True(t, fixed.Reaches(Bar{Severity: model.SeverityHigh, OnlyFixed: true}))
	}
}

func TestAnAcceptedFindingIsShownWithItsReason(t *testing.T) {
	r := scanned()
	var plain bytes.Buffer
	r.Findings[1].Remediation = "NEW"
	WriteFindings(&plain, r)
	require.NotContains(t, plain.String(), "ACCEPTED")
	until := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	r.Findings[1].Exception = &model.FindingException{Stance: "accepted", Author: "olga", Reason: "not\nreachable", Until: until, Origin: "doc"}
	r.Findings[0].Severity, r.Findings[0].NeedsRating = model.SeverityUnrated, true
	var out bytes.Buffer
	WriteFindings(&out, r)
	require.Contains(t, out.String(), "CVE-2")
	require.Contains(t, out.String(), "accepted by olga until "+until.Local().Format(time.DateTime)+": not reachable")
	require.Contains(t, out.String(), "UNRATED, needs rating")
	var text bytes.Buffer
	require.NoError(t, WriteJSON(&text, r))
	require.Contains(t, text.String(), `"author": "olga"`)
	require.Contains(t, text.String(), `"needsRating": true`)
}

func TestJSONSaysWhyThereIsNoVerdict(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, WriteJSON(&out, []Result{{Reference: "r", Error: "why", OverallStatus: model.OverallUnknown}}))
	var back []map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &back))
	require.Equal(t, "why", back[0]["error"])
	require.Equal(t, "UNKNOWN", back[0]["overallStatus"])
}

func TestPlainLinesAreWrittenOnlyWhenTheyChange(t *testing.T) {
	var out bytes.Buffer
	line := (&plain{out: &out}).Line("app")
	pulling := starter.CurrentStep{Step: "PullImage", Attempt: 1, Progress: activities.Progress{Phase: "pull", Done: 1, Total: 2}}
	line.Show(starter.CurrentStep{Step: "PullImage", Attempt: 1, Waiting: true})
	line.Show(pulling)
	line.Show(pulling)
	line.Show(starter.CurrentStep{Step: "AwaitHubScan", Attempt: 9, Hub: "MATCHING"})
	line.Show(starter.CurrentStep{Step: "PullImage", Attempt: 2, LastFailure: "503"})
	line.End("done")
	require.Equal(t, "app: in the queue\napp: pulling\napp: at the hub: MATCHING\napp: pulling (attempt 2: 503)\napp: done\n", out.String())
}
