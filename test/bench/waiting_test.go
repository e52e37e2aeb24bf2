//go:build bench

package bench_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/workflows"
)

const (
	// waitingLimit is how many scans are in flight while the others wait.
	waitingLimit = 5
	waitingBound = 330 * time.Minute
	// observers ask for scans at the same time, as perceivers of several clusters do.
	observers = 16
)

// BenchmarkWaiting requests the scans of 20,000 new images (BENCH_WAITING of them), while a hub has five in
// flight, and reports: how many images a second get as far as the backlog; how long after a scan's end at the hub its
// workflow knows; how large the processes are when all wait. Then a person asks for one more, and it is reported how many
// other pulls and leases were begun between its turn and its own.
func BenchmarkWaiting(b *testing.B) {
	number := waitingWanted(b)
	e := startSystem(b)
	e.Hubs = []*rig.HubProcess{rig.StartHub(b, e.System, "five", waitingLimit, rig.SlowFaults(e.Seed, hubLeast, hubMost))}
	e.Configure(b, rig.Scanners{Drain: time.Second, Workspaces: 2 * waitingLimit, SBOMLeast: listLeast, SBOMMost: listMost})
	e.Images = nil
	many := startManyImages(b, number+1)
	workflowWorker := e.StartProgram(b, "worker-workflows", []string{"TEMPORAL_ADDRESS=" + e.Temporal}, "worker", "--config", e.ConfigFile, "--roles", "workflows,hub")
	scanWorker := e.StartProgram(b, "worker-scan", []string{"TEMPORAL_ADDRESS=" + e.Temporal},
		"worker", "--config", e.ConfigFile, "--roles", "scan", "--directory", e.HostDirectory(0))
	idle := e.Memory(b, "VmRSS")
	idleWorker := workflowWorker.Memory(b, "VmRSS")
	for b.Loop() {
		began := time.Now()
		e.observeMany(b, many, number)
		waiting := e.awaitBacklog(b, number)
		took := time.Since(began)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(number)/took.Seconds(), "queued/s")
		b.ReportMetric(float64(waiting), "waiting")
		b.ReportMetric(float64(e.Memory(b, "VmRSS"))/mib, "MiB_server")
		b.ReportMetric(float64(e.Memory(b, "VmRSS")-idle)/mib, "MiB_server_grown")
		b.ReportMetric(float64(workflowWorker.Memory(b, "VmRSS"))/mib, "MiB_worker")
		b.ReportMetric(float64(workflowWorker.Memory(b, "VmRSS")-idleWorker)/mib, "MiB_worker_grown")
		b.ReportMetric(float64(scanWorker.Memory(b, "VmRSS"))/mib, "MiB_scanner")
		e.reportNoticed(b)
		e.reportUrgent(b, many, number)
	}
}

func waitingWanted(b *testing.B) int {
	b.Helper()
	text := os.Getenv("BENCH_WAITING")
	if text == "" {
		return 20_000
	}
	number, err := strconv.Atoi(text)
	require.NoError(b, err, "BENCH_WAITING")
	return number
}

// manyImages is a registry of many small images, which are made when they are asked for: all have one layer, and each a
// configuration of its own.
type manyImages struct {
	*httptest.Server
	layer   v1.Layer
	numbers map[string]int
	digests []model.Digest
}

func startManyImages(b *testing.B, number int) *manyImages {
	b.Helper()
	layer, err := random.Layer(1<<10, types.DockerLayer)
	require.NoError(b, err)
	m := &manyImages{layer: layer, numbers: map[string]int{}}
	for i := range number {
		made, err := m.image(i)
		require.NoError(b, err)
		manifest, err := made.Digest()
		require.NoError(b, err)
		config, err := made.ConfigName()
		require.NoError(b, err)
		m.numbers[manifest.String()], m.numbers[config.String()] = i, i
		m.digests = append(m.digests, model.Digest(manifest.String()))
	}
	m.Server = httptest.NewServer(m)
	b.Cleanup(m.Close)
	return m
}

func (m *manyImages) image(i int) (v1.Image, error) {
	config := &v1.ConfigFile{OS: "linux", Architecture: "amd64", Author: strconv.Itoa(i), RootFS: v1.RootFS{Type: "layers"}}
	bare, err := mutate.ConfigFile(empty.Image, config)
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(bare, m.layer)
}

func (m *manyImages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v2/" {
		return // yes, a registry
	}
	body, kind, err := m.find(r.URL.Path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(body)
}

func (m *manyImages) find(at string) (body []byte, kind string, err error) {
	last := path.Base(at)
	if digest, err := m.layer.Digest(); err == nil && last == digest.String() {
		contents, err := m.layer.Compressed()
		if err != nil {
			return nil, "", err
		}
		body, err = io.ReadAll(contents)
		return body, "application/octet-stream", err
	}
	i, known := m.numbers[last]
	if !known {
		return nil, "", fmt.Errorf("no %s", last)
	}
	made, err := m.image(i)
	if err != nil {
		return nil, "", err
	}
	if strings.Contains(at, "/manifests/") {
		body, err = made.RawManifest()
		return body, string(types.DockerManifestSchema2), err
	}
	body, err = made.RawConfigFile()
	return body, "application/octet-stream", err
}

