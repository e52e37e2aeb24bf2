package starter

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"

	"github.com/perceptor/perceptor/workflows"
)

const inventoryOfShop = "inventory/east/shop"

// lists answers a list of workflows by a word of its query; what no word selects is empty.
func lists(c *mocks.Client, by map[string][]*workflowpb.WorkflowExecutionInfo) {
	for word, found := range by {
		c.On("ListWorkflow", anything, mock.MatchedBy(func(r *workflowservice.ListWorkflowExecutionsRequest) bool {
			return strings.Contains(r.GetQuery(), word)
		})).
			Return(&workflowservice.ListWorkflowExecutionsResponse{Executions: found}, nil).Maybe()
	}
	c.On("ListWorkflow", anything, anything).Return(&workflowservice.ListWorkflowExecutionsResponse{}, nil).Maybe()
}

func run(kind, id, run, first string, status enumspb.WorkflowExecutionStatus) *workflowpb.WorkflowExecutionInfo {
	return &workflowpb.WorkflowExecutionInfo{
		Execution: &commonpb.WorkflowExecution{WorkflowId: id, RunId: run}, Type: &commonpb.WorkflowType{Name: kind}, Status: status, FirstRunId: first,
	}
}

func described(info *workflowpb.WorkflowExecutionInfo) *workflowservice.DescribeWorkflowExecutionResponse {
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: info}
}

// history is that of a workflow that made a decision and was terminated.
func history(t *testing.T, reason string, kinds ...enumspb.EventType) *mocks.HistoryEventIterator {
	t.Helper()
	events := mocks.NewHistoryEventIterator(t)
	for n, kind := range kinds {
		event := &historypb.HistoryEvent{EventId: int64(n + 1), EventType: kind}
		if kind == enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED {
			event.Attributes = &historypb.HistoryEvent_WorkflowExecutionTerminatedEventAttributes{
				WorkflowExecutionTerminatedEventAttributes: &historypb.WorkflowExecutionTerminatedEventAttributes{Reason: reason},
			}
		}
		events.On("HasNext").Return(true).Once()
		events.On("Next").Return(event, nil).Once()
	}
	events.On("HasNext").Return(false).Once()
	return events
}

const (
	started    = enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
	decided    = enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
	terminated = enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED
	isRunning  = enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
	isEnded    = enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED
)

// TestWhatWasEndedByHandIsRestored has its twins in the same table: what has another in its place, what doctor ended, what never decided.
func TestWhatWasEndedByHandIsRestored(t *testing.T) {
	for _, c := range []struct {
		name, kind, id string
		newest         *workflowpb.WorkflowExecutionInfo
		events         []enumspb.EventType
		reason         string
		snapshot       bool
		restored       bool
	}{
		{
			name: "an image that someone ended", kind: workflows.TypeImage, id: workflows.ImageID(digest), events: []enumspb.EventType{started, decided, decided, terminated},
			restored: true,
		},
		{
			name: "an image that doctor ended", kind: workflows.TypeImage, id: workflows.ImageID(digest), events: []enumspb.EventType{started, decided, terminated},
			reason: repaired + "its task fails",
		},
		{name: "an image that decided nothing", kind: workflows.TypeImage, id: workflows.ImageID(digest), events: []enumspb.EventType{started, terminated}},
		{
			name: "an image with another in its place", kind: workflows.TypeImage, id: workflows.ImageID(digest),
			newest: run(workflows.TypeImage, workflows.ImageID(digest), "new", "new", isRunning),
		},
		{
			name: "an inventory that was restored already", kind: workflows.TypeInventory, id: inventoryOfShop,
			newest: run(workflows.TypeInventory, inventoryOfShop, "new", "first", isRunning),
		},
		{
			name: "an inventory with one in its place that had a snapshot", kind: workflows.TypeInventory, id: inventoryOfShop, snapshot: true,
			newest: run(workflows.TypeInventory, inventoryOfShop, "new", "new", isRunning),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			mock := mocks.NewClient(t)
			ended := run(c.kind, c.id, "old", "first", isEnded)
			lists(mock, map[string][]*workflowpb.WorkflowExecutionInfo{"Terminated": {ended}})
			if c.newest == nil {
				c.newest = ended
			}
			mock.On("DescribeWorkflowExecution", anything, c.id, "").Return(described(c.newest), nil)
			if c.events != nil {
				mock.On("GetWorkflowHistory", anything, c.id, "old", false, anything).Return(history(t, c.reason, c.events...))
			}
			if c.snapshot {
				view := workflows.InventoryView{NamespaceSeen: workflows.NamespaceSeen{Snapshot: now()}}
				mock.On("QueryWorkflowWithOptions", anything, anything).Return(&client.QueryWorkflowWithOptionsResponse{QueryResult: answer(t, view)}, nil)
			}
			if c.restored {
				mock.On("ResetWorkflowExecution", anything, resetTo(c.id, "old", 3)).Return(&workflowservice.ResetWorkflowExecutionResponse{}, nil).Once()
			}
			restored, err := New(mock).Watch.Restore(t.Context(), "a namespace")
			require.NoError(t, err)
			if c.restored {
				require.Equal(t, []string{c.id}, restored)
			} else {
				require.Empty(t, restored)
			}
		})
	}
}

