package workflows_test

import (
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/perceptor/perceptor/activities"
	"github.com/perceptor/perceptor/internal/hostile"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
	"github.com/perceptor/perceptor/workflows/cluster"
	"github.com/perceptor/perceptor/workflows/image"
	"github.com/perceptor/perceptor/workflows/inventory"
	"github.com/perceptor/perceptor/workflows/pool"
	"github.com/perceptor/perceptor/workflows/scan"
)

var (
	hostileMessages = flag.Int("hostile-messages", 2500, "how many random messages to send to all workflows together")
	hostileSeed     = flag.Uint64("hostile-seed", uint64(time.Now().UnixNano()), "the seed of the random messages")
	hostileWithin   = flag.Duration("hostile-within", time.Minute, "how long to send them at most")
)

// burst is how many messages one workflow gets before it is asked whether it still works.
const burst = 250

// victim is a workflow that gets random messages.
type victim struct {
	name     string
	run      func(*testsuite.TestWorkflowEnvironment)
	id       string
	messages hostile.Corpus
	// works is what a good message must still bring about, checked a minute after it was sent.
	good  func(*testsuite.TestWorkflowEnvironment)
	works func(*testing.T, *testsuite.TestWorkflowEnvironment)
}

// TestHostileMessages sends random and mutated messages to every workflow. After each burst the workflow answers its queries and
// does its work.
func TestHostileMessages(t *testing.T) {
	t.Logf("-hostile-seed=%d", *hostileSeed)
	random := rand.New(rand.NewPCG(*hostileSeed, 1))
	began, sent := time.Now(), 0
	for sent < *hostileMessages && time.Since(began) < *hostileWithin {
		for _, v := range victims() {
			sent += attack(t, random, v)
		}
	}
	t.Logf("%d messages in %s", sent, time.Since(began).Round(time.Millisecond))
	require.GreaterOrEqual(t, sent, burst)
}

// attack runs one workflow through a burst.
func attack(t *testing.T, random *rand.Rand, v victim) int {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	e := suite.NewTestWorkflowEnvironment()
	e.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: v.id})
	e.SetTestTimeout(time.Minute)
	e.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute}) // the machine may be busy
	e.SetStartTime(hostile.Now)
	play(e)
	sent := 0
	for n := range burst {
		e.RegisterDelayedCallback(func() {
			sent++
			m := v.messages.Next(random)
			switch m.Kind {
			case hostile.Signal:
				e.SignalWorkflow(m.Name, m.Payload)
			case hostile.Update:
				e.UpdateWorkflow(m.Name, fmt.Sprint(n), quiet{}, m.Payload)
			case hostile.Query:
				_, _ = e.QueryWorkflow(m.Name, m.Payload)
			}
		}, time.Duration(n+1)*10*time.Millisecond)
	}
	worked := false
	e.RegisterDelayedCallback(func() { v.good(e) }, 10*time.Second)
	e.RegisterDelayedCallback(func() {
		worked = true
		v.works(t, e)
	}, 11*time.Second)
	e.RegisterDelayedCallback(e.CancelWorkflow, 12*time.Second)
	v.run(e)
	require.True(t, worked, "%s ended before it was asked: %v", v.name, e.GetWorkflowError())
	var panicked *temporal.PanicError
	require.NotErrorAs(t, e.GetWorkflowError(), &panicked)
	return sent
}

// quiet takes no interest in what becomes of an update.
type quiet struct{}

func (quiet) Accept()             {}
func (quiet) Reject(error)        {}
func (quiet) Complete(any, error) {}

