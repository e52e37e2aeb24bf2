package rig

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
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

	"github.com/perceptor/perceptor/internal/kubetest"
)

// ClusterName is what Perceptor calls the cluster of these tests.
const ClusterName = "east"

// KubernetesSystem is a cluster, the servers that Perceptor needs, and Perceptor's own processes, each of which can be killed.
type KubernetesSystem struct {
	*Dev
	T testing.TB
	// Kube is a real API server of Kubernetes.
	Kube *kubetest.Cluster
	// Logs holds the output of the processes; it is kept when the test fails.
	Logs string
	// kubeconfig is that of the perceiver's service account, which may do what deploy/kubernetes says.
	kubeconfig string
	// APIAddress is where Perceptor's API listens, tokens the file of its tokens, and ReaderToken the token of a reader.
	APIAddress, tokens, ReaderToken string
	Images                          []StoredImage

	lock    sync.Mutex
	running map[string]*Program
	// alive are the pods that the cluster has.
	alive map[string]PlannedPod
}

// Parts are Perceptor's processes, in the order in which they are killed.
var Parts = []string{"perceiver", "api", "worker"}

// StartKubernetesSystem starts everything but Perceptor's own processes.
func StartKubernetesSystem(t testing.TB, images int) *KubernetesSystem {
	t.Helper()
	Needs(t, "etcd", "etcd-server")
	w := &KubernetesSystem{T: t, running: map[string]*Program{}, alive: map[string]PlannedPod{}}
	var err error
	w.Logs, err = os.MkdirTemp("", "perceptor-kubernetes-")
	require.NoError(t, err)
	t.Logf("logs in %s", w.Logs)
	t.Cleanup(func() {
		if !t.Failed() {
			_ = os.RemoveAll(w.Logs)
		}
	})
	w.Dev = StartDev(t)
	w.LoadComplete(t)
	w.Kube = kubetest.Start(t)
	w.Images = storeImages(t, w.Registry, images)
	for _, node := range Nodes {
		require.NoError(t, w.Kube.AddNode(t.Context(), node))
	}
	w.APIAddress = w.writeTokens(t)
	w.admitPerceiver(t)
	t.Cleanup(w.stop)
	return w
}

// admitPerceiver gives the perceiver the rights that the manifests give it.
func (w *KubernetesSystem) admitPerceiver(t testing.TB) {
	t.Helper()
	for _, file := range []string{"00-namespace.yaml", "40-perceiver.yaml"} {
		objects, err := kubetest.ReadManifests(filepath.Join(Root(t), "deploy/kubernetes", file))
		require.NoError(t, err)
		for _, object := range objects {
			require.NoError(t, w.Kube.Apply(t.Context(), object))
		}
	}
	var err error
	w.kubeconfig, err = w.Kube.KubeconfigOf(t.Context(), "perceptor", "perceiver")
	require.NoError(t, err)
}

