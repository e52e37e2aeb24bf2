package starter

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/mocks"
	"google.golang.org/grpc"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

// pollServer is a server that has one step on each of some queues. A poll without one waits a while, as the server does.
type pollServer struct {
	workflowservice.WorkflowServiceClient
	steps map[string]*workflowservice.PollActivityTaskQueueResponse
	late  time.Duration
}

func (q pollServer) PollActivityTaskQueue(
	_ context.Context, in *workflowservice.PollActivityTaskQueueRequest, _ ...grpc.CallOption,
) (*workflowservice.PollActivityTaskQueueResponse, error) {
	step := q.steps[in.GetTaskQueue().GetName()]
	if step == nil {
		time.Sleep(q.late)
		step = &workflowservice.PollActivityTaskQueueResponse{}
	}
	return step, nil
}

var anyScanner = ExternalScanner{Name: "one", Namespace: "default", Domain: "default", Hubs: []string{"main"}, Silence: time.Minute}

// offered is a step with an image for a scanner of others.
func offered(t *testing.T, in workflows.ScanExternallyInput) *workflowservice.PollActivityTaskQueueResponse {
	t.Helper()
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(in)
	require.NoError(t, err)
	return &workflowservice.PollActivityTaskQueueResponse{TaskToken: []byte("offer"), Input: payloads}
}

func anyImage() workflows.ScanExternallyInput {
	name := model.Name{Repository: "registry.example/app", Tag: "1"}
	return workflows.ScanExternallyInput{Digest: digest, Name: name, Hub: "main", HubNames: model.DefaultHubNames(name, digest), Priority: workflows.PriorityPod}
}

func TestExternalScannerGetsAnImageWithALease(t *testing.T) {
	c := mocks.NewClient(t)
	c.On("WorkflowService").Return(pollServer{steps: map[string]*workflowservice.PollActivityTaskQueueResponse{"external-default": offered(t, anyImage())}})
	scan, err := New(c).Externals.Next(t.Context(), anyScanner)
	require.NoError(t, err)
	require.Equal(t, anyImage(), scan.ScanExternallyInput)
}

// TestExternalScannerThatCannotUseTheImageGivesItBack: an image for another hub, one that cannot be read, and a client that has left.
func TestExternalScannerThatCannotUseTheImageGivesItBack(t *testing.T) {
	other := anyImage()
	other.Hub = "other"
	left, leave := context.WithCancel(t.Context())
	leave()
	for says, row := range map[string]struct {
		ctx   context.Context
		image workflows.ScanExternallyInput
	}{"hub other": {t.Context(), other}, "no name": {t.Context(), workflows.ScanExternallyInput{}}, "canceled": {left, anyImage()}} {
		c := mocks.NewClient(t)
		c.On("WorkflowService").Return(pollServer{steps: map[string]*workflowservice.PollActivityTaskQueueResponse{"external-default": offered(t, row.image)}})
		c.On("CompleteActivity", anything, []byte("offer"), workflows.ExternalReport{Returned: true}, nil).Return(nil).Once()
		scan, err := New(c).Externals.Next(row.ctx, anyScanner)
		require.ErrorContains(t, err, says)
		require.Nil(t, scan)
	}
}

