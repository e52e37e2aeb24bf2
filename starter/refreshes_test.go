package starter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/mocks"

	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

func TestSchedulesFollowThePlans(t *testing.T) {
	c, schedules, handles := mocks.NewClient(t), mocks.NewScheduleClient(t), mocks.NewScheduleHandle(t)
	c.On("ScheduleClient").Return(schedules)
	old := mocks.NewScheduleHandle(t)
	schedules.On("GetHandle", anything, workflows.RefreshID("main")).Return(handles)
	schedules.On("GetHandle", anything, workflows.RefreshID("old")).Return(old)
	handles.On("Describe", anything).Return(nil, missing)
	schedules.On("Create", anything, mock.MatchedBy(func(o client.ScheduleOptions) bool {
		action, ok := o.Action.(*client.ScheduleWorkflowAction)
		return ok && action.Workflow == "RefreshHub" && o.Spec.Intervals[0].Every == time.Hour
	})).Return(nil, nil).Once()
	list := mocks.NewScheduleListIterator(t)
	schedules.On("List", anything, anything).Return(list, nil)
	for _, id := range []string{workflows.RefreshID("main"), workflows.RefreshID("old"), "of another program"} {
		list.On("HasNext").Return(true).Once()
		list.On("Next").Return(&client.ScheduleListEntry{ID: id}, nil).Once()
	}
	list.On("HasNext").Return(false)
	old.On("Delete", anything).Return(nil).Once()
	require.NoError(t, New(c).Refreshes.Configure(t.Context(), []RefreshPlan{{Hub: "main", Every: time.Hour}}))
	old.AssertNotCalled(t, "Delete", anything)
	require.NoError(t, New(c).Refreshes.RemoveOthers(t.Context(), []RefreshPlan{{Hub: "main", Every: time.Hour}}))
	handles.On("Trigger", anything, anything).Return(missing)
	require.ErrorContains(t, New(c).Refreshes.Start(t.Context(), "main"), "has no schedule")
}

func TestLostVerdictIsScannedAgainOnlyWhereItIsShown(t *testing.T) {
	c := mocks.NewClient(t)
	view := workflows.ImageView{Verdicts: []model.Verdict{{Hub: "main", VersionURL: "https://hub.example/api/versions/1"}}}
	c.On("QueryWorkflow", anything, workflows.ImageID(digest), "", workflows.QueryStatus).Return(answer(t, view), nil)
	again, err := New(c).Refreshes.RescanLost(t.Context(), digest, "main", "/api/versions/2")
	require.NoError(t, err)
	require.False(t, again)
	c.On("SignalWorkflow", anything, workflows.ImageID(digest), "", "rescan", mock.MatchedBy(func(r workflows.Rescan) bool {
		return r.Priority == workflows.PriorityBackground
	})).Return(nil).Once()
	again, err = New(c).Refreshes.RescanLost(t.Context(), digest, "main", "/api/versions/1")
	require.NoError(t, err)
	require.True(t, again)
}

func TestJudgedImagesAreAskedForByHubAndVersion(t *testing.T) {
	c := mocks.NewClient(t)
	none, err := New(c).Refreshes.JudgedBy(t.Context(), "main", nil)
	require.NoError(t, err)
	require.Empty(t, none)
	c.On("ListWorkflow", anything, mock.MatchedBy(func(r *workflowservice.ListWorkflowExecutionsRequest) bool {
		return r.GetQuery() == `WorkflowType = "Image" AND ExecutionStatus = "Running" AND PerceptorHub = "main" AND PerceptorHubVersion IN ("/v/1", "/v/2")`
	})).Return(&workflowservice.ListWorkflowExecutionsResponse{}, nil).Once()
	_, err = New(c).Refreshes.JudgedBy(t.Context(), "main", []string{"/v/1", "/v/2"})
	require.NoError(t, err)
}
