package apibackend_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/mocks"
	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/cmd/internal/apibackend"
	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

const digest = model.Digest("sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")

var (
	anything = mock.Anything
	missing  = serviceerror.NewNotFound("no such workflow")
)

func backend(t *testing.T) (*apibackend.Backend, *mocks.Client) {
	t.Helper()
	c := mocks.NewClient(t)
	return apibackend.New(starter.New(c)), c
}

// answer is a value as the server gives it back.
func answer(t *testing.T, value any) converter.EncodedValue {
	t.Helper()
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(value)
	require.NoError(t, err)
	return client.NewValue(payloads)
}

// knows makes an image's workflow answer with a view.
func knows(t *testing.T, c *mocks.Client, view workflows.ImageView) *mock.Call {
	t.Helper()
	return c.On("QueryWorkflow", anything, workflows.ImageID(digest), "", workflows.QueryStatus).Return(answer(t, view), nil)
}

// handle is an activity that was asked without a workflow.
type handle struct {
	client.ActivityHandle
	value converter.EncodedValue
}

func (h handle) Get(_ context.Context, into any) error { return h.value.Get(into) }

func asked(t *testing.T, c *mocks.Client, value any) {
	t.Helper()
	c.On("ExecuteActivity", anything, anything, anything, anything).Return(handle{value: answer(t, value)}, nil).Once()
}

// requireFailure wants an error that a client of the API may read.
func requireFailure(t *testing.T, err error, class model.FailureClass, reason string) {
	t.Helper()
	failure, ok := errors.AsType[api.Failure](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, class, failure.Class)
	require.Contains(t, failure.Reason, reason)
}

func TestErrorsThatAClientMayRead(t *testing.T) {
	for name, each := range map[string]struct {
		err    error
		class  model.FailureClass
		reason string
	}{
		"busy":   {serviceerror.NewResourceExhausted(0, "namespace rate limit"), model.Throttled, "Temporal is busy"},
		"refuse": {temporal.NewApplicationError("limit 0: want 1 or more", "invalid"), model.Invalid, "limit 0: want 1 or more"},
		"none":   {missing, model.Transient, "the pool of hubs is not running"},
	} {
		t.Run(name, func(t *testing.T) {
			b, c := backend(t)
			c.On("UpdateWorkflow", anything, anything).Return(nil, each.err)
			_, err := b.LimitHub(t.Context(), "main", 0)
			requireFailure(t, err, each.class, each.reason)
		})
	}
}

func TestOtherErrorsStayUnexplained(t *testing.T) {
	b, c := backend(t)
	c.On("UpdateWorkflow", anything, anything).Return(nil, errors.New("dial tcp 10.0.0.1: connection refused"))
	_, err := b.PauseHub(t.Context(), "main")
	require.Error(t, err)
	require.NotErrorAs(t, err, &api.Failure{})
}

func TestReadiness(t *testing.T) {
	b, c := backend(t)
	c.On("CheckHealth", anything, anything).Return(nil, errors.New("connection refused"))
	requireFailure(t, b.Ready(t.Context()), model.Transient, "Temporal cannot be reached")
}

// TestReportThatIsStale: what the inventories would ignore is not answered as accepted.
func TestReportThatIsStale(t *testing.T) {
	now := time.Now()
	for name, row := range map[string]struct {
		snapshot, report time.Time
		says             string
	}{
		"older":           {now, now.Add(-time.Hour), "older than the last snapshot"},
		"from the future": {now.Add(time.Hour), now, "came from a clock that was ahead"},
		"newer":           {now.Add(-time.Hour), now, ""},
		"the same":        {now, now, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, c := backend(t)
			c.On("QueryWorkflowWithOptions", anything, anything).Return(&client.QueryWorkflowWithOptionsResponse{
				QueryResult: answer(t, workflows.ClusterView{Cluster: "c", Snapshot: model.Version{Epoch: row.snapshot.UnixNano()}}),
			}, nil)
			err := b.Report(t.Context(), model.PodReport{Cluster: "c", Version: model.Version{Epoch: row.report.UnixNano()}})
			if row.says == "" {
				require.NoError(t, err)
				return
			}
			status, text := api.Explain(err)
			require.Equal(t, 409, status)
			require.Contains(t, text, row.says)
		})
	}
}

func TestReportOfAPodThatCannotBeTaken(t *testing.T) {
	b, c := backend(t)
	c.On("QueryWorkflowWithOptions", anything, anything).Return(nil, missing)
	err := b.Report(t.Context(), model.PodReport{Cluster: "c", Pods: []model.Pod{{Namespace: "n", Name: "a\x00b"}}})
	requireFailure(t, err, model.Invalid, "1 pods were refused")
}

