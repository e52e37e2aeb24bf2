//go:build integration || e2e || record || bench

package main_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/perceptor/perceptor/cmd/internal/devdir"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// bin is where make build puts the programs, seen from this package.
const bin = "../../bin"

// process is one program of ours under test.
type process struct {
	*exec.Cmd
	output *transcript
	ended  chan error
}

// transcript is what a program has said so far.
type transcript struct {
	lock sync.Mutex
	text bytes.Buffer
}

func (t *transcript) Write(p []byte) (int, error) {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.text.Write(p)
}

func (t *transcript) String() string {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.text.String()
}

// start runs a program until the test ends, whose output is shown when the test fails.
func start(t testing.TB, program string, environment []string, args ...string) *process {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(bin, program))
	require.NoError(t, err)
	require.FileExists(t, path, "run make build first")
	p := &process{Cmd: exec.Command(path, args...), output: &transcript{}, ended: make(chan error, 1)}
	p.Env = append(os.Environ(), environment...)
	p.Stdout, p.Stderr = p.output, p.output
	require.NoError(t, p.Start())
	go func() { p.ended <- p.Wait() }()
	t.Cleanup(func() {
		p.signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(20 * time.Second):
			p.signal(syscall.SIGKILL)
			<-p.ended
		}
		if t.Failed() {
			t.Logf("%s %s:\n%s", program, strings.Join(args, " "), p.output)
		}
	})
	return p
}

func (p *process) signal(s os.Signal) { _ = p.Process.Signal(s) }

// kill ends the process as a power cut would, and waits until it is gone.
func (p *process) kill(t testing.TB) {
	t.Helper()
	require.NoError(t, p.Process.Kill())
	<-p.ended
	p.ended <- nil
}

// dev is a running perceptor-dev without workers, and what reads it from outside.
type dev struct {
	*process
	directory string
	devdir.Addresses
	client  client.Client
	starter *starter.Starter
	hub     *http.Client
	token   string
}

// startDev starts perceptor-dev on free ports, without samples and workers, and waits until everything is ready.
func startDev(t testing.TB, args ...string) *dev {
	t.Helper()
	return startDevIn(t, t.TempDir(), append([]string{"--no-samples", "--no-workers"}, args...)...)
}

// onFreePorts are the arguments of a perceptor-dev that keeps its data in a directory and takes no port from anybody.
func onFreePorts(directory string) []string {
	return []string{
		"--data", directory, "--temporal", "127.0.0.1:0", "--ui", "127.0.0.1:0", "--hub", "127.0.0.1:0", "--registry", "127.0.0.1:0", "--api", "127.0.0.1:0",
	}
}

// startDevIn starts perceptor-dev on free ports with the data of a directory, and waits until everything is ready.
func startDevIn(t testing.TB, directory string, args ...string) *dev {
	t.Helper()
	d := &dev{directory: directory}
	d.process = start(t, "perceptor-dev", nil, append(onFreePorts(directory), args...)...)
	eventually(t, time.Minute, "perceptor-dev to be ready", func() bool {
		var err error
		d.Addresses, err = devdir.Read(d.directory)
		return err == nil
	})
	var err error
	d.client, err = client.Dial(client.Options{HostPort: d.Temporal})
	require.NoError(t, err)
	t.Cleanup(d.client.Close)
	d.starter = starter.New(d.client)
	d.trustHub(t)
	return d
}

func (d *dev) trustHub(t testing.TB) {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(d.directory, "hub-ca.pem"))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem))
	d.hub = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	token, err := os.ReadFile(filepath.Join(d.directory, "hub-token"))
	require.NoError(t, err)
	d.token = strings.TrimSpace(string(token))
}

// stats is what the hub itself counted.
type stats struct {
	UploadsStarted  int            `json:"uploads_started"`
	UploadsAccepted int            `json:"uploads_accepted"`
	ScansSucceeded  int            `json:"scans_succeeded"`
	InProgress      int            `json:"in_progress"`
	MaxInProgress   int            `json:"max_in_progress"`
	ScansByName     map[string]int `json:"scans_by_name"`
}