// play answers every step as if all were well, or not at all.
func play(e *testsuite.TestWorkflowEnvironment) {
	for _, steps := range []any{
		activities.NewHubSteps(nil, nil), activities.NewScannerSteps(nil, nil, nil, nil), activities.NewScanSteps(nil, nil, nil), activities.NewReportSteps(nil),
		activities.NewPoolSteps(nil, nil, nil), activities.NewInventorySteps(nil), activities.NewRegistrySteps(nil, nil), activities.NewPrioritizeSteps(nil),
	} {
		e.RegisterActivity(steps)
	}
	var (
		hubs        *activities.HubSteps
		scanner     *activities.ScannerSteps
		scans       *activities.ScanSteps
		reports     *activities.ReportSteps
		pools       *activities.PoolSteps
		inventories *activities.InventorySteps
		registries  *activities.RegistrySteps
		prioritize  *activities.PrioritizeSteps
	)
	slow := 20 * time.Minute
	two := func(step any) *testsuite.MockCallWrapper { return e.OnActivity(step, mock.Anything, mock.Anything) }
	two(scans.SignalPool).Return(nil).Maybe()
	two(scans.LookUpHere).Return(activities.LookUpHereResult{}, nil).Maybe()
	two(scans.StartScan).Return(activities.StartScanResult{Chain: "run"}, nil).Maybe()
	two(scans.CheckScan).Return(activities.CheckScanResult{Open: true}, nil).Maybe()
	e.OnActivity(scans.ListHubs, mock.Anything).Return(activities.ListHubsResult{Hubs: []activities.HubState{{Name: hostile.Hub}}}, nil).Maybe()
	two(reports.ReportScan).Return(nil).Maybe()
	two(scanner.PullImage).Return(activities.Workspace{Host: "host", Key: "k"}, nil).Maybe()
	two(scanner.UploadScan).Return(activities.UploadScanResult{Scan: model.HubScan{Hub: hostile.Hub, State: model.HubScanInProgress}}, nil).Maybe()
	two(hubs.LookUpScan).Return(activities.LookUpScanResult{Scan: model.HubScan{Hub: hostile.Hub, State: model.HubScanAbsent}}, nil).Maybe()
	two(hubs.AwaitHubScan).After(slow).Return(activities.AwaitHubScanResult{Scan: model.HubScan{Hub: hostile.Hub, State: model.HubScanComplete}}, nil).Maybe()
	two(hubs.CheckHubScan).Return(activities.CheckHubScanResult{Scan: model.HubScan{State: model.HubScanAbsent}}, nil).Maybe()
	two(hubs.ProbeHub).Return(activities.ProbeHubResult{}, nil).Maybe()
	two(pools.CheckHolders).Return(activities.CheckHoldersResult{}, nil).Maybe()
	e.OnActivity(pools.ListHolders, mock.Anything).Return(activities.ListHoldersResult{}, nil).Maybe()
	two(pools.NotifyScans).Return(activities.NotifyScansResult{}, nil).Maybe()
	two(pools.SwitchQueue).Return(nil).Maybe()
	two(inventories.EnsureImages).Return(activities.EnsureImagesResult{}, nil).Maybe()
	two(inventories.PublishSummary).Return(activities.PublishSummaryResult{}, nil).Maybe()
	two(inventories.NotifyCluster).Return(nil).Maybe()
	two(inventories.EmptyNamespaces).Return(activities.EmptyNamespacesResult{}, nil).Maybe()
	two(registries.ResolveImages).Return(activities.ResolveImagesResult{}, nil).Maybe()
	two(prioritize.PrioritizeStep).Return(activities.PrioritizeStepResult{}, nil).Maybe()
	e.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil).Maybe()
	e.OnUpsertTypedSearchAttributes(mock.Anything).Return(nil).Maybe()
	e.OnUpsertMemo(mock.Anything).Return(nil).Maybe()
}

// answer asks a workflow and reads what it says.
func answer[T any](t *testing.T, e *testsuite.TestWorkflowEnvironment, query string, args ...any) T {
	t.Helper()
	value, err := e.QueryWorkflow(query, args...)
	require.NoError(t, err)
	var is T
	require.NoError(t, value.Get(&is))
	return is
}

