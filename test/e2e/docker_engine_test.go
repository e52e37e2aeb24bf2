//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
)

// engine is a real Docker Engine of its own: with its own data, socket and containerd, and without a network.
type engine struct {
	*client.Client
	directory string
	daemon    *exec.Cmd
	ended     chan error
}

// startEngine starts an engine until the test ends, and removes what it has left.
func startEngine(t *testing.T) *engine {
	t.Helper()
	rig.Needs(t, "dockerd", "docker.io")
	if os.Geteuid() != 0 {
		t.Skip("needs root: a Docker Engine is started")
	}
	directory, err := os.MkdirTemp("", "pdocker-") // short, because a socket's path is bounded
	require.NoError(t, err)
	e := &engine{directory: directory}
	e.Client, err = client.New(client.WithHost(e.host()))
	require.NoError(t, err)
	t.Cleanup(func() {
		e.clean()
		e.stop()
		if t.Failed() {
			text, _ := os.ReadFile(e.log())
			t.Logf("dockerd:\n%s", text[max(0, len(text)-8<<10):])
		}
		e.unmount()
		require.NoError(t, os.RemoveAll(directory), "something is still mounted there")
	})
	e.start(t)
	return e
}

func (e *engine) host() string { return "unix://" + filepath.Join(e.directory, "docker.sock") }

func (e *engine) log() string { return filepath.Join(e.directory, "dockerd.log") }

// start starts the daemon. The storage driver vfs mounts nothing.
func (e *engine) start(t *testing.T) {
	t.Helper()
	output, err := os.OpenFile(e.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer func() { _ = output.Close() }()
	e.daemon = exec.Command("dockerd", "--data-root", filepath.Join(e.directory, "data"), "--exec-root", filepath.Join(e.directory, "exec"),
		"--host", e.host(), "--pidfile", filepath.Join(e.directory, "docker.pid"), "--storage-driver", "vfs",
		"--iptables=false", "--ip6tables=false", "--bridge=none", "--shutdown-timeout", "5")
	e.daemon.Stdout, e.daemon.Stderr = output, output
	e.daemon.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, e.daemon.Start())
	e.ended = make(chan error, 1)
	go func(daemon *exec.Cmd, ended chan<- error) { ended <- daemon.Wait() }(e.daemon, e.ended)
	rig.Eventually(t, time.Minute, "the engine to answer", func() bool {
		_, err := e.Ping(context.Background(), client.PingOptions{})
		return err == nil
	})
}

// stop asks the daemon to end, as a reboot of the host does.
func (e *engine) stop() {
	if e.daemon == nil || e.daemon.Process == nil {
		return
	}
	_ = e.daemon.Process.Signal(syscall.SIGTERM)
	select {
	case <-e.ended:
	case <-time.After(40 * time.Second):
		_ = syscall.Kill(-e.daemon.Process.Pid, syscall.SIGKILL)
		<-e.ended
	}
	e.daemon = nil
}

// unmount takes away what dockerd leaves mounted below its directory: the host's network, and its data after it was killed.
func (e *engine) unmount() {
	for range 100 {
		mounts, _ := os.ReadFile("/proc/self/mounts")
		left := 0
		for line := range strings.Lines(string(mounts)) {
			if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], e.directory+"/") {
				_ = syscall.Unmount(fields[1], syscall.MNT_DETACH)
				left++
			}
		}
		if left == 0 {
			return
		}
	}
}

// kill ends the daemon alone, as a crash does. Its containers go on.
func (e *engine) kill() {
	_ = e.daemon.Process.Kill()
	<-e.ended
	e.daemon = nil
}

// clean removes everything that runs, so that no process and no mount is left.
func (e *engine) clean() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, _ = e.SwarmLeave(ctx, client.SwarmLeaveOptions{Force: true})
	list, err := e.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return
	}
	for _, c := range list.Items {
		_, _ = e.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true})
	}
}

// run starts a container.
func (e *engine) run(t *testing.T, name, image, restart string, labels map[string]string) string {
	t.Helper()
	made, err := e.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name: name, Config: &container.Config{Image: image, Labels: labels},
		HostConfig: &container.HostConfig{NetworkMode: "none", RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyMode(restart)}},
	})
	require.NoError(t, err)
	_, err = e.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{})
	require.NoError(t, err)
	return made.ID
}

// compose starts a container with the labels that the compose tool gives it.
func (e *engine) compose(t *testing.T, project, service string, number int, image string) string {
	t.Helper()
	return e.run(t, fmt.Sprintf("%s-%s-%d", project, service, number), image, "always", map[string]string{
		"com.docker.compose.project": project, "com.docker.compose.service": service, "com.docker.compose.container-number": fmt.Sprint(number),
		"com.docker.compose.oneoff": "False", "com.docker.compose.version": "2.39.1", "com.docker.compose.project.working_dir": "/srv/" + project,
	})
}

// startSwarm makes the engine the manager of a Swarm of one node.
func (e *engine) startSwarm(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	_, err = e.SwarmInit(t.Context(), client.SwarmInitOptions{ListenAddr: address, AdvertiseAddr: address})
	require.NoError(t, err)
}