func (m *manyImages) observe(ctx context.Context, e *system, i int, priority workflows.Priority) error {
	return e.Starter.Images.Observe(ctx, m.digests[i], workflows.Observe{
		Names:    []model.Name{{Repository: m.Listener.Addr().String() + "/bench/many", Tag: strconv.Itoa(i)}},
		Priority: priority, Namespace: fmt.Sprintf("cluster/namespace-%d", i%20), Domain: workflows.DefaultDomain,
		Reference: workflows.Reference{Kind: workflows.ReferencePerson, ID: "bench", Until: time.Now().Add(24 * time.Hour)},
	})
}

func (b *system) observeMany(t *testing.B, many *manyImages, number int) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(observers)
	for i := range number {
		group.Go(func() error { return many.observe(t.Context(), b, i, workflows.PriorityImage) })
	}
	require.NoError(t, group.Wait())
}

// awaitBacklog waits until no image is on its way to the backlog any more, and returns how many are in it.
func (b *system) awaitBacklog(t *testing.B, number int) int64 {
	t.Helper()
	var waiting int64
	logged := time.Now()
	rig.Eventually(t, waitingBound, "all images to wait", func() bool {
		time.Sleep(2 * time.Second)
		waiting = b.backlog(t, workflows.PullQueue(workflows.DefaultDomain), enumspb.TASK_QUEUE_TYPE_ACTIVITY)
		before := b.backlog(t, workflows.HubQueue(b.Hubs[0].Name), enumspb.TASK_QUEUE_TYPE_ACTIVITY) +
			b.backlog(t, workflows.TaskQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
		s, err := b.Hubs[0].Stats(t.Context())
		require.NoError(t, err)
		if time.Since(logged) > 30*time.Second {
			logged = time.Now()
			t.Logf("%d wait, %d on their way, %d scanned", waiting, before, s.ScansSucceeded)
		}
		// Those in a workspace and at the hub are in no queue.
		return before == 0 && waiting+int64(s.UploadsStarted)+3*waitingLimit >= int64(number)
	})
	return waiting
}

func (b *system) backlog(t *testing.B, queue string, kind enumspb.TaskQueueType) int64 {
	t.Helper()
	described, err := b.Client.WorkflowService().DescribeTaskQueue(t.Context(), &workflowservice.DescribeTaskQueueRequest{
		Namespace: client.DefaultNamespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue}, TaskQueueType: kind, ReportStats: true,
	})
	require.NoError(t, err)
	return described.GetStats().GetApproximateBacklogCount()
}

// reportNoticed tells how long the ends of scans went unnoticed until now.
func (b *system) reportNoticed(t *testing.B) {
	t.Helper()
	var unnoticed []time.Duration
	for _, lease := range b.Leases(t) {
		digest, err := workflows.DigestOf(lease.Holder)
		require.NoError(t, err)
		scan, noticed := b.HubScanOf(t, digest)
		unnoticed = append(unnoticed, noticed.Sub(scan.UpdatedAt))
	}
	t.ReportMetric(float64(len(unnoticed)), "scanned_meanwhile")
	t.ReportMetric(rig.Percentile(unnoticed, 0.5).Seconds(), "s_noticed_p50")
	t.ReportMetric(rig.Percentile(unnoticed, 0.99).Seconds(), "s_noticed_p99")
}

// reportUrgent asks for one image more as a person does, and tells what went before it.
func (b *system) reportUrgent(t *testing.B, many *manyImages, i int) {
	t.Helper()
	urgent := many.digests[i]
	began := time.Now()
	require.NoError(t, many.observe(t.Context(), b, i, workflows.PriorityInteractive))
	b.AwaitVerdict(t, urgent, 10*time.Minute)
	t.ReportMetric(time.Since(began).Seconds(), "s_urgent")
	turn := b.Steps(t, urgent)["PullImage"]
	var asked time.Time
	others := map[string]time.Time{}
	for _, event := range b.Events(t, workflows.HubPoolID) {
		if got := event.GetWorkflowExecutionSignaledEventAttributes(); got.GetSignalName() == workflows.SignalAcquire.Name {
			a := rig.Payload[workflows.Acquire](t, got.GetInput())
			at := event.GetEventTime().AsTime()
			if a.Digest == urgent && asked.IsZero() {
				asked = at
			} else if _, known := others[a.Holder]; !known {
				others[a.Holder] = at
			}
		}
	}
	pulls, leases := 0, 0
	for holder := range others {
		digest, err := workflows.DigestOf(holder)
		require.NoError(t, err)
		if started := b.Steps(t, digest)["PullImage"].Started; started.After(turn.Scheduled) && started.Before(turn.Started) {
			pulls++
		}
	}
	granted := b.Grants(t)
	own := slices.IndexFunc(granted, func(h rig.HeldLease) bool { return h.Holder == workflows.ScanImageID(urgent) })
	require.GreaterOrEqual(t, own, 0, "no lease of the urgent image")
	for _, lease := range granted[:own] {
		if lease.Granted.After(asked) {
			leases++
		}
	}
	t.ReportMetric(float64(pulls), "pulls_before_urgent")
	t.ReportMetric(float64(leases), "leases_before_urgent")
	if pulls > 0 || leases > 0 {
		t.Errorf("%d pulls and %d leases went before the urgent image, none wanted", pulls, leases)
	}
}