// TestExternalScannerTakesFromTheBacklog only where a hub may grant a lease, and no other image waits for one on behalf of others.
func TestExternalScannerTakesFromTheBacklog(t *testing.T) {
	free := workflows.HubPoolStatus{Hubs: []workflows.HubStatus{{Name: "main", Limit: 1, InUse: 1}}}
	waiting, paused, tripped, elsewhere, long := free, free, free, free, free
	waiting.Waiters = []workflows.WaiterStatus{{Hubs: []string{"main"}}}
	paused.Hubs = []workflows.HubStatus{{Name: "main", Paused: true}}
	tripped.Hubs = []workflows.HubStatus{{Name: "main", TrippedSince: time.Now()}}
	elsewhere.Hubs = []workflows.HubStatus{{Name: "other"}}
	long.WaiterCount = 1 // that are not shown
	for name, row := range map[string]struct {
		pool  workflows.HubPoolStatus
		takes bool
	}{"free": {free, true}, "waiting": {waiting, false}, "paused": {paused, false}, "tripped": {tripped, false}, "elsewhere": {elsewhere, false}, "long": {long, false}} {
		t.Run(name, func(t *testing.T) {
			c := mocks.NewClient(t)
			c.On("WorkflowService").Return(pollServer{late: 2 * offerSoon, steps: map[string]*workflowservice.PollActivityTaskQueueResponse{
				"scan-default": {TaskToken: []byte("pull"), WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: workflows.ScanImageID(digest)}},
			}})
			c.On("QueryWorkflowWithOptions", anything, anything).Return(&client.QueryWorkflowWithOptionsResponse{QueryResult: answer(t, row.pool)}, nil)
			if row.takes {
				claim := activities.Workspace{External: &activities.ExternalClaim{Hubs: []string{"main"}, Silence: time.Minute}}
				require.NoError(t, claim.External.Check())
				c.On("CompleteActivity", anything, []byte("pull"), claim, nil).Return(nil).Once()
			}
			scan, err := New(c).Externals.Next(t.Context(), anyScanner)
			require.NoError(t, err)
			require.Nil(t, scan, "it has no lease yet")
		})
	}
}

func TestExternalReports(t *testing.T) {
	pending := func(name, identity string, state enumspb.PendingActivityState) *workflowservice.DescribeWorkflowExecutionResponse {
		return &workflowservice.DescribeWorkflowExecutionResponse{
			WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Execution: &commonpb.WorkflowExecution{WorkflowId: workflows.ScanImageID(digest), RunId: "run"}},
			PendingActivities: []*workflowpb.PendingActivityInfo{{
				ActivityId: "external-1", ActivityType: &commonpb.ActivityType{Name: name}, State: state, LastWorkerIdentity: identity,
			}},
		}
	}
	const started, scheduled = enumspb.PENDING_ACTIVITY_STATE_STARTED, enumspb.PENDING_ACTIVITY_STATE_SCHEDULED
	for name, row := range map[string]struct {
		described *workflowservice.DescribeWorkflowExecutionResponse
		completes bool
		failure   error
		want      ExternalOutcome
	}{
		"its own":         {pending(workflows.ScanExternally, "external scanner one", started), true, nil, ExternalAccepted},
		"ended meanwhile": {pending(workflows.ScanExternally, "external scanner one", started), true, missing, ExternalNotWaited},
		"of another":      {pending(workflows.ScanExternally, "external scanner two", started), false, nil, ExternalOther},
		"not handed out":  {pending(workflows.ScanExternally, "", scheduled), false, nil, ExternalNotWaited},
		"another step":    {pending("UploadScan", "external scanner one", started), false, nil, ExternalNotWaited},
		"no step":         {&workflowservice.DescribeWorkflowExecutionResponse{}, false, nil, ExternalNotWaited},
	} {
		t.Run(name, func(t *testing.T) {
			c := mocks.NewClient(t)
			c.On("DescribeWorkflowExecution", anything, workflows.ScanImageID(digest), "").Return(row.described, nil)
			if row.completes {
				c.On("CompleteActivityByID", anything, "default", workflows.ScanImageID(digest), "run", "external-1", workflows.ExternalReport{Scanner: "one"}, nil).Return(row.failure)
			}
			outcome, err := New(c).Externals.Report(t.Context(), anyScanner, digest, workflows.ExternalReport{Scanner: "a name of its own choice"})
			require.NoError(t, err)
			require.Equal(t, row.want, outcome)
		})
	}
	c := mocks.NewClient(t)
	c.On("DescribeWorkflowExecution", anything, anything, "").Return(nil, missing).Once()
	_, err := New(c).Externals.Report(t.Context(), anyScanner, digest, workflows.ExternalReport{})
	require.ErrorIs(t, err, ErrUnknownImage)
	c.On("DescribeWorkflowExecution", anything, anything, "").Return(nil, errors.New("unavailable"))
	_, err = New(c).Externals.Report(t.Context(), anyScanner, digest, workflows.ExternalReport{})
	require.ErrorContains(t, err, "unavailable")
}
