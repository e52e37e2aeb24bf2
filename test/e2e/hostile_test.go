//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/internal/hostile"
	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

const (
	// hostilePerType is how many random messages each type of workflow gets, and hostileStarts how many of them are starts.
	hostilePerType = 2000
	hostileStarts  = 150
	// hostileReferrers is how many namespaces refer to one image, unless E2E_REFERRERS says otherwise.
	hostileReferrers = 13_000
	hostileAtOnce    = 24
)

// hostileSystem is the system under attack.
type hostileSystem struct {
	*dev
	sent atomic.Int64
	// judged are the images that the hub was asked about.
	judged map[model.Digest]bool
}

// TestHostileMessages sends a real server every message that has wedged a workflow, and random ones to each type of workflow. Then
// everything answers, a new image is scanned, and nothing is green that was not judged.
func TestHostileMessages(t *testing.T) {
	rig.Wanted(t, rig.EnvLong)
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("E2E_SEED"); text != "" {
		parsed, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		seed = parsed
	}
	t.Logf("E2E_SEED=%d", seed)
	h := &hostileSystem{dev: startDev(t), judged: map[model.Digest]bool{}}
	h.LoadComplete(t)
	h.StartWorker(t, 0)
	first := h.scanNew(t, "hostile/first")
	reference, kept := h.PushApp(t, "hostile/kept", 1000)
	h.judged[kept] = true
	pods := h.reportKept(t, reference, kept)
	before, err := h.Starter.Pool.Status(t.Context())
	require.NoError(t, err)

	h.knownMessages(t, first)
	h.randomMessages(t, rand.New(rand.NewPCG(seed, 1)))
	h.manyReferrers(t, first)

	// One of the messages may have replaced the list of hubs. The true one is sent again, as every worker does at its start.
	var hubs []workflows.HubConfig
	for _, each := range before.Hubs {
		hubs = append(hubs, workflows.HubConfig{Name: each.Name, Limit: each.Configured})
	}
	require.NoError(t, h.Starter.Pool.ConfigureHubs(t.Context(), workflows.Configure{Hubs: hubs, From: "perceptor setup", Setup: true}))
	undo := h.steer(t)
	late := h.endedByHand(t, pods)
	undo()
	h.scanNew(t, "hostile/last")
	wedged, wrong := h.wedged(t), late+h.wrong(t, first)
	result := fmt.Sprintf("hostile e2e: %d messages, %d wedged, %d wrong", h.sent.Load(), wedged, wrong)
	require.Equal(t, fmt.Sprintf("hostile e2e: %d messages, 0 wedged, 0 wrong", h.sent.Load()), result)
	require.GreaterOrEqual(t, h.sent.Load(), int64(10_000))
	rig.AnnounceResult(t, result)
}

// scanNew has a new image scanned.
func (h *hostileSystem) scanNew(t *testing.T, repository string) model.Digest {
	t.Helper()
	reference, digest := h.PushApp(t, repository, 1000)
	h.judged[digest] = true
	h.Observe(t, reference, digest)
	h.AwaitVerdict(t, digest, 4*time.Minute)
	return digest
}

// signal sends a message; that the server refuses it is as good.
func (h *hostileSystem) signal(t *testing.T, id, name string, value any) {
	t.Helper()
	h.sent.Add(1)
	if err := h.Client.SignalWorkflow(t.Context(), id, "", name, value); err != nil {
		t.Logf("signal %s of %.60s refused: %.120v", name, id, err)
	}
}

