package starter

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	querypb "go.temporal.io/api/query/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/mocks"
	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

const digest = model.Digest("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")

var (
	anything = mock.Anything
	missing  = serviceerror.NewNotFound("no such workflow")
)

// answer is a value as the server gives it back.
func answer(t *testing.T, value any) converter.EncodedValue {
	t.Helper()
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(value)
	require.NoError(t, err)
	return client.NewValue(payloads)
}

// handle is an activity that was asked without a workflow.
type handle struct {
	client.ActivityHandle
	value converter.EncodedValue
	err   error
}

func (h handle) Get(_ context.Context, into any) error {
	if h.err != nil {
		return h.err
	}
	return h.value.Get(into)
}

func asks(c *mocks.Client, h handle) *mock.Call {
	return c.On("ExecuteActivity", anything, anything, anything, anything).Return(h, nil)
}

func TestReadyNamesWhatCannotBeReached(t *testing.T) {
	c := mocks.NewClient(t)
	c.On("CheckHealth", anything, anything).Return(nil, errors.New("connection refused")).Once()
	require.ErrorContains(t, New(c).Ready(t.Context()), "check the health of Temporal: connection refused")
	c.On("CheckHealth", anything, anything).Return(&client.CheckHealthResponse{}, nil)
	require.NoError(t, New(c).Ready(t.Context()))
}

func TestUnknownImages(t *testing.T) {
	c := mocks.NewClient(t)
	s := New(c)
	c.On("QueryWorkflow", anything, anything, "", anything).Return(nil, missing)
	c.On("SignalWorkflow", anything, workflows.ImageID(digest), "", anything, anything).Return(missing)
	_, err := s.Images.View(t.Context(), digest)
	require.ErrorIs(t, err, ErrUnknownImage)
	_, err = s.Scans.View(t.Context(), digest)
	require.ErrorIs(t, err, ErrUnknownImage)
	_, err = s.Scans.Workspace(t.Context(), digest)
	require.ErrorIs(t, err, ErrUnknownImage)
	require.ErrorIs(t, s.Images.Rescan(t.Context(), digest, workflows.Rescan{}), ErrUnknownImage)
	require.ErrorIs(t, s.Images.Prioritize(t.Context(), digest, workflows.Prioritize{}), ErrUnknownImage)
	judged, err := s.Refreshes.Judge(t.Context(), digest, model.Verdict{})
	require.NoError(t, err)
	require.False(t, judged)
	require.NoError(t, s.Inventories.ForgetImage(t.Context(), activities.EnsureImagesInput{}, digest))
}

func TestObserveStartsTheImageByName(t *testing.T) {
	c := mocks.NewClient(t)
	o := workflows.Observe{
		Names: []model.Name{{Repository: "registry.example/app", Tag: "1"}}, Reference: workflows.Reference{Kind: workflows.ReferencePerson, ID: "olga"},
	}
	c.On("SignalWithStartWorkflow", anything, workflows.ImageID(digest), "observe", o, mock.MatchedBy(func(options client.StartWorkflowOptions) bool {
		return options.ID == workflows.ImageID(digest) && options.TaskQueue == workflows.TaskQueue && options.StaticSummary == "image registry.example/app:1"
	}), "Image", workflows.ImageInput{Digest: digest}).Return(nil, nil)
	require.NoError(t, New(c).Images.Observe(t.Context(), digest, o))
	require.ErrorContains(t, New(c).Images.Observe(t.Context(), digest, workflows.Observe{}), "at least one name")
}

func TestListOfImagesSaysThatThereAreMore(t *testing.T) {
	c := mocks.NewClient(t)
	page := &workflowservice.ListWorkflowExecutionsResponse{Executions: make([]*workflowpb.WorkflowExecutionInfo, 2), NextPageToken: []byte("next")}
	c.On("ListWorkflow", anything, anything).Return(page, nil).Once()
	rows, more, err := New(c).Images.List(t.Context(), ImageFilter{}, 2)
	require.NoError(t, err)
	require.True(t, more)
	require.Len(t, rows, 2)
	c.On("ListWorkflow", anything, anything).Return(nil, serviceerror.NewInvalidArgument("bad token"))
	_, _, err = New(c).Images.ListPage(t.Context(), ImageFilter{}, 2, []byte("odd"))
	require.ErrorIs(t, err, ErrBadCursor)
	_, _, err = New(c).Images.ListPage(t.Context(), ImageFilter{}, 2, nil)
	require.NotErrorIs(t, err, ErrBadCursor)
	require.Error(t, err)
}

