//go:build e2e || bench

package main_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/perceptor/perceptor/cmd/internal/devdir"
	"github.com/perceptor/perceptor/internal/kubetest"
)

// clusterName is what Perceptor calls the cluster of these tests.
const clusterName = "east"

// world is a cluster, the servers Perceptor needs, and Perceptor's own processes, each of which can be killed.
type world struct {
	*dev
	t testing.TB
	// kube is a real API server of Kubernetes.
	kube *kubetest.Cluster
	// logs holds what the processes said; it is kept when the test fails.
	logs string
	// kubeconfig is that of the perceiver's service account, which may do what deploy/kubernetes says.
	kubeconfig string
	// api is where Perceptor's API listens, tokens the file of its tokens, and reader the token of a reader.
	api, tokens, reader string
	images              []stored

	lock    sync.Mutex
	running map[string]*process
	// alive are the pods that the cluster has.
	alive map[string]planned
}

// parts are Perceptor's processes, in the order in which they are killed.
var parts = []string{"perceiver", "api", "worker"}

// startWorld starts everything but Perceptor's own processes.
func startWorld(t testing.TB, images int) *world {
	t.Helper()
	w := &world{t: t, running: map[string]*process{}, alive: map[string]planned{}}
	var err error
	w.logs, err = os.MkdirTemp("", "perceptor-kubernetes-")
	require.NoError(t, err)
	t.Logf("logs in %s", w.logs)
	t.Cleanup(func() {
		if !t.Failed() {
			_ = os.RemoveAll(w.logs)
		}
	})
	w.dev = startDev(t)
	w.kube = kubetest.Start(t)
	w.images = storeImages(t, w.Registry, images)
	for _, node := range nodes {
		require.NoError(t, w.kube.AddNode(t.Context(), node))
	}
	w.api = w.writeTokens(t)
	w.admitPerceiver(t)
	t.Cleanup(w.stop)
	return w
}

// admitPerceiver gives the perceiver the rights that the manifests give it.
func (w *world) admitPerceiver(t testing.TB) {
	t.Helper()
	for _, file := range []string{"00-namespace.yaml", "40-perceiver.yaml"} {
		objects, err := kubetest.ReadManifests(filepath.Join("../../deploy/kubernetes", file))
		require.NoError(t, err)
		for _, object := range objects {
			require.NoError(t, w.kube.Apply(t.Context(), object))
		}
	}
	var err error
	w.kubeconfig, err = w.kube.KubeconfigOf(t.Context(), "perceptor", "perceiver")
	require.NoError(t, err)
}