func (d *dev) stats(t testing.TB) stats {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+d.Hub+"/internal/stats", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "token "+d.token)
	response, err := d.hub.Do(request)
	require.NoError(t, err)
	defer response.Body.Close() //nolint:errcheck // only read
	require.Equal(t, http.StatusOK, response.StatusCode)
	var s stats
	require.NoError(t, json.NewDecoder(response.Body).Decode(&s))
	return s
}

// worker starts a worker whose scanner directory is kept from start to start.
func (d *dev) worker(t testing.TB, number int, args ...string) *process {
	t.Helper()
	args = append([]string{"worker", "--dev", d.directory, "--directory", d.scannerDirectory(number), "--drain", "1s"}, args...)
	return start(t, "perceptor", nil, args...)
}

func (d *dev) scannerDirectory(number int) string {
	return filepath.Join(d.directory, "scanners", fmt.Sprint(number))
}

// push makes an image of that many bytes in one layer that nobody has seen before, and puts it into the registry.
func (d *dev) push(t testing.TB, repository string, size int64) (string, model.Digest) {
	t.Helper()
	layer, err := random.Image(size, 1)
	require.NoError(t, err)
	// A random image has no platform; one for this machine is what a build makes.
	config, err := layer.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	made, err := mutate.ConfigFile(layer, config)
	require.NoError(t, err)
	reference, err := name.ParseReference(d.Registry + "/" + repository + ":1")
	require.NoError(t, err)
	require.NoError(t, remote.Write(reference, made))
	sum, err := made.Digest()
	require.NoError(t, err)
	digest, err := model.ParseDigest(sum.String())
	require.NoError(t, err)
	return reference.String(), digest
}

// observe asks for an image's scan as a person would.
func (d *dev) observe(t testing.TB, reference string, digest model.Digest) {
	t.Helper()
	colon := strings.LastIndex(reference, ":")
	require.NoError(t, d.starter.Images.Observe(t.Context(), digest, workflows.Observe{
		Names: []model.Name{{Repository: reference[:colon], Tag: reference[colon+1:]}}, Priority: workflows.PriorityPod, Domain: workflows.DefaultDomain,
		Reference: workflows.Reference{Kind: workflows.ReferencePerson, ID: "test", Version: model.Version{Epoch: time.Now().UnixNano()}, Until: time.Now().Add(time.Hour)},
	}))
}

// complete waits until the image has a verdict.
func (d *dev) complete(t testing.TB, digest model.Digest, within time.Duration) workflows.ImageView {
	t.Helper()
	var view workflows.ImageView
	eventually(t, within, "a verdict for "+string(digest), func() bool {
		var err error
		view, err = d.starter.Images.View(context.Background(), digest)
		return err == nil && view.Status == model.StatusComplete && !view.Scanning
	})
	return view
}

// during waits until the image's scan is in a step that a worker has begun.
func (d *dev) during(t testing.TB, digest model.Digest, step string) {
	t.Helper()
	eventually(t, 90*time.Second, step+" of "+string(digest), func() bool {
		now, err := d.starter.Scans.CurrentStep(context.Background(), digest)
		return err == nil && now.Step == step && (!now.Waiting || step == "AwaitHubScan")
	})
}

// eventually waits for a condition; it looks often, because what it waits for may pass.
func eventually(t testing.TB, within time.Duration, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !is() {
		require.True(t, time.Now().Before(deadline), "waited %s for %s", within, what)
		time.Sleep(50 * time.Millisecond)
	}
}

// scanClients counts the scan clients whose command line names a berth below a directory.
func scanClients(t testing.TB, directory string) int {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	count := 0
	for _, line := range lines {
		text, err := os.ReadFile(line)
		if err == nil && strings.Contains(string(text), "/workspaces/") && strings.Contains(string(text), directory) {
			count++
		}
	}
	return count
}