// knownMessages are those that have wedged a workflow before.
func (h *hostileSystem) knownMessages(t *testing.T, first model.Digest) {
	t.Helper()
	long := strings.Repeat("n", 1200)
	image, now := workflows.ImageID(first), time.Now()
	for _, outcome := range []string{"completed", "failed", "", long} {
		h.signal(t, image, workflows.SignalScanReport.Name, map[string]any{"digest": first, "chain": "x", "outcome": outcome, "started": now})
	}
	h.signal(t, workflows.HubPoolID, workflows.SignalRelease.Name, map[string]any{
		"chain": "x", "holder": workflows.ScanImageID(first), "digest": first, "hub": long, "unfinished": true, "attempt": model.AttemptID{Millis: now.UnixMilli()},
	})
	h.signal(t, workflows.HubPoolID, workflows.SignalAcquire.Name, map[string]any{
		"chain": "x", "holder": workflows.ScanImageID(first), "digest": first, "priority": "pod",
		"held": map[string]any{"chain": "x", "hub": "main", "attempt": map[string]any{"millis": 9e15, "counter": 1}},
	})
	for _, list := range []any{map[string]any{}, map[string]any{"hubs": []any{}}, nil} {
		h.signal(t, workflows.HubPoolID, workflows.SignalConfigure.Name, list)
	}
	good := hostile.Good()
	pods, observe := good.Pods, good.Observe
	pods.Domain, observe.Domain = long, long
	require.NoError(t, h.Starter.Pods.Report(t.Context(), model.PodReport{Cluster: hostile.Cluster, Pods: []model.Pod{{
		Namespace: hostile.Namespace, Name: "p", Containers: []model.Container{{Name: "c", Reference: h.Registry + "/hostile/first:1", Digest: first}},
	}}}))
	h.signal(t, workflows.InventoryID(hostile.Cluster, hostile.Namespace), workflows.SignalPods.Name, pods)
	h.signal(t, image, workflows.SignalObserve.Name, observe)
	for range 26 {
		observe = good.Observe
		observe.Reference.ID = strings.Repeat("i", 300_000)
		h.signal(t, image, workflows.SignalObserve.Name, observe)
	}
	// A scan that is started by hand under the ID of an image's scan, without names.
	reference, second := h.PushApp(t, "hostile/second", 1000)
	h.judged[second] = true
	h.start(t, workflows.TypeScanImage, workflows.ScanImageID(second), map[string]any{"digest": second, "names": nil})
	h.Observe(t, reference, second)
	h.AwaitVerdict(t, second, 7*time.Minute)
}

// start starts a workflow by hand.
func (h *hostileSystem) start(t *testing.T, kind, id string, in any) {
	t.Helper()
	h.sent.Add(1)
	_, err := h.Client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: id, TaskQueue: workflows.TaskQueue, WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
	}, kind, in)
	if err != nil {
		t.Logf("start of %.60s refused: %.120v", id, err)
	}
}

// target is a workflow that gets random messages, and how one of its type is started.
type target struct {
	kind, id string
	messages hostile.Corpus
	input    any
	// named gives another ID of the type.
	named func(n int) string
}

func (h *hostileSystem) targets() []target {
	digest := func(n int) model.Digest { return model.Digest(fmt.Sprintf("sha256:%064x", n+1)) }
	scan := hostile.ScanInput()
	scan.Domain = "nowhere"
	return []target{
		{workflows.TypeHubPool, workflows.HubPoolID, hostile.Pool(), workflows.HubPoolInput{Hubs: hostile.Good().Configure.Hubs}, func(int) string { return workflows.HubPoolID }},
		{
			workflows.TypeImage, workflows.ImageID(hostile.Digest), hostile.Image(),
			workflows.ImageInput{Digest: hostile.Digest},
			func(n int) string { return workflows.ImageID(digest(n)) },
		},
		{workflows.TypeInventory, workflows.InventoryID(hostile.Cluster, hostile.Namespace), hostile.Inventory(), workflows.InventoryInput{
			Cluster:   hostile.Cluster,
			Namespace: hostile.Namespace,
		}, func(n int) string { return workflows.InventoryID("h", fmt.Sprint(n)) }},
		{
			workflows.TypeCluster, workflows.ClusterID(hostile.Cluster), hostile.ClusterMessages(),
			workflows.ClusterInput{Cluster: hostile.Cluster},
			func(n int) string { return workflows.ClusterID(fmt.Sprint("h", n)) },
		},
		{workflows.TypeScanImage, workflows.ScanImageID(hostile.Digest), hostile.Scan(), scan, func(n int) string { return workflows.ScanImageID(digest(n)) }},
	}
}

// randomMessages sends each type of workflow its messages, several at a time.
func (h *hostileSystem) randomMessages(t *testing.T, random *rand.Rand) {
	t.Helper()
	for _, each := range h.targets() {
		began, from := time.Now(), h.sent.Load()
		h.start(t, each.kind, each.id, each.input)
		var group errgroup.Group
		group.SetLimit(hostileAtOnce)
		for n := range hostilePerType {
			if n < hostileStarts {
				in := hostile.Input(random, each.input)
				group.Go(func() error { h.start(t, each.kind, each.named(n), in); return nil })
				continue
			}
			m := each.messages.Next(random)
			group.Go(func() error { h.send(t.Context(), each.id, m); return nil })
		}
		require.NoError(t, group.Wait())
		t.Logf("%s: %d messages in %s", each.kind, h.sent.Load()-from, time.Since(began).Round(time.Second))
	}
}