func TestOpenScansAreListedPageByPageWithTheirChains(t *testing.T) {
	c := mocks.NewClient(t)
	scan := func(id, first, run string) *workflowpb.WorkflowExecutionInfo {
		return &workflowpb.WorkflowExecutionInfo{Execution: &commonpb.WorkflowExecution{WorkflowId: id, RunId: run}, FirstRunId: first}
	}
	c.On("ListWorkflow", anything, mock.MatchedBy(func(r *workflowservice.ListWorkflowExecutionsRequest) bool {
		return r.GetQuery() == `WorkflowType = "ScanImage" AND ExecutionStatus = "Running"` && len(r.GetNextPageToken()) == 0
	})).Return(&workflowservice.ListWorkflowExecutionsResponse{Executions: []*workflowpb.WorkflowExecutionInfo{scan("scan/a", "1", "2")}, NextPageToken: []byte("x")}, nil)
	c.On("ListWorkflow", anything, anything).Return(&workflowservice.ListWorkflowExecutionsResponse{Executions: []*workflowpb.WorkflowExecutionInfo{scan("scan/b", "", "3")}}, nil)
	open, err := New(c).Scans.ListOpen(t.Context())
	require.NoError(t, err)
	require.Equal(t, []activities.Holder{{WorkflowID: "scan/a", Chain: "1"}, {WorkflowID: "scan/b", Chain: "3"}}, open)
}

func TestIsOpenAsksForTheChain(t *testing.T) {
	c := mocks.NewClient(t)
	c.On("DescribeWorkflowExecution", anything, "scan/a", "").Return(&workflowservice.DescribeWorkflowExecutionResponse{
		WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, FirstRunId: "1"},
	}, nil)
	c.On("DescribeWorkflowExecution", anything, "scan/b", "").Return(nil, missing)
	for holder, want := range map[activities.Holder]bool{
		{WorkflowID: "scan/a"}: true, {WorkflowID: "scan/a", Chain: "1"}: true, {WorkflowID: "scan/a", Chain: "2"}: false, {WorkflowID: "scan/b"}: false,
	} {
		open, err := New(c).Scans.IsOpen(t.Context(), holder)
		require.NoError(t, err)
		require.Equal(t, want, open, "%+v", holder)
	}
}

func TestClustersAreListedOnceAndInOrder(t *testing.T) {
	c := mocks.NewClient(t)
	page := &workflowservice.ListWorkflowExecutionsResponse{}
	for _, name := range []string{"b", "a", "b"} {
		page.Executions = append(page.Executions, &workflowpb.WorkflowExecutionInfo{Execution: &commonpb.WorkflowExecution{WorkflowId: workflows.ClusterID(name)}})
	}
	c.On("ListWorkflow", anything, anything).Return(page, nil)
	names, err := New(c).Clusters.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, names)
	c.On("QueryWorkflowWithOptions", anything, anything).Return(nil, missing)
	require.ErrorIs(t, New(c).Clusters.Forget(t.Context(), "gone"), ErrUnknownCluster)
}

func TestBeginGivesAnEpochOrRefusesAnotherCluster(t *testing.T) {
	c := mocks.NewClient(t)
	c.On("NewWithStartWorkflowOperation", anything, anything, anything).Return(nil)
	handle := mocks.NewWorkflowUpdateHandle(t)
	handle.On("Get", anything, anything).Run(func(args mock.Arguments) {
		begun, ok := args.Get(1).(*workflows.BegunCluster)
		require.True(t, ok)
		begun.Epoch = 7
	}).Return(nil).Once()
	c.On("UpdateWithStartWorkflow", anything, anything).Return(handle, nil)
	epoch, err := New(c).Clusters.Begin(t.Context(), "c", "uid-1", 0)
	require.NoError(t, err)
	require.EqualValues(t, 7, epoch)
	handle.On("Get", anything, anything).Return(temporal.NewNonRetryableApplicationError("other", workflows.ErrorOtherCluster, nil, "uid-1"))
	_, err = New(c).Clusters.Begin(t.Context(), "c", "uid-2", 0)
	other := &OtherClusterError{}
	require.ErrorAs(t, err, &other)
	require.Equal(t, OtherClusterError{Cluster: "c", Known: "uid-1", Given: "uid-2"}, *other)
	require.ErrorContains(t, err, "perceptor cluster adopt c")
	_, err = New(c).Clusters.Begin(t.Context(), "a/b", "uid-2", 0)
	require.ErrorContains(t, err, "slash")
}

