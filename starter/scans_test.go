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
)

func TestCurrentStepReadsWhatEachStepReports(t *testing.T) {
	pending := func(step string, reported any) *workflowpb.PendingActivityInfo {
		payloads, err := converter.GetDefaultDataConverter().ToPayloads(reported)
		require.NoError(t, err)
		return &workflowpb.PendingActivityInfo{
			ActivityType: &commonpb.ActivityType{Name: step}, State: enumspb.PENDING_ACTIVITY_STATE_STARTED, Attempt: 2,
			HeartbeatDetails: payloads, LastFailure: &failurepb.Failure{Message: "503"},
		}
	}
	now := currentStep(pending("PullImage", activities.Progress{Phase: "pull", Done: 3, Total: 9}))
	require.Equal(t, CurrentStep{Step: "PullImage", Attempt: 2, Progress: activities.Progress{Phase: "pull", Done: 3, Total: 9}, LastFailure: "503"}, now)
	now = currentStep(pending("AwaitHubScan", map[string]any{"hub": "MATCHING", "answered": 7}))
	require.Equal(t, "MATCHING", now.Hub)
	now = currentStep(pending("Odd", []int{1}))
	require.Equal(t, "Odd", now.Step, "a form that does not fit leaves its part empty")
}
