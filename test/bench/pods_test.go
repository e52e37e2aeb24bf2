//go:build bench

package bench_test

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// The cluster of the benchmark: each pod runs one of the images and, as all others do, a proxy beside it. BENCH_PODS sets the
// number of pods; there are fifty in a namespace and ten of each image, and half as many come together in one namespace.
const (
	benchPods     = 10_000
	benchPodsEach = 50
	benchPodsOf   = 10
	benchCrowdOf  = 5
)

// joinBound is how long a join may take on a very busy machine before something is wrong.
const joinBound = 20 * time.Minute

// BenchmarkPods measures the join with the wiring of a real worker, a registry over loopback, and a scan client and a hub that
// answer at once. First comes a snapshot of 10,000 pods over 200 namespaces, of 1,000 new images; then the same
// again, which may start no scan and write to no pod; then 5,000 pods of one namespace, whose images are known. ops are the
// calls of this process to Temporal that are no polls.
func BenchmarkPods(b *testing.B) {
	d := startDev(b)
	pods := podsWanted(b)
	many := startManyImages(b, pods/benchPodsOf)
	var ops operations
	w := &podsBench{quickScans: startQuickScans(b, d, ops.count()), many: many, ops: &ops}
	d.Client, d.Starter = w.client, w.starter
	w.written = d.StartPerceiver(b, "c")
	first := w.cluster(pods)
	crowd := w.crowd(pods / 2)
	for b.Loop() {
		w.snapshot(b, "first", first, len(first))
		require.Len(b, w.hub.scans, len(many.digests), "one scan for each image")
		w.pages(b, len(first))
		w.unchanged(b, first)
		w.snapshot(b, "crowd", append(slices.Clone(first), crowd...), len(crowd))
		require.Len(b, w.hub.scans, len(many.digests))
	}
	b.ReportMetric(0, "ns/op")
}

func podsWanted(b *testing.B) int {
	b.Helper()
	text := os.Getenv("BENCH_PODS")
	if text == "" {
		return benchPods
	}
	number, err := strconv.Atoi(text)
	require.NoError(b, err, "BENCH_PODS")
	require.GreaterOrEqual(b, number, 20*benchPodsEach, "BENCH_PODS")
	return number / (2 * benchPodsEach) * 2 * benchPodsEach
}

// podsBench is a worker whose edges answer at once, and a perceiver.
type podsBench struct {
	*quickScans
	many    *manyImages
	ops     *operations
	written *rig.Labels
	reports int64
}

func (w *podsBench) pod(namespace string, number, runs int) model.Pod {
	repository := w.many.Listener.Addr().String() + "/bench/many"
	container := func(name string, i int) model.Container {
		return model.Container{Name: name, Reference: fmt.Sprintf("%s:%d", repository, i), Digest: w.many.digests[i]}
	}
	return model.Pod{
		UID: fmt.Sprintf("%s-%08d-4f6c-11f1-9cc0-0242ac120002", namespace, number), Namespace: namespace, Name: fmt.Sprintf("deployment-%d-7f9c6b5d4-%05d", runs, number),
		Platform: model.Platform{OS: "linux", Architecture: "amd64"}, Containers: []model.Container{container("app", runs), container("proxy", 0)},
	}
}

// cluster are the pods of the first snapshot: ten of each image, in different namespaces.
func (w *podsBench) cluster(number int) []model.Pod {
	namespaces, images := number/benchPodsEach, len(w.many.digests)
	var pods []model.Pod
	for i := range number {
		pods = append(pods, w.pod(fmt.Sprintf("namespace-%03d", i%namespaces), i, (i+i/images)%images))
	}
	return pods
}

// crowd are the pods of one large namespace.
func (w *podsBench) crowd(number int) []model.Pod {
	var pods []model.Pod
	for i := range number {
		pods = append(pods, w.pod("crowd", i, i/benchCrowdOf))
	}
	return pods
}

func (w *podsBench) report(b *testing.B, pods []model.Pod) {
	b.Helper()
	w.reports++
	require.NoError(b, w.starter.Pods.Report(b.Context(), model.PodReport{
		Cluster: "c", WriteBack: true, Snapshot: true, Version: model.Version{Epoch: 1, Counter: w.reports}, Pods: pods,
	}))
}