func TestPool(t *testing.T) {
	c := mocks.NewClient(t)
	pool := New(c).Pool
	c.On("QueryWorkflowWithOptions", anything, anything).Return(nil, missing).Once()
	_, err := pool.Status(t.Context())
	require.ErrorIs(t, err, ErrNoPool)
	closed := &client.QueryWorkflowWithOptionsResponse{QueryRejected: &querypb.QueryRejected{}}
	c.On("QueryWorkflowWithOptions", anything, anything).Return(closed, nil).Once()
	_, err = pool.Status(t.Context())
	require.ErrorIs(t, err, ErrNoPool, "a pool that was terminated is none")
	running := &client.QueryWorkflowWithOptionsResponse{QueryResult: answer(t, workflows.HubPoolStatus{Hubs: []workflows.HubStatus{
		{Name: "well"}, {Name: "paused", Paused: true}, {Name: "down", TrippedSince: time.Now(), Reason: "503"}, {Name: "off", Disabled: true}, {Name: "gone", Removed: true},
	}})}
	c.On("QueryWorkflowWithOptions", anything, anything).Return(running, nil)
	hubs, err := pool.Hubs(t.Context())
	require.NoError(t, err)
	require.Equal(t, []activities.HubState{{Name: "well"}, {Name: "paused", Unavailable: "paused by an operator"}, {Name: "down", Unavailable: "tripped: 503"}}, hubs)
	require.ErrorAs(t, pool.Probe(t.Context(), "gone"), &RejectedError{})
	c.On("UpdateWorkflow", anything, anything).Return(nil, temporal.NewApplicationError("limit -1: want 0 or more", "invalid")).Once()
	_, err = pool.SetLimit(t.Context(), workflows.HubLimit{Hub: "well", Limit: -1})
	require.Equal(t, RejectedError{"limit -1: want 0 or more"}, err)
	c.On("UpdateWorkflow", anything, anything).Return(nil, missing)
	_, err = pool.Pause(t.Context(), "well")
	require.ErrorIs(t, err, ErrNoPool)
}

func TestOnlyAScanThatWantsALeaseStartsThePool(t *testing.T) {
	c := mocks.NewClient(t)
	hubs := []workflows.HubConfig{{Name: "main", Limit: 2}}
	c.On("SignalWorkflow", anything, workflows.HubPoolID, "", anything, anything).Return(missing).Times(3)
	require.NoError(t, New(c).Pool.Signal(t.Context(), workflows.SignalRelease.Name, workflows.Release{}, workflows.Configure{Hubs: hubs}))
	c.On("ListWorkflow", anything, anything).Return(&workflowservice.ListWorkflowExecutionsResponse{}, nil)
	c.On("DescribeWorkflowExecution", anything, workflows.HubPoolID, "").Return(nil, missing)
	c.On("ExecuteWorkflow", anything, anything, "HubPool", workflows.HubPoolInput{Fresh: true, Hubs: hubs}).Return(nil, nil).Once()
	c.On("SignalWorkflow", anything, workflows.HubPoolID, "", workflows.SignalAcquire.Name, anything).Return(nil)
	require.NoError(t, New(c).Pool.Signal(t.Context(), workflows.SignalAcquire.Name, workflows.Acquire{}, workflows.Configure{Hubs: hubs}))
}

// poolWith is what the server says of a pool: its state, its memo, and the attempt of its workflow task.
func poolWith(t *testing.T, status enumspb.WorkflowExecutionStatus, kept []workflows.KeptHub, attempt int32) *workflowservice.DescribeWorkflowExecutionResponse {
	t.Helper()
	payload, err := converter.GetDefaultDataConverter().ToPayload(kept)
	require.NoError(t, err)
	return &workflowservice.DescribeWorkflowExecutionResponse{
		WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{
			Status: status, Execution: &commonpb.WorkflowExecution{RunId: "run"},
			Memo: &commonpb.Memo{Fields: map[string]*commonpb.Payload{workflows.MemoKept: payload}},
		},
		PendingWorkflowTask: &workflowpb.PendingWorkflowTaskInfo{Attempt: attempt},
	}
}