// send sends one message; an answer that refuses it is as good as any.
func (h *hostileSystem) send(ctx context.Context, id string, m hostile.Message) {
	h.sent.Add(1)
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	switch m.Kind {
	case hostile.Signal:
		_ = h.Client.SignalWorkflow(ctx, id, "", m.Name, m.Payload)
	case hostile.Query:
		_, _ = h.Client.QueryWorkflow(ctx, id, "", m.Name, m.Payload)
	case hostile.Update:
		handle, err := h.Client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
			WorkflowID: id, UpdateName: m.Name, Args: []any{m.Payload}, WaitForStage: client.WorkflowUpdateStageCompleted,
		})
		if err == nil {
			_ = handle.Get(ctx, nil)
		}
	}
}

// manyReferrers lets thousands of namespaces refer to one image.
func (h *hostileSystem) manyReferrers(t *testing.T, d model.Digest) {
	t.Helper()
	began := time.Now()
	var group errgroup.Group
	group.SetLimit(hostileAtOnce)
	number := hostileReferrers
	if text := os.Getenv("E2E_REFERRERS"); text != "" {
		var err error
		number, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	for n := range number {
		group.Go(func() error {
			h.sent.Add(1)
			o := hostile.Good().Observe
			o.HubNames, o.Names = nil, []model.Name{{Repository: h.Registry + "/hostile/first", Tag: "1"}}
			o.Reference = workflows.Reference{
				Kind: workflows.ReferenceInventory, ID: workflows.ReferrerID("many", fmt.Sprintf("namespace-%d", n)),
				Version: model.Version{Epoch: time.Now().UnixNano()}, Until: time.Now().Add(24 * time.Hour),
			}
			return h.Starter.Images.Observe(t.Context(), d, o)
		})
	}
	require.NoError(t, group.Wait())
	t.Logf("%d referrers in %s", number, time.Since(began).Round(time.Second))
}

// wedged counts the workflows whose task fails again and again.
func (h *hostileSystem) wedged(t *testing.T) int {
	t.Helper()
	count, listed := 0, 0
	var token []byte
	for {
		page, err := h.Client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Query: `ExecutionStatus = "Running"`, PageSize: 1000, NextPageToken: token,
		})
		require.NoError(t, err)
		for _, each := range page.GetExecutions() {
			listed++
			id := each.GetExecution().GetWorkflowId()
			described, err := h.Client.DescribeWorkflowExecution(t.Context(), id, "")
			if err != nil {
				continue
			}
			if attempt := described.GetPendingWorkflowTask().GetAttempt(); attempt > 2 {
				count++
				t.Logf("%s is in attempt %d of its task", id, attempt)
			}
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			t.Logf("%d workflows run", listed)
			return count
		}
	}
}

// wrong counts what does not answer, and what is green without a judgement.
func (h *hostileSystem) wrong(t *testing.T, first model.Digest) int {
	t.Helper()
	count := 0
	check := func(what string, err error) {
		if err != nil {
			count++
			t.Logf("%s: %v", what, err)
		}
	}
	status, err := h.Starter.Pool.Status(t.Context())
	check("pool", err)
	if status.Rejected.Count == 0 {
		check("pool", errors.New("it shows no message that was dropped"))
	}
	for _, d := range []model.Digest{first, hostile.Digest} {
		view, err := h.Starter.Images.View(t.Context(), d)
		check("image "+string(d), err)
		if err == nil && view.Rejected.Count == 0 {
			check("image "+string(d), errors.New("it shows no message that was dropped"))
		}
	}
	_, err = h.Starter.Clusters.View(t.Context(), hostile.Cluster)
	check("cluster", err)
	time.Sleep(3 * time.Second) // lists lag behind
	green, _, err := h.Starter.Images.List(t.Context(), starter.ImageFilter{OverallStatus: model.NotInViolation}, 10_000)
	check("list of images", err)
	for _, row := range green {
		if !h.judged[row.Digest] {
			check("image "+string(row.Digest), errors.New("it is green and was not judged"))
		}
	}
	// A message has said that the cluster has a namespace of which no one has reported a pod. So the whole cluster is not known.
	if _, err := h.Starter.Pods.Join(t.Context(), starter.JoinFilter{Cluster: hostile.Cluster}); err != nil && !errors.Is(err, starter.ErrStateUnknown) {
		check("join of the cluster", err)
	}
	rows, err := h.Starter.Pods.Join(t.Context(), starter.JoinFilter{Cluster: hostile.Cluster, Namespace: hostile.Namespace})
	check("join", err)
	for _, row := range rows.Rows {
		if row.OverallStatus == model.NotInViolation && !h.judged[row.Containers[0].Image.Digest] {
			check("pod "+row.Name, errors.New("it is green and was not judged"))
		}
	}
	return count
}