// writeTokens writes the API's tokens and gives the address it will listen at.
func (w *world) writeTokens(t testing.TB) string {
	t.Helper()
	w.reader = rand.Text()
	text := fmt.Sprintf("tokens:\n- {name: checker, scope: reader, cluster: %s, token: %s}\n", clusterName, w.reader)
	w.tokens = filepath.Join(t.TempDir(), "tokens.yaml")
	require.NoError(t, os.WriteFile(w.tokens, []byte(text), 0o600))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

// arguments are the words a process is started with.
func (w *world) arguments(part string) []string {
	switch part {
	case "worker":
		return []string{"worker", "--dev", w.directory, "--directory", w.scannerDirectory(0), "--drain", "1s"}
	case "api":
		return []string{"api", "--dev", w.directory, "--address", w.api, "--token-file", w.tokens}
	default:
		return []string{"perceiver", "kubernetes", "--dev", w.directory, "--kubeconfig", w.kubeconfig, "--cluster", clusterName}
	}
}

// start starts one of Perceptor's processes; its output is added to that of its forerunners.
func (w *world) start(part string) {
	path, err := filepath.Abs(filepath.Join(bin, "perceptor"))
	require.NoError(w.t, err)
	output, err := os.OpenFile(filepath.Join(w.logs, part+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(w.t, err)
	defer func() { _ = output.Close() }() // the process has its own
	p := &process{Cmd: exec.Command(path, w.arguments(part)...), ended: make(chan error, 1)}
	p.Env = append(os.Environ(), "TEMPORAL_ADDRESS="+w.Temporal)
	p.Stdout, p.Stderr = output, output
	require.NoError(w.t, p.Start())
	go func() { p.ended <- p.Wait() }()
	w.lock.Lock()
	defer w.lock.Unlock()
	w.running[part] = p
}

// kill ends one of Perceptor's processes as a power cut would.
func (w *world) kill(part string) {
	w.lock.Lock()
	p := w.running[part]
	delete(w.running, part)
	w.lock.Unlock()
	select {
	case err := <-p.ended:
		require.Fail(w.t, "ended by itself", "%s: %v; see %s", part, err, w.logs)
	default:
	}
	require.NoError(w.t, p.Process.Kill())
	<-p.ended
}

// stop ends Perceptor's processes in good order, or at last in another.
func (w *world) stop() {
	w.lock.Lock()
	defer w.lock.Unlock()
	var all sync.WaitGroup
	for _, p := range w.running {
		all.Go(func() {
			p.signal(syscall.SIGTERM)
			select {
			case <-p.ended:
			case <-time.After(30 * time.Second):
				p.signal(syscall.SIGKILL)
				<-p.ended
			}
		})
	}
	all.Wait()
	clear(w.running)
}

// addNamespaces makes the namespaces of pods.
func (w *world) addNamespaces(pods ...[]planned) {
	made := map[string]bool{}
	for _, list := range pods {
		for _, p := range list {
			if !made[p.Namespace] {
				require.NoError(w.t, w.kube.AddNamespace(w.t.Context(), p.Namespace, nil))
			}
			made[p.Namespace] = true
		}
	}
}

// addPods makes pods, one after the other with a pause between.
func (w *world) addPods(ctx context.Context, pods []planned, pause time.Duration) error {
	var group errgroup.Group
	group.SetLimit(8)
	for _, p := range pods {
		group.Go(func() error { return w.addPod(ctx, p) })
		time.Sleep(pause)
	}
	return group.Wait()
}

// addPod makes a pod; where its containers come later it is seen without them first.
func (w *world) addPod(ctx context.Context, p planned) error {
	first := p.Pod
	if p.later {
		first = p.waiting()
	}
	if _, err := w.kube.AddPod(ctx, first); err != nil {
		return fmt.Errorf("add pod %s: %w", p.key(), err)
	}
	if p.later {
		time.Sleep(2 * time.Second)
		if err := w.kube.SetStatus(ctx, p.Pod); err != nil {
			return fmt.Errorf("start containers of %s: %w", p.key(), err)
		}
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	w.alive[p.key()] = p
	return nil
}

// deletePods deletes pods one by one.
func (w *world) deletePods(ctx context.Context, pods []planned) {
	for _, p := range pods {
		require.NoError(w.t, w.kube.DeletePod(ctx, p.Namespace, p.Name))
		w.forget(p)
	}
}

// deleteNamespace deletes a namespace with all that is in it.
func (w *world) deleteNamespace(ctx context.Context, name string) {
	require.NoError(w.t, w.kube.DeleteNamespace(ctx, name))
	w.lock.Lock()
	defer w.lock.Unlock()
	for key, p := range w.alive {
		if p.Namespace == name {
			delete(w.alive, key)
		}
	}
}

func (w *world) forget(p planned) {
	w.lock.Lock()
	defer w.lock.Unlock()
	delete(w.alive, p.key())
}

// emptyTemporal stops everything, takes away all that Temporal knows, and starts perceptor-dev again at the same addresses. The hub, the
// registry and the cluster stay as they are.
func (w *world) emptyTemporal() {
	t := w.t
	w.stop()
	addresses := w.Addresses
	w.signal(syscall.SIGINT)
	<-w.ended
	w.ended <- nil
	known, err := filepath.Glob(filepath.Join(w.directory, "temporal.db*"))
	require.NoError(t, err)
	require.NotEmpty(t, known)
	for _, file := range known {
		require.NoError(t, os.Remove(file))
	}
	w.dev = &dev{directory: w.directory}
	w.process = start(t, "perceptor-dev", nil, "--data", w.directory, "--no-samples", "--no-workers",
		"--temporal", addresses.Temporal, "--ui", addresses.UI, "--hub", addresses.Hub, "--registry", addresses.Registry)
	eventually(t, 2*time.Minute, "perceptor-dev to be ready again", func() bool {
		now, err := devdir.Read(w.directory)
		w.Addresses = now
		return err == nil
	})
	require.Equal(t, addresses.Hub, w.Hub)
	w.trustHub(t)
}
