//go:build e2e || bench

package main_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// size is how large a story is.
type size struct {
	pods, namespaces, images int
	// doomed pods are deleted on the way, some with their namespaces.
	doomed, doomedNamespaces int
	// rounds is how often each of Perceptor's processes is killed.
	rounds int
	// pause is the time between two new pods, down how long a killed process stays away, within how long it may take until all is
	// well again after the last kill.
	pause, down, within time.Duration
}

// tell runs pods in a cluster while Perceptor's processes are killed and pods and namespaces deleted, and waits until the join, the
// pods' labels and annotations, and the hub agree.
func (w *world) tell(s size) report {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	stay := plan(w.images, s.pods, s.namespaces)
	doomed := planDoomed(w.images, s.doomed, s.namespaces, s.doomedNamespaces)
	require.Subset(w.t, digestsOf(stay), digestsOf(doomed), "what only deleted pods run may be scanned or not")
	w.addNamespaces(stay, doomed)
	require.NoError(w.t, w.addPods(ctx, doomed, 0))
	for _, part := range slices.Backward(parts) {
		w.start(part)
	}
	var coming errgroup.Group
	coming.Go(func() error { return w.addPods(ctx, stay, s.pause) })
	w.storm(ctx, s, doomed)
	require.NoError(w.t, coming.Wait())
	r := w.settle(ctx, s.within)
	w.t.Logf("hub: %+v", w.stats(w.t))
	return r
}

// storm kills the processes in turn. While the perceiver is dead, some of the doomed pods and one of the doomed namespaces go.
func (w *world) storm(ctx context.Context, s size, doomed []planned) {
	var single []planned
	var whole []string
	for _, p := range doomed {
		switch {
		case !strings.HasPrefix(p.Namespace, "doomed-"):
			single = append(single, p)
		case !slices.Contains(whole, p.Namespace):
			whole = append(whole, p.Namespace)
		}
	}
	rounds := max(1, s.rounds)
	for i := range rounds {
		for _, part := range parts {
			w.t.Logf("round %d: kill -9 of the %s", i+1, part)
			w.kill(part)
			if part == parts[0] {
				w.deletePods(ctx, single[i*len(single)/rounds:(i+1)*len(single)/rounds])
				for _, namespace := range whole[i*len(whole)/rounds : (i+1)*len(whole)/rounds] {
					w.deleteNamespace(ctx, namespace)
				}
			}
			time.Sleep(s.down)
			w.start(part)
			time.Sleep(s.down)
		}
	}
}

// settle checks until all is well; what is wrong at the end fails the test.
func (w *world) settle(ctx context.Context, within time.Duration) report {
	var last report
	var err error
	began, told := time.Now(), time.Now()
	for time.Since(began) < within {
		last, err = w.check(ctx)
		if err == nil && last.faults == 0 && last.joined == w.pods() {
			w.t.Logf("all is well %s after the last kill", time.Since(began).Round(time.Second))
			return last
		}
		if time.Since(told) > 20*time.Second {
			told = time.Now()
			w.t.Logf("%d of %d joined, %d faults, such as %q %v", last.joined, w.pods(), last.faults, last.wrong[:min(2, len(last.wrong))], err)
		}
		time.Sleep(time.Second)
	}
	require.NoError(w.t, err, "see %s", w.logs)
	require.Fail(w.t, "time is up", "%d of %d pods joined after %s, %d faults; see %s:\n%s",
		last.joined, w.pods(), within, last.faults, w.logs, strings.Join(last.wrong, "\n"))
	return last
}

// pods is how many the cluster has.
func (w *world) pods() int {
	w.lock.Lock()
	defer w.lock.Unlock()
	return len(w.alive)
}

// line is how a story ended.
func (r report) line() string {
	return fmt.Sprintf("kubernetes e2e: %d pods joined, %d images, %d scans, %d stale", r.joined, r.images, r.scans, r.stale)
}

// agreed requires that every pod is joined and every image scanned exactly once.
func (r report) agreed(t testing.TB, pods int) {
	t.Helper()
	require.Equal(t, fmt.Sprintf("kubernetes e2e: %d pods joined, %d images, %d scans, 0 stale", pods, r.images, r.images), r.line())
}