func TestNewPoolGetsWhatOperatorsChanged(t *testing.T) {
	c := mocks.NewClient(t)
	hubs, kept := []workflows.HubConfig{{Name: "main", Limit: 2}}, []workflows.KeptHub{{Hub: "main", Paused: true}}
	c.On("SignalWorkflow", anything, workflows.HubPoolID, "", anything, anything).Return(missing)
	c.On("ListWorkflow", anything, anything).Return(&workflowservice.ListWorkflowExecutionsResponse{}, nil)
	c.On("DescribeWorkflowExecution", anything, workflows.HubPoolID, "").Return(poolWith(t, enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, kept, 0), nil)
	already := serviceerror.NewWorkflowExecutionAlreadyStarted("was there", "", "")
	c.On("ExecuteWorkflow", anything, anything, "HubPool", workflows.HubPoolInput{Fresh: true, Hubs: hubs, Generation: 3, From: "a"}).Return(nil, already).Once()
	remembers := mock.MatchedBy(func(o client.StartWorkflowOptions) bool { return o.Memo[workflows.MemoKept] != nil })
	c.On("ExecuteWorkflow", anything, remembers, "HubPool", workflows.HubPoolInput{Hubs: hubs, Generation: 3, From: "a", Kept: kept}).Return(nil, nil).Once()
	require.NoError(t, New(c).Pool.ConfigureHubs(t.Context(), workflows.Configure{Hubs: hubs, Generation: 3, From: "a"}))
}

func TestOnlyAWedgedPoolIsReplaced(t *testing.T) {
	for _, row := range []struct {
		name    string
		status  enumspb.WorkflowExecutionStatus
		attempt int32
		want    bool
	}{
		{"well", enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, 0, false},
		{"no worker", enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, 1, false},
		{"wedged", enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, 4, true},
		{"closed", enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, 4, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := mocks.NewClient(t)
			c.On("DescribeWorkflowExecution", anything, workflows.HubPoolID, "").Return(poolWith(t, row.status, nil, row.attempt), nil)
			if row.want {
				c.On("TerminateWorkflow", anything, workflows.HubPoolID, "run", anything).Return(nil)
			}
			replaced, err := New(c).Pool.ReplaceWedged(t.Context())
			require.NoError(t, err)
			require.Equal(t, row.want, replaced)
		})
	}
}

// TestRequestAsksForEachImageByItself: one reference that leads nowhere does not hold up the other.
func TestRequestAsksForEachImageByItself(t *testing.T) {
	c := mocks.NewClient(t)
	started := time.Now().UTC()
	asks(c, handle{value: answer(t, activities.ResolveImagesResult{Resolutions: []activities.Resolution{
		{Failure: &activities.HubTrouble{Class: model.NotFound, Reason: "no such tag"}},
		{Image: &activities.ResolvedImage{Digest: digest, Name: model.Name{Repository: "registry.example/app", Tag: "1"}}},
	}})}).Once()
	c.On("QueryWorkflow", anything, workflows.ImageID(digest), "", workflows.QueryStatus).
		Return(answer(t, workflows.ImageView{Verdicts: []model.Verdict{{Hub: "main"}}, LastStarted: started}), nil)
	c.On("SignalWithStartWorkflow", anything, workflows.ImageID(digest), "observe", mock.MatchedBy(func(o workflows.Observe) bool {
		return o.Priority == workflows.PriorityInteractive && o.Domain == workflows.DefaultDomain && o.Reference.Kind == workflows.ReferencePerson &&
			o.Reference.ID == "olga" && time.Until(o.Reference.Until) > 29*24*time.Hour
	}), anything, "Image", anything).Return(nil, nil).Once()
	c.On("SignalWorkflow", anything, workflows.ImageID(digest), "", "rescan", workflows.Rescan{Reason: "asked for by olga", Priority: workflows.PriorityInteractive}).
		Return(nil).Once()
	requested, err := New(c).Scans.Request(t.Context(), ScanRequest{References: []string{"gone", "app:1"}, Who: "olga", Rescan: true})
	require.NoError(t, err)
	require.Equal(t, ResolveError{Class: model.NotFound, Reason: "no such tag"}, requested[0].Err)
	_, err = New(c).Scans.Await(t.Context(), requested[0], nil)
	require.Equal(t, requested[0].Err, err)
	require.NoError(t, requested[1].Err)
	require.Equal(t, digest, requested[1].Image.Digest)
	require.True(t, requested[1].Again)
	require.True(t, started.Equal(requested[1].LastStarted))
}