// snapshot reports pods of which so many are new, and waits until each has its verdict.
func (w *podsBench) snapshot(b *testing.B, what string, pods []model.Pod, added int) {
	b.Helper()
	began, before, writes := time.Now(), w.ops.made.Load(), w.written.WrittenPods()
	w.report(b, pods)
	b.ReportMetric(time.Since(began).Seconds(), what+"_reported_s")
	rig.Eventually(b, joinBound, "the verdicts on pods of the "+what, func() bool { return w.written.WrittenPods() == writes+added })
	b.ReportMetric(time.Since(began).Seconds(), what+"_s")
	b.ReportMetric(float64(w.ops.made.Load()-before), what+"_ops")
	for _, row := range w.read(b, 5000) {
		require.Equal(b, model.StatusComplete, row.Status)
	}
}

// unchanged reports what is known already. Time enough passes for whatever that would start.
func (w *podsBench) unchanged(b *testing.B, pods []model.Pod) {
	b.Helper()
	w.settle(b)
	before, writes, scans := w.ops.made.Load(), w.written.Writes(), len(w.hub.scans)
	began := time.Now()
	w.report(b, pods)
	b.ReportMetric(time.Since(began).Seconds(), "same_reported_s")
	w.settle(b)
	b.ReportMetric(float64(w.ops.made.Load()-before), "same_ops")
	require.Equal(b, writes, w.written.Writes(), "pods written to without need")
	require.Len(b, w.hub.scans, scans, "scans without need")
}

// settle waits until this process has said nothing to the server for a while.
func (w *podsBench) settle(b *testing.B) {
	b.Helper()
	const quiet = 3 * time.Second
	last, since := w.ops.made.Load(), time.Now()
	rig.Eventually(b, joinBound, "silence", func() bool {
		if now := w.ops.made.Load(); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > quiet
	})
}

// read reads the whole join.
func (w *podsBench) read(b *testing.B, limit int) []model.PodVerdict {
	b.Helper()
	var rows []model.PodVerdict
	filter := starter.JoinFilter{Cluster: "c", Limit: limit}
	for {
		page, err := w.starter.Pods.Join(b.Context(), filter)
		require.NoError(b, err)
		rows = append(rows, page.Rows...)
		if filter.After = page.Next; filter.After == "" {
			return rows
		}
	}
}

// pages measures how long a page of 100 rows and the whole join take to read.
func (w *podsBench) pages(b *testing.B, number int) {
	b.Helper()
	var took []time.Duration
	filter := starter.JoinFilter{Cluster: "c", Limit: 100}
	for {
		began := time.Now()
		page, err := w.starter.Pods.Join(b.Context(), filter)
		require.NoError(b, err)
		took = append(took, time.Since(began))
		if filter.After = page.Next; filter.After == "" {
			break
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Milliseconds()), "page_p99_ms")
	began := time.Now()
	require.Len(b, w.read(b, 5000), number)
	b.ReportMetric(time.Since(began).Seconds(), "all_rows_s")
	view, err := w.starter.Clusters.View(b.Context(), "c")
	require.NoError(b, err)
	require.Len(b, view.Namespaces, number/benchPodsEach)
	var images float64
	for i := range 20 {
		images += w.length(b, workflows.ImageID(w.many.digests[i*len(w.many.digests)/20]), "").events
	}
	b.ReportMetric(w.length(b, workflows.InventoryID("c", "namespace-000"), "").events, "events_Inventory")
	b.ReportMetric(images/20, "events_Image")
}

// operations counts the calls to Temporal that are no polls.
type operations struct{ made atomic.Int64 }

func (o *operations) count() grpc.DialOption {
	return grpc.WithChainUnaryInterceptor(func(
		ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
	) error {
		switch name := path.Base(method); {
		case strings.HasPrefix(name, "Poll"), name == "RecordWorkerHeartbeat", name == "GetSystemInfo", name == "ShutdownWorker":
		default:
			o.made.Add(1)
		}
		return invoke(ctx, method, request, reply, conn, options...)
	})
}
