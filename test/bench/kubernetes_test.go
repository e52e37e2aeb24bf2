//go:build bench

package bench_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/perceptor/perceptor/internal/perceiver/kubernetes"
	"github.com/perceptor/perceptor/internal/rig"
)

const (
	// eventRate is how many pods come in a second, eventPods how many in all (BENCH_EVENTS of them), over eventNamespaces.
	eventRate       = 20
	eventPods       = 600
	eventNamespaces = 20
)

// BenchmarkEventToVerdict has pods come at 20 a second through a real API server of Kubernetes, each running images that are
// known, and reports how long after a pod was made its verdict stands on it.
func BenchmarkEventToVerdict(b *testing.B) {
	w := rig.StartKubernetesSystem(b, 9)
	number := eventPods
	if text := os.Getenv("BENCH_EVENTS"); text != "" {
		var err error
		number, err = strconv.Atoi(text)
		require.NoError(b, err, "BENCH_EVENTS")
	}
	known, coming := rig.PlanPods(w.Images, 36, eventNamespaces), rig.PlanPods(w.Images, number+36, eventNamespaces)[36:]
	w.AddNamespaces(known, coming)
	require.NoError(b, w.AddPods(b.Context(), known, 0))
	w.StartPart("worker")
	w.StartPart("perceiver")
	marks := watchMarks(b, w.Kube.Kubeconfig)
	rig.Eventually(b, 5*time.Minute, "the verdicts on the first pods", func() bool { return marks.count() == len(known) })
	for b.Loop() {
		marks.measure(b, w, coming)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(w.Part("perceiver").Memory(b, "VmRSS"))/mib, "MiB_perceiver")
}

// measure has pods come and reports the times until their verdicts stood on them.
func (m *markTimes) measure(b *testing.B, w *rig.KubernetesSystem, coming []rig.PlannedPod) {
	b.Helper()
	var lock sync.Mutex
	made := map[string]time.Time{}
	var all sync.WaitGroup
	tick := time.NewTicker(time.Second / eventRate)
	defer tick.Stop()
	began := time.Now()
	for _, p := range coming {
		<-tick.C
		all.Go(func() {
			p.Later = false
			_, err := w.Kube.AddPod(b.Context(), p.Pod)
			if err != nil {
				b.Errorf("add pod %s: %v", p.Key(), err)
			}
			lock.Lock()
			defer lock.Unlock()
			made[p.Key()] = time.Now()
		})
	}
	all.Wait()
	b.ReportMetric(float64(len(coming))/time.Since(began).Seconds(), "events/s")
	rig.Eventually(b, time.Minute, "the verdicts on all pods", func() bool { return m.have(coming) })
	var took []time.Duration
	for _, p := range coming {
		took = append(took, m.at(p.Key()).Sub(made[p.Key()]))
	}
	slices.Sort(took)
	b.ReportMetric(rig.Percentile(took, 0.5).Seconds(), "s_p50")
	b.ReportMetric(rig.Percentile(took, 0.99).Seconds(), "s_p99")
}

// markTimes notes when each pod was first seen with its verdict.
type markTimes struct {
	lock  sync.Mutex
	times map[string]time.Time
}

func watchMarks(b *testing.B, kubeconfig string) *markTimes {
	b.Helper()
	client, err := kubernetes.Connect(kubernetes.Connection{Kubeconfig: kubeconfig, UserAgent: "bench"})
	require.NoError(b, err)
	m := &markTimes{times: map[string]time.Time{}}
	source := cache.ToListerWatcherWithContext(client.ListWatch("pods", ""))
	list, err := source.ListWithContext(b.Context(), metav1.ListOptions{})
	require.NoError(b, err)
	pods, ok := list.(*corev1.PodList)
	require.True(b, ok)
	for _, pod := range pods.Items {
		m.note(&pod)
	}
	events, err := source.WatchWithContext(b.Context(), metav1.ListOptions{ResourceVersion: pods.ResourceVersion})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	b.Cleanup(func() { cancel(); events.Stop() })
	go m.follow(ctx, events)
	return m
}

func (m *markTimes) follow(ctx context.Context, events apiwatch.Interface) {
	for {
		select {
		case <-ctx.Done():
			return
		case event, open := <-events.ResultChan():
			if !open {
				return
			}
			if pod, ok := event.Object.(*corev1.Pod); ok {
				m.note(pod)
			}
		}
	}
}

func (m *markTimes) note(pod *corev1.Pod) {
	key := fmt.Sprintf("%s/%s", pod.Namespace, pod.Name)
	m.lock.Lock()
	defer m.lock.Unlock()
	if _, seen := m.times[key]; !seen && pod.Labels["pod.overall-status"] != "" {
		m.times[key] = time.Now()
	}
}

func (m *markTimes) at(key string) time.Time {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.times[key]
}

func (m *markTimes) count() int {
	m.lock.Lock()
	defer m.lock.Unlock()
	return len(m.times)
}

func (m *markTimes) have(pods []rig.PlannedPod) bool {
	return !slices.ContainsFunc(pods, func(p rig.PlannedPod) bool { return m.at(p.Key()).IsZero() })
}