func TestImagePages(t *testing.T) {
	b, c := backend(t)
	c.On("ListWorkflow", anything, mock.MatchedBy(func(r *workflowservice.ListWorkflowExecutionsRequest) bool { return len(r.GetNextPageToken()) == 0 })).
		Return(&workflowservice.ListWorkflowExecutionsResponse{NextPageToken: []byte{0xff, 0}}, nil)
	page, err := b.Images(t.Context(), api.ImageQuery{Limit: 10})
	require.NoError(t, err)
	require.NotNil(t, page.Images)
	c.On("ListWorkflow", anything, mock.MatchedBy(func(r *workflowservice.ListWorkflowExecutionsRequest) bool {
		return string(r.GetNextPageToken()) == "\xff\x00"
	})).Return(&workflowservice.ListWorkflowExecutionsResponse{}, nil).Once()
	page, err = b.Images(t.Context(), api.ImageQuery{Limit: 10, After: page.Next})
	require.NoError(t, err)
	require.Empty(t, page.Next)
	_, err = b.Images(t.Context(), api.ImageQuery{Limit: 10, After: "???"})
	requireFailure(t, err, model.Invalid, "begin without one")
}

func TestImage(t *testing.T) {
	b, c := backend(t)
	knows(t, c, workflows.ImageView{Digest: digest, Status: model.StatusInQueue, Scanning: true})
	c.On("QueryWorkflow", anything, workflows.ScanImageID(digest), "", workflows.QueryStatus).Return(answer(t, workflows.ScanView{WaitingFor: "a lease"}), nil)
	known, err := b.Image(t.Context(), digest)
	require.NoError(t, err)
	require.Equal(t, "a lease", known.WaitingFor)
	require.NotNil(t, known.Names)
}

func TestUnknownImage(t *testing.T) {
	b, c := backend(t)
	c.On("QueryWorkflow", anything, anything, "", anything).Return(nil, missing)
	c.On("SignalWorkflow", anything, anything, "", anything, anything).Return(missing)
	_, err := b.Image(t.Context(), digest)
	requireFailure(t, err, model.NotFound, "no such image is known")
	_, err = b.Findings(t.Context(), digest, "")
	requireFailure(t, err, model.NotFound, "no such image is known")
	requireFailure(t, b.Rescan(t.Context(), digest, "why"), model.NotFound, "no such image is known")
}

func TestFindingsOfTheHubAskedFor(t *testing.T) {
	b, c := backend(t)
	knows(t, c, workflows.ImageView{Verdicts: []model.Verdict{{Hub: "one"}, {Hub: "two"}}})
	asked(t, c, model.FindingsPage{Total: 1, Findings: []model.Finding{{ID: "CVE-1"}}})
	found, err := b.Findings(t.Context(), digest, "two")
	require.NoError(t, err)
	require.Equal(t, api.Findings{Hub: "two", Total: 1, Findings: []model.Finding{{ID: "CVE-1"}}}, found)
	_, err = b.Findings(t.Context(), digest, "three")
	requireFailure(t, err, model.NotFound, "no such verdict")
}

func TestScanOfAReferenceThatLeadsNowhere(t *testing.T) {
	b, c := backend(t)
	asked(t, c, activities.ResolveImagesResult{Resolutions: []activities.Resolution{{Failure: &activities.HubTrouble{Class: model.Unauthorized, Reason: "login refused"}}}})
	_, err := b.Scan(t.Context(), api.ScanRequest{Reference: "registry.example/app:1", Who: "api/board"})
	requireFailure(t, err, model.Unauthorized, "login refused")
}

// TestScanOfAnImageThatFailed: who asks for it wants it tried again now.
func TestScanOfAnImageThatFailed(t *testing.T) {
	b, c := backend(t)
	asked(t, c, activities.ResolveImagesResult{Resolutions: []activities.Resolution{{Image: &activities.ResolvedImage{
		Digest: digest, Name: model.Name{Repository: "registry.example/app"}, Platform: model.Platform{OS: "linux", Architecture: "arm64"},
	}}}})
	knows(t, c, workflows.ImageView{Failure: &model.Failure{Class: model.Invalid}})
	c.On("SignalWithStartWorkflow", anything, workflows.ImageID(digest), "observe", mock.MatchedBy(func(o workflows.Observe) bool {
		return o.Domain == workflows.DefaultDomain && o.Priority == workflows.PriorityInteractive && o.Reference.ID == "api/board"
	}), anything, anything, anything).Return(nil, nil).Once()
	c.On("SignalWorkflow", anything, workflows.ImageID(digest), "", "rescan",
		workflows.Rescan{Reason: "asked for by api/board", Priority: workflows.PriorityInteractive}).Return(nil).Once()
	accepted, err := b.Scan(t.Context(), api.ScanRequest{Reference: "registry.example/app", Who: "api/board"})
	require.NoError(t, err)
	require.Equal(t, api.ScanAccepted{Digest: digest, Platform: "linux/arm64"}, accepted)
}

