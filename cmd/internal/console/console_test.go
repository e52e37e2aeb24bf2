package console

import (
	"bytes"
	"encoding/json"
	"testing"

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

func TestWorstLeavesOutWhatIsDealtWith(t *testing.T) {
	r := scanned()
	require.False(t, r.Worst(model.SeverityHigh), "the high one is ignored at the hub")
	require.True(t, r.Worst(model.SeverityLow))
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