func resetTo(id, run string, event int64) any {
	return mock.MatchedBy(func(r *workflowservice.ResetWorkflowExecutionRequest) bool {
		return r.GetNamespace() == "a namespace" && r.GetWorkflowExecution().GetWorkflowId() == id && r.GetWorkflowExecution().GetRunId() == run &&
			r.GetWorkflowTaskFinishEventId() == event
	})
}

// TestLookFindsWhatOthersCountOn finds an inventory that its cluster counts on, and a cluster that its inventory counts on.
func TestLookFindsWhatOthersCountOn(t *testing.T) {
	c := mocks.NewClient(t)
	lists(c, map[string][]*workflowpb.WorkflowExecutionInfo{
		`WorkflowType = "Inventory"`: {run(workflows.TypeInventory, "inventory/west/n", "r", "r", isRunning)},
		`WorkflowType = "Cluster"`:   {run(workflows.TypeCluster, "cluster/east", "r", "r", isRunning)},
	})
	view := workflows.ClusterView{Namespaces: []workflows.NamespaceSeen{{Namespace: "empty"}, {Namespace: "shop", Pods: 3}}}
	c.On("QueryWorkflowWithOptions", anything, anything).Return(&client.QueryWorkflowWithOptionsResponse{QueryResult: answer(t, view)}, nil)
	c.On("DescribeWorkflowExecution", anything, workflows.HubPoolID, "").Return(described(run(workflows.TypeHubPool, workflows.HubPoolID, "r", "r", isRunning)), nil)
	c.On("DescribeWorkflowExecution", anything, inventoryOfShop, "").Return(nil, missing).Once()
	found, err := New(c).Watch.Look(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 2)
	require.Equal(t, "cluster/west", found[0].WorkflowID)
	require.Equal(t, inventoryOfShop, found[1].WorkflowID)
	require.Contains(t, found[1].Problem, "its last count was 3 pods")
	// Its twin: the list was behind, and the inventory runs.
	c.On("DescribeWorkflowExecution", anything, inventoryOfShop, "").Return(described(run(workflows.TypeInventory, inventoryOfShop, "r", "r", isRunning)), nil)
	found, err = New(c).Watch.Look(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 1)
}

func TestLastLookMustBeRecent(t *testing.T) {
	c := mocks.NewClient(t)
	c.On("ListWorkflow", anything, mock.MatchedBy(func(r *workflowservice.ListWorkflowExecutionsRequest) bool {
		_, text, _ := strings.Cut(r.GetQuery(), `CloseTime > "`)
		at, err := time.Parse(time.RFC3339, strings.TrimSuffix(text, `"`))
		return err == nil && time.Since(at) > 2*time.Minute && time.Since(at) < 4*time.Minute
	})).Return(&workflowservice.ListWorkflowExecutionsResponse{}, nil)
	_, err := New(c).Watch.Last(t.Context())
	require.ErrorIs(t, err, ErrNotWatched)
}

func TestStuckAmongAsksForEach(t *testing.T) {
	c := mocks.NewClient(t)
	failing := described(run(workflows.TypeImage, "image/a", "r", "r", isRunning))
	failing.PendingWorkflowTask = &workflowpb.PendingWorkflowTaskInfo{Attempt: wedgedAfter}
	slow := described(run(workflows.TypeImage, "image/b", "r", "r", isRunning))
	slow.PendingWorkflowTask = &workflowpb.PendingWorkflowTaskInfo{Attempt: wedgedAfter - 1}
	c.On("DescribeWorkflowExecution", anything, "image/a", "").Return(failing, nil)
	c.On("DescribeWorkflowExecution", anything, "image/b", "").Return(slow, nil)
	c.On("DescribeWorkflowExecution", anything, "image/c", "").Return(nil, missing)
	found, err := New(c).Watch.StuckAmong(t.Context(), "image/a", "image/b", "image/c")
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "image/a", found[0].WorkflowID)
	require.Equal(t, wedgedAfter-1, found[0].Failures)
}
