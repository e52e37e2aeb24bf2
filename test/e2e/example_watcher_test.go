//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/internal/perceiver/conformance"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
)

// TestWatcherExampleConforms builds the watcher of examples/ as its reader would, and runs the behaviours that every perceiver has,
// through the SDK against perceptor-dev. Each behaviour has a cluster of its own.
func TestWatcherExampleConforms(t *testing.T) {
	program := filepath.Join(t.TempDir(), "watcher")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./watcher")
	build.Dir = "../../examples"
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)
	d := startDev(t)
	d.StartWorker(t, 1)
	number := 0
	conformance.RunIn(t, func(t *testing.T) (conformance.Platform, conformance.Known) {
		number++
		known := &joined{test: t, starter: d.Starter, cluster: fmt.Sprintf("watched-%d", number), way: newWay(t, d.Temporal)}
		return &watched{newListed(t), program, known}, known
	})
}

// watched is a platform that the watcher watches.
type watched struct {
	*listed
	program string
	known   *joined
}

// Watch runs the watcher. It reports to Temporal.
func (w *watched) Watch(ctx context.Context, _ perceiver.Reporter) error {
	command := exec.CommandContext(ctx, w.program, append([]string{"--cluster", w.known.cluster, "--every", "200ms"}, w.command()...)...)
	command.Env = append(os.Environ(), "TEMPORAL_ADDRESS="+w.known.way.address())
	command.Stderr = &w.said
	return runGroup(ctx, command)
}

// joined is what Perceptor knows of a cluster.
type joined struct {
	test    *testing.T
	starter *starter.Starter
	cluster string
	// way leads the watcher to Temporal.
	way *way

	snapshot model.Version
	count    int
}

// Pods are the pods of all rows.
func (j *joined) Pods() []model.Pod {
	var all []model.Pod
	for after := ""; ; {
		page, err := j.starter.Pods.Join(j.test.Context(), starter.JoinFilter{Cluster: j.cluster, After: after})
		if errors.Is(err, starter.ErrUnknownCluster) {
			return nil
		}
		require.NoError(j.test, err)
		for _, row := range page.Rows {
			pod := model.Pod{UID: row.UID, Namespace: row.Namespace, Name: row.Name}
			for _, c := range row.Containers {
				pod.Containers = append(pod.Containers, model.Container{Name: c.Name, Reference: c.Reference})
			}
			all = append(all, pod)
		}
		if after = page.Next; after == "" {
			return all
		}
	}
}

// Snapshots counts the versions of the last snapshot that were seen.
func (j *joined) Snapshots() int {
	view, err := j.starter.Clusters.View(j.test.Context(), j.cluster)
	if err == nil && view.Snapshot != j.snapshot {
		j.snapshot = view.Snapshot
		j.count++
	}
	return j.count
}

// SetAway cuts the way to Temporal.
func (j *joined) SetAway(away bool) { j.way.set(away) }

// Wrong is nothing: the SDK refuses what is wrong, and then the pods differ.
func (j *joined) Wrong() []string { return nil }

// way leads to an address, and can be cut.
type way struct {
	listener net.Listener
	to       string

	lock  sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

func newWay(t *testing.T, to string) *way {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &way{listener: listener, to: to, conns: map[net.Conn]bool{}}
	go w.serve()
	t.Cleanup(func() {
		_ = listener.Close()
		w.set(true)
	})
	return w
}

func (w *way) address() string { return w.listener.Addr().String() }

// set cuts the way and all connections, or opens it again.
func (w *way) set(cut bool) {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.cut = cut; cut {
		for c := range w.conns {
			_ = c.Close()
		}
		clear(w.conns)
	}
}

func (w *way) serve() {
	for {
		from, err := w.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", w.to)
		if err != nil || !w.keep(from, to) {
			_ = from.Close()
			continue
		}
		for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
			go func() {
				_, _ = io.Copy(pair[0], pair[1])
				_, _ = pair[0].Close(), pair[1].Close()
			}()
		}
	}
}

// keep remembers the two ends of a connection; false where the way is cut.
func (w *way) keep(from, to net.Conn) bool {
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.cut {
		_ = to.Close()
		return false
	}
	w.conns[from], w.conns[to] = true, true
	return true
}

var _ conformance.Known = (*joined)(nil)