// victims are all workflows that get signals.
func victims() []victim {
	good := hostile.Good()
	return []victim{
		{
			name: "HubPool", id: workflows.HubPoolID, messages: hostile.Pool(),
			run: func(e *testsuite.TestWorkflowEnvironment) {
				e.ExecuteWorkflow(pool.HubPool, workflows.HubPoolInput{Fresh: true, Hubs: []workflows.HubConfig{{Name: hostile.Hub, Limit: 5000}}})
			},
			good: func(e *testsuite.TestWorkflowEnvironment) {
				e.SignalWorkflow(workflows.SignalConfigure.Name, workflows.Configure{Hubs: []workflows.HubConfig{{Name: "last", Limit: 4000}}})
				e.SignalWorkflow(workflows.SignalAcquire.Name, good.Acquire)
			},
			works: func(t *testing.T, e *testsuite.TestWorkflowEnvironment) {
				status := answer[workflows.HubPoolStatus](t, e, workflows.QueryStatus)
				require.Condition(t, func() bool {
					for _, l := range status.Leases {
						if l.Digest == good.Acquire.Digest {
							return true
						}
					}
					return status.LeaseCount > len(status.Leases)
				}, "the good scan has no lease: %+v", status.Hubs)
				require.Positive(t, status.Rejected.Count)
			},
		},
		{
			name: "Image", id: workflows.ImageID(hostile.Digest), messages: hostile.Image(),
			run: func(e *testsuite.TestWorkflowEnvironment) {
				e.ExecuteWorkflow(image.Image, workflows.ImageInput{Digest: hostile.Digest})
			},
			good: func(e *testsuite.TestWorkflowEnvironment) {
				e.SignalWorkflow(workflows.SignalObserve.Name, good.Observe)
				e.SignalWorkflow(workflows.SignalScanReport.Name, good.Report)
			},
			works: func(t *testing.T, e *testsuite.TestWorkflowEnvironment) {
				view := answer[workflows.ImageView](t, e, workflows.QueryStatus)
				require.Contains(t, hubsOf(view), good.Report.Verdict.Hub)
				require.NotEqual(t, model.NotInViolation, view.OverallStatus, "nothing is green that was not judged")
				require.Positive(t, view.Rejected.Count)
			},
		},
		{
			name: "Inventory", id: workflows.InventoryID(hostile.Cluster, hostile.Namespace), messages: hostile.Inventory(),
			run: func(e *testsuite.TestWorkflowEnvironment) {
				e.ExecuteWorkflow(inventory.Inventory, workflows.InventoryInput{Cluster: hostile.Cluster, Namespace: hostile.Namespace})
			},
			good: func(e *testsuite.TestWorkflowEnvironment) { e.SignalWorkflow(workflows.SignalPods.Name, good.Pods) },
			works: func(t *testing.T, e *testsuite.TestWorkflowEnvironment) {
				page := answer[workflows.JoinPage](t, e, workflows.QueryJoin, workflows.JoinQuery{UIDs: []string{good.Pods.Pods[0].UID}})
				require.Len(t, page.Rows, 1)
				require.NotEqual(t, model.NotInViolation, page.Rows[0].OverallStatus)
				require.Positive(t, answer[workflows.InventoryView](t, e, workflows.QueryStatus).Rejected.Count)
			},
		},
		{
			name: "Cluster", id: workflows.ClusterID(hostile.Cluster), messages: hostile.ClusterMessages(),
			run: func(e *testsuite.TestWorkflowEnvironment) {
				e.ExecuteWorkflow(cluster.Cluster, workflows.ClusterInput{Cluster: hostile.Cluster})
			},
			good: func(e *testsuite.TestWorkflowEnvironment) {
				e.SignalWorkflow(workflows.SignalSnapshotEnd.Name, good.SnapshotEnd)
			},
			works: func(t *testing.T, e *testsuite.TestWorkflowEnvironment) {
				view := answer[workflows.ClusterView](t, e, workflows.QueryStatus, workflows.ClusterQuery{})
				require.Contains(t, fmt.Sprint(view.Namespaces), hostile.Namespace)
				require.Positive(t, view.Rejected.Count)
			},
		},
		{
			name: "ScanImage", id: workflows.ScanImageID(hostile.Digest), messages: hostile.Scan(),
			run:  func(e *testsuite.TestWorkflowEnvironment) { e.ExecuteWorkflow(scan.ScanImage, hostile.ScanInput()) },
			good: func(e *testsuite.TestWorkflowEnvironment) { e.SignalWorkflow(workflows.SignalGrant.Name, good.Grant) },
			works: func(t *testing.T, e *testsuite.TestWorkflowEnvironment) {
				view := answer[workflows.ScanView](t, e, workflows.QueryStatus)
				require.Equal(t, workflows.StepAwait, view.State.Step, view.WaitingFor)
				require.Positive(t, view.State.Rejected.Count)
			},
		},
	}
}

func hubsOf(view workflows.ImageView) string {
	var hubs []string
	for _, v := range view.Verdicts {
		hubs = append(hubs, v.Hub)
	}
	return strings.Join(hubs, " ")
}

// TestUnreadableMessages sends each workflow payloads that no converter reads.
func TestUnreadableMessages(t *testing.T) {
	for _, v := range victims() {
		for _, payload := range []*commonpb.Payload{
			nil,
			{},
			{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte("{")},
			{Metadata: map[string][]byte{"encoding": []byte("no/such")}, Data: []byte("{}")},
			{Metadata: map[string][]byte{"encoding": []byte("binary/null")}},
			{Metadata: map[string][]byte{"encoding": []byte("json/protobuf")}, Data: []byte(`"x"`)},
			{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(`"text"`)},
			{Metadata: map[string][]byte{"encoding": []byte("binary/plain")}, Data: []byte{0xff, 0}},
		} {
			only := v
			only.messages = v.messages.Unreadable(payload)
			attack(t, rand.New(rand.NewPCG(1, 1)), only)
		}
	}
}