func TestPodsOfAnUnknownClusterAreNone(t *testing.T) {
	b, c := backend(t)
	c.On("QueryWorkflowWithOptions", anything, anything).Return(nil, missing)
	c.On("ListWorkflow", anything, anything).Return(&workflowservice.ListWorkflowExecutionsResponse{}, nil)
	page, err := b.Pods(t.Context(), api.PodQuery{Cluster: "new"})
	require.NoError(t, err)
	require.Empty(t, page.Pods)
	_, err = b.Pods(t.Context(), api.PodQuery{Cluster: "new", After: "?"})
	requireFailure(t, err, model.Invalid, "begin without one")
	_, err = b.Cluster(t.Context(), "new")
	requireFailure(t, err, model.NotFound, "no such cluster is known")
	requireFailure(t, b.ForgetCluster(t.Context(), "new"), model.NotFound, "no such cluster is known")
}

func TestCluster(t *testing.T) {
	b, c := backend(t)
	seen := time.Now().UTC().Truncate(time.Second)
	c.On("QueryWorkflowWithOptions", anything, anything).Return(&client.QueryWorkflowWithOptionsResponse{QueryResult: answer(t, workflows.ClusterView{
		Cluster: "c", Seen: seen, WriteBack: true, Namespaces: []workflows.NamespaceSeen{{Namespace: "n", Pods: 3, Unscanned: 2, Violations: 1}},
	})}, nil)
	cluster, err := b.Cluster(t.Context(), "c")
	require.NoError(t, err)
	require.Equal(t, api.Cluster{Name: "c", Seen: seen, WriteBack: true, Namespaces: []api.Namespace{{Name: "n", Pods: 3, Unscanned: 2, Violations: 1}}}, cluster)
}

func TestHubs(t *testing.T) {
	b, c := backend(t)
	c.On("QueryWorkflowWithOptions", anything, anything).Return(&client.QueryWorkflowWithOptionsResponse{QueryResult: answer(t, workflows.HubPoolStatus{
		Hubs: []workflows.HubStatus{{Name: "main", Limit: 2, InUse: 1}}, Leases: []workflows.LeaseStatus{{Digest: digest, Hub: "main", State: "held"}},
	})}, nil)
	c.On("ListWorkflow", anything, anything).Return(&workflowservice.ListWorkflowExecutionsResponse{}, nil).Once()
	view, err := b.Hubs(t.Context())
	require.NoError(t, err)
	require.Contains(t, view.NotWatched, "not been looked after", "that no workflow is stuck is not known")
	c.On("ListWorkflow", anything, anything).Return(&workflowservice.ListWorkflowExecutionsResponse{Executions: []*workflowpb.WorkflowExecutionInfo{{
		Execution: &commonpb.WorkflowExecution{WorkflowId: "watchdog-1", RunId: "r"},
	}}}, nil)
	run := mocks.NewWorkflowRun(t)
	c.On("GetWorkflow", anything, "watchdog-1", "r").Return(run)
	run.On("Get", anything, anything).Run(func(args mock.Arguments) {
		into, ok := args.Get(1).(*workflows.WatchdogResult)
		require.True(t, ok)
		*into = workflows.WatchdogResult{StuckCount: 1, Stuck: []activities.StuckWorkflow{{WorkflowID: "image/x", Problem: "p", Remedy: "r"}}}
	}).Return(nil)
	view, err = b.Hubs(t.Context())
	require.NoError(t, err)
	require.Empty(t, view.NotWatched)
	require.Equal(t, []api.StuckWorkflow{{WorkflowID: "image/x", Problem: "p", Remedy: "r"}}, view.Stuck)
	require.Equal(t, []api.Hub{{Name: "main", Limit: 2, InUse: 1}}, view.Hubs)
	require.Equal(t, []api.Lease{{Digest: digest, Hub: "main", State: "held"}}, view.Leases)
	require.NotNil(t, view.Waiters)
	requireFailure(t, b.RetryHub(t.Context(), "other"), model.Invalid, `no hub is named "other"`)
}