// writeTokens writes the API's tokens and gives the address it will listen at.
func (w *KubernetesSystem) writeTokens(t testing.TB) string {
	t.Helper()
	w.ReaderToken = rand.Text()
	text := fmt.Sprintf("tokens:\n- {name: checker, scope: reader, cluster: %s, token: %s}\n", ClusterName, w.ReaderToken)
	w.tokens = filepath.Join(t.TempDir(), "tokens.yaml")
	require.NoError(t, os.WriteFile(w.tokens, []byte(text), 0o600))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

// arguments are the words a process is started with.
func (w *KubernetesSystem) arguments(part string) []string {
	switch part {
	case "worker":
		return []string{"worker", "--dev", w.Directory, "--directory", w.ScannerDirectory(0), "--drain", "1s"}
	case "api":
		return []string{"api", "--dev", w.Directory, "--address", w.APIAddress, "--token-file", w.tokens}
	default:
		return []string{"perceiver", "kubernetes", "--dev", w.Directory, "--kubeconfig", w.kubeconfig, "--cluster", ClusterName}
	}
}

// StartPart starts one of Perceptor's processes. Its output is added to that of its earlier runs.
func (w *KubernetesSystem) StartPart(part string) {
	path := Built(w.T, "perceptor")
	output, err := os.OpenFile(filepath.Join(w.Logs, part+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(w.T, err)
	defer func() { _ = output.Close() }() // the process has its own
	p := &Program{Cmd: exec.Command(path, w.arguments(part)...), Ended: make(chan error, 1)}
	p.Env = append(onLoopback(), "TEMPORAL_ADDRESS="+w.Temporal)
	p.Stdout, p.Stderr = output, output
	require.NoError(w.T, p.Start())
	go func() { p.Ended <- p.Wait() }()
	w.lock.Lock()
	defer w.lock.Unlock()
	w.running[part] = p
}

// KillPart ends one of Perceptor's processes with SIGKILL, as a power failure would.
func (w *KubernetesSystem) KillPart(part string) {
	w.lock.Lock()
	p := w.running[part]
	delete(w.running, part)
	w.lock.Unlock()
	select {
	case err := <-p.Ended:
		require.Fail(w.T, "ended by itself", "%s: %v; see %s", part, err, w.Logs)
	default:
	}
	require.NoError(w.T, p.Process.Kill())
	<-p.Ended
}

// stop ends Perceptor's processes by SIGTERM, and by SIGKILL when that takes too long.
func (w *KubernetesSystem) stop() {
	w.lock.Lock()
	defer w.lock.Unlock()
	var all sync.WaitGroup
	for _, p := range w.running {
		all.Go(func() {
			p.Signal(syscall.SIGTERM)
			select {
			case <-p.Ended:
			case <-time.After(30 * time.Second):
				p.Signal(syscall.SIGKILL)
				<-p.Ended
			}
		})
	}
	all.Wait()
	clear(w.running)
}

// AddNamespaces makes the namespaces of pods.
func (w *KubernetesSystem) AddNamespaces(pods ...[]PlannedPod) {
	made := map[string]bool{}
	for _, list := range pods {
		for _, p := range list {
			if !made[p.Namespace] {
				require.NoError(w.T, w.Kube.AddNamespace(w.T.Context(), p.Namespace, nil))
			}
			made[p.Namespace] = true
		}
	}
}

// AddPods makes pods, one after the other with a pause between.
func (w *KubernetesSystem) AddPods(ctx context.Context, pods []PlannedPod, pause time.Duration) error {
	var group errgroup.Group
	group.SetLimit(8)
	for _, p := range pods {
		group.Go(func() error { return w.addPod(ctx, p) })
		time.Sleep(pause)
	}
	return group.Wait()
}

// Alive are the pods that the cluster has at the moment, by namespace and name.
func (w *KubernetesSystem) Alive() map[string]PlannedPod {
	w.lock.Lock()
	defer w.lock.Unlock()
	return maps.Clone(w.alive)
}

// Part is a running process of Perceptor.
func (w *KubernetesSystem) Part(part string) *Program {
	w.lock.Lock()
	defer w.lock.Unlock()
	return w.running[part]
}

// addPod makes a pod; where its containers come later it is seen without them first.
func (w *KubernetesSystem) addPod(ctx context.Context, p PlannedPod) error {
	first := p.Pod
	if p.Later {
		first = p.waiting()
	}
	if _, err := w.Kube.AddPod(ctx, first); err != nil {
		return fmt.Errorf("add pod %s: %w", p.Key(), err)
	}
	if p.Later {
		time.Sleep(2 * time.Second)
		if err := w.Kube.SetStatus(ctx, p.Pod); err != nil {
			return fmt.Errorf("start containers of %s: %w", p.Key(), err)
		}
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	w.alive[p.Key()] = p
	return nil
}

// DeletePods deletes pods one by one.
func (w *KubernetesSystem) DeletePods(ctx context.Context, pods []PlannedPod) {
	for _, p := range pods {
		require.NoError(w.T, w.Kube.DeletePod(ctx, p.Namespace, p.Name))
		w.forget(p)
	}
}

// DeleteNamespace deletes a namespace with all that is in it.
func (w *KubernetesSystem) DeleteNamespace(ctx context.Context, name string) {
	require.NoError(w.T, w.Kube.DeleteNamespace(ctx, name))
	w.lock.Lock()
	defer w.lock.Unlock()
	for key, p := range w.alive {
		if p.Namespace == name {
			delete(w.alive, key)
		}
	}
}

func (w *KubernetesSystem) forget(p PlannedPod) {
	w.lock.Lock()
	defer w.lock.Unlock()
	delete(w.alive, p.Key())
}

// EmptyTemporal stops everything, deletes the data of Temporal, and starts perceptor-dev again at the same addresses. The hub, the
// registry and the cluster stay as they are.
func (w *KubernetesSystem) EmptyTemporal() {
	t := w.T
	w.stop()
	addresses := w.Addresses
	w.Signal(syscall.SIGINT)
	<-w.Ended
	w.Ended <- nil
	known, err := filepath.Glob(filepath.Join(w.Directory, "temporal.db*"))
	require.NoError(t, err)
	require.NotEmpty(t, known)
	for _, file := range known {
		require.NoError(t, os.Remove(file))
	}
	w.Dev = &Dev{Directory: w.Directory}
	w.Program = Start(t, "perceptor-dev", nil, "--data", w.Directory, "--no-samples", "--no-workers",
		"--temporal", addresses.Temporal, "--ui", addresses.UI, "--hub", addresses.Hub, "--registry", addresses.Registry)
	Eventually(t, 2*time.Minute, "perceptor-dev to be ready again", func() bool {
		now, err := readAddresses(w.Directory)
		w.Addresses = now
		return err == nil
	})
	require.Equal(t, addresses.Hub, w.Hub)
	w.trustHub(t)
}