// service creates a service of a stack, with the labels that the stack's tool gives it. Its tasks use the host's network, because the
// engine has no other.
func (e *engine) service(t *testing.T, stack, name, image string, query bool) string {
	t.Helper()
	one, grace := uint64(1), 2*time.Second
	labels := map[string]string{"com.docker.stack.namespace": stack, "com.docker.stack.image": image}
	made, err := e.ServiceCreate(t.Context(), client.ServiceCreateOptions{QueryRegistry: query, Spec: swarm.ServiceSpec{
		Annotations: swarm.Annotations{Name: stack + "_" + name, Labels: labels},
		Mode:        swarm.ServiceMode{Replicated: &swarm.ReplicatedService{Replicas: &one}},
		TaskTemplate: swarm.TaskSpec{
			ContainerSpec: &swarm.ContainerSpec{Image: image, StopGracePeriod: &grace, Labels: map[string]string{"com.docker.stack.namespace": stack}},
			Networks:      []swarm.NetworkAttachmentConfig{{Target: "host"}},
		},
	}})
	require.NoError(t, err)
	return made.ID
}

// scale changes the number of a service's tasks.
func (e *engine) scale(t *testing.T, id string, replicas uint64) {
	t.Helper()
	rig.Eventually(t, 20*time.Second, "the service to be scaled", func() bool {
		now, err := e.ServiceInspect(t.Context(), id, client.ServiceInspectOptions{})
		if err != nil {
			return false
		}
		spec := now.Service.Spec
		spec.Mode.Replicated.Replicas = &replicas
		_, err = e.ServiceUpdate(t.Context(), id, client.ServiceUpdateOptions{Version: now.Service.Version, Spec: spec})
		return err == nil
	})
}

// runningPods are the names of what runs, as "docker ps" and "docker service ps" show it: namespace/pod, by UID.
func (e *engine) runningPods(ctx context.Context) (map[string]string, error) {
	pods := map[string]string{}
	list, err := e.ContainerList(ctx, client.ContainerListOptions{})
	if err != nil {
		return nil, err
	}
	for _, c := range list.Items {
		name := strings.TrimPrefix(c.Names[0], "/")
		if project := c.Labels["com.docker.compose.project"]; project != "" {
			pods[c.ID] = project + "/" + strings.TrimPrefix(name, project+"-")
		} else if c.Labels["com.docker.swarm.task.id"] == "" {
			pods[c.ID] = "default/" + name
		}
	}
	about, err := e.Info(ctx, client.InfoOptions{})
	if err != nil || !about.Info.Swarm.ControlAvailable {
		return pods, err
	}
	tasks, err := e.TaskList(ctx, client.TaskListOptions{Filters: make(client.Filters).Add("desired-state", "running")})
	if err != nil {
		return nil, err
	}
	services, err := e.ServiceList(ctx, client.ServiceListOptions{})
	if err != nil {
		return nil, err
	}
	for _, task := range tasks.Items {
		for _, s := range services.Items {
			if s.ID == task.ServiceID {
				pods[task.ID] = fmt.Sprintf("%s/%s.%d", s.Spec.Labels["com.docker.stack.namespace"], s.Spec.Name, task.Slot)
			}
		}
	}
	return pods, nil
}

// sleeper builds the program that the images run.
func sleeper(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sleeper")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./testdata/sleeper")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	output, err := build.CombinedOutput()
	require.NoError(t, err, "%s", output)
	program, err := os.ReadFile(path)
	require.NoError(t, err)
	return program
}

// sleepingImage is an image that runs the sleeper and has a package of Python that is its alone.
func sleepingImage(t *testing.T, program []byte, pkg, version string) v1.Image {
	t.Helper()
	layer, err := crane.Layer(map[string][]byte{
		"usr/lib/python3/dist-packages/" + pkg + "-" + version + ".dist-info/METADATA": fmt.Appendf(nil, "Metadata-Version: 2.1\nName: %s\nVersion: %s\n", pkg, version),
	})
	require.NoError(t, err)
	// The layer of crane has no executable files.
	layers, err := mutate.AppendLayers(empty.Image, layer, executableLayer(t, "sleeper", program))
	require.NoError(t, err)
	config, err := layers.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	config.Config.Cmd = []string{"/sleeper"}
	made, err := mutate.ConfigFile(layers, config)
	require.NoError(t, err)
	return made
}

// pushImage puts an image into a registry and has the engine pull it.
func (e *engine) pushImage(t *testing.T, reference string, made v1.Image) model.Digest {
	t.Helper()
	parsed, err := name.ParseReference(reference)
	require.NoError(t, err)
	require.NoError(t, remote.Write(parsed, made))
	pull, err := e.ImagePull(t.Context(), reference, client.ImagePullOptions{})
	require.NoError(t, err)
	require.NoError(t, pull.Wait(t.Context()))
	return rig.DigestOf(t, made)
}

// loadImage loads an image from an archive, and gives the engine's ID of it: no registry has it.
func (e *engine) loadImage(t *testing.T, reference string, made v1.Image) model.Digest {
	t.Helper()
	tag, err := name.NewTag(reference)
	require.NoError(t, err)
	var archive bytes.Buffer
	require.NoError(t, tarball.Write(tag, made, &archive))
	loaded, err := e.ImageLoad(t.Context(), &archive)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, loaded)
	require.NoError(t, err)
	require.NoError(t, loaded.Close())
	there, err := e.ImageInspect(t.Context(), reference)
	require.NoError(t, err)
	return model.Digest(there.ID)
}