// TestAwaitTakesNoAnswerOlderThanTheRequest: after a rescan only a newer scan's outcome counts.
func TestAwaitTakesNoAnswerOlderThanTheRequest(t *testing.T) {
	c := mocks.NewClient(t)
	before := time.Now().Add(-time.Hour)
	view := func(v workflows.ImageView) {
		c.On("QueryWorkflow", anything, workflows.ImageID(digest), "", workflows.QueryStatus).Return(answer(t, v), nil).Once()
	}
	view(workflows.ImageView{Status: model.StatusComplete, LastStarted: before})
	view(workflows.ImageView{
		Status: model.StatusFailed, LastStarted: before.Add(time.Minute),
		Failure: &model.Failure{Class: model.Invalid, Reason: "bad layer", Step: "pull", Attempt: 2},
	})
	c.On("DescribeWorkflowExecution", anything, workflows.ScanImageID(digest), "").Return(&workflowservice.DescribeWorkflowExecutionResponse{
		WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING},
		PendingActivities:     []*workflowpb.PendingActivityInfo{{ActivityType: &commonpb.ActivityType{Name: "PullImage"}}},
	}, nil)
	var shown []CurrentStep
	requested := RequestedScan{Image: activities.ResolvedImage{Digest: digest}, Again: true, LastStarted: before}
	_, err := New(c).Scans.Await(t.Context(), requested, func(now CurrentStep) { shown = append(shown, now) })
	failed, ok := errors.AsType[ScanFailedError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, model.Invalid, failed.Failure.Class)
	require.EqualError(t, err, "bad layer (invalid, at pull, attempt 2)")
	require.Equal(t, []CurrentStep{{Step: "PullImage"}}, shown)
	view(workflows.ImageView{Status: model.StatusComplete, LastStarted: before})
	got, err := New(c).Scans.Await(t.Context(), RequestedScan{Image: activities.ResolvedImage{Digest: digest}}, nil)
	require.NoError(t, err)
	require.Equal(t, model.StatusComplete, got.Status)
}

func TestSignalsToWorkflowsThatHaveEnded(t *testing.T) {
	c := mocks.NewClient(t)
	s := New(c)
	c.On("SignalWorkflow", anything, anything, "", anything, anything).Return(missing)
	open, err := s.Scans.SignalScan(t.Context(), "scan/a", "grant", nil)
	require.NoError(t, err)
	require.False(t, open)
	open, err = s.Inventories.NotifyInventory(t.Context(), "c/n", model.Summary{})
	require.NoError(t, err)
	require.False(t, open)
	open, err = s.Inventories.EmptyNamespace(t.Context(), "c", activities.EmptyNamespace{Name: "n"}, false)
	require.NoError(t, err)
	require.False(t, open)
	require.NoError(t, s.Inventories.NotifyCluster(t.Context(), activities.NamespaceSeen{Cluster: "c", Ended: true}))
	c.On("SignalWithStartWorkflow", anything, workflows.ClusterID("c"), "namespace", anything, anything, "Cluster", workflows.ClusterInput{Cluster: "c"}).Return(nil, nil).Once()
	require.NoError(t, s.Inventories.NotifyCluster(t.Context(), activities.NamespaceSeen{Cluster: "c"}))
}

func TestASnapshotEndsAfterItsParts(t *testing.T) {
	c := mocks.NewClient(t)
	var order []string
	note := func(what string) func(mock.Arguments) { return func(mock.Arguments) { order = append(order, what) } }
	c.On("SignalWithStartWorkflow", anything, workflows.InventoryID("c", "n"), "snapshot", anything, anything, "Inventory", anything).Run(note("part")).Return(nil, nil).Once()
	c.On("SignalWithStartWorkflow", anything, workflows.ClusterID("c"), "snapshot-end", mock.MatchedBy(func(end workflows.SnapshotEnd) bool {
		return end.Namespaces["n"] == 1 && end.Version.Epoch > 0
	}), anything, "Cluster", anything).Run(note("end")).Return(nil, nil).Once()
	err := New(c).Pods.Report(t.Context(), model.PodReport{Cluster: "c", Snapshot: true, Pods: []model.Pod{somePod("n", "good"), somePod("n", "a\x00b")}})
	refused, ok := errors.AsType[*RefusedError](err)
	require.True(t, ok, "%v", err)
	require.Len(t, refused.Pods, 1)
	require.Equal(t, []string{"part", "end"}, order)
	require.ErrorContains(t, New(c).Pods.Report(t.Context(), model.PodReport{Cluster: "a/b"}), "there is a slash in it")
}

func TestNoWorkerAndARefusalAreDifferentErrors(t *testing.T) {
	c := mocks.NewClient(t)
	asks(c, handle{err: temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)}).Once()
	_, err := New(c).Images.Resolve(t.Context(), "default", nil)
	require.ErrorContains(t, err, "no worker on queue")
	asks(c, handle{err: temporal.NewApplicationError("no such credential", "invalid")}).Once()
	_, err = New(c).Images.Resolve(t.Context(), "default", nil)
	require.ErrorIs(t, err, RejectedError{"no such credential"})
}
