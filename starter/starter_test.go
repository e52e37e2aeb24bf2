package starter

import (
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
)

func TestFilterCannotBecomeAConditionOfItsOwn(t *testing.T) {
	f := ImageFilter{Repository: `x" OR WorkflowType = "HubPool`, Status: model.StatusFailed}
	want := `WorkflowType = "Image" AND ExecutionStatus = "Running" AND PerceptorRepository = "x\" OR WorkflowType = \"HubPool"` +
		` AND PerceptorScanStatus = "Failed"`
	require.Equal(t, want, f.query())
	require.NotContains(t, ImageFilter{}.query(), "Perceptor")
}

func TestDoingReadsWhatEachStepTells(t *testing.T) {
	pending := func(step string, told any) *workflowpb.PendingActivityInfo {
		payloads, err := converter.GetDefaultDataConverter().ToPayloads(told)
		require.NoError(t, err)
		return &workflowpb.PendingActivityInfo{
			ActivityType: &commonpb.ActivityType{Name: step}, State: enumspb.PENDING_ACTIVITY_STATE_STARTED, Attempt: 2,
			HeartbeatDetails: payloads, LastFailure: &failurepb.Failure{Message: "503"},
		}
	}
	now := doing(pending("PullImage", activities.Progress{Phase: "pull", Done: 3, Total: 9}))
	require.Equal(t, Doing{Step: "PullImage", Attempt: 2, Progress: activities.Progress{Phase: "pull", Done: 3, Total: 9}, LastFailure: "503"}, now)
	now = doing(pending("AwaitHubScan", map[string]any{"hub": "MATCHING", "answered": 7}))
	require.Equal(t, "MATCHING", now.Hub)
	now = doing(pending("Odd", []int{1}))
	require.Equal(t, "Odd", now.Step, "a form that does not fit leaves its part empty")
}

func TestSearchAttributesAreElevenAndTyped(t *testing.T) {
	all := SearchAttributes()
	require.Len(t, all, 11)
	require.Equal(t, enumspb.INDEXED_VALUE_TYPE_KEYWORD, all["PerceptorDigest"])
	require.Equal(t, enumspb.INDEXED_VALUE_TYPE_INT, all["PerceptorPods"])
	require.Equal(t, enumspb.INDEXED_VALUE_TYPE_DATETIME, all["PerceptorAsOf"])
}
