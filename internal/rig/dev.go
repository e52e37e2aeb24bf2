package rig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
	"github.com/perceptor/perceptor/workflows"
)

// Dev is a running perceptor-dev: a Temporal server, a registry and a hub. The methods read it from outside.
type Dev struct {
	*Program
	// Directory is its data directory.
	Directory string
	Addresses
	Client  client.Client
	Starter *starter.Starter
	// HubClient trusts the hub's certificate; HubToken is the token of the hub's API.
	HubClient *http.Client
	HubToken  string
}

// StartDev starts perceptor-dev on free ports, without samples and workers, and waits until everything is ready.
func StartDev(t testing.TB, args ...string) *Dev {
	t.Helper()
	return StartDevIn(t, t.TempDir(), append([]string{"--no-samples", "--no-workers"}, args...)...)
}

// OnFreePorts are the arguments of a perceptor-dev that keeps its data in a directory and listens on free ports.
func OnFreePorts(directory string) []string {
	return []string{
		"--data", directory, "--temporal", "127.0.0.1:0", "--ui", "127.0.0.1:0", "--hub", "127.0.0.1:0", "--registry", "127.0.0.1:0", "--api", "127.0.0.1:0",
	}
}

// StartDevIn starts perceptor-dev on free ports with the data of a directory, and waits until everything is ready.
func StartDevIn(t testing.TB, directory string, args ...string) *Dev {
	t.Helper()
	d := &Dev{Directory: directory}
	d.Program = Start(t, "perceptor-dev", nil, append(OnFreePorts(directory), args...)...)
	Eventually(t, time.Minute, "perceptor-dev to be ready", func() bool {
		var err error
		d.Addresses, err = readAddresses(d.Directory)
		return err == nil
	})
	var err error
	d.Client, err = client.Dial(client.Options{HostPort: d.Temporal})
	require.NoError(t, err)
	t.Cleanup(d.Client.Close)
	d.Starter = starter.New(d.Client)
	d.trustHub(t)
	return d
}

// trustHub reads the hub's certificate and token.
func (d *Dev) trustHub(t testing.TB) {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(d.Directory, "hub-ca.pem"))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem))
	d.HubClient = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	token, err := os.ReadFile(filepath.Join(d.Directory, "hub-token"))
	require.NoError(t, err)
	d.HubToken = strings.TrimSpace(string(token))
}

// invented are records that make the data of their ecosystem complete, without being about any package of the tests.
var invented = []string{
	`{"schema_version":"1.7.0","id":"TEST-NPM-1","modified":"2026-01-02T03:04:05Z","affected":[{"package":{"ecosystem":"npm","name":"@perceptor/none"},` +
		`"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`,
	`{"schema_version":"1.7.0","id":"TEST-DEBIAN-1","modified":"2026-01-02T03:04:05Z","affected":[{"package":{"ecosystem":"Debian:12","name":"perceptor-none"},` +
		`"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}`,
}

// LoadComplete gives the hub the sample of records as complete data of their ecosystems, checked now, so that images of these
// ecosystems are assessed in full. Without it the sample is demo data, and what it does not name is UNKNOWN.
func (d *Dev) LoadComplete(t testing.TB) {
	t.Helper()
	directory, n := t.TempDir(), 0
	add := func(text []byte) {
		n++
		require.NoError(t, os.WriteFile(filepath.Join(directory, fmt.Sprintf("%d.json", n)), text, 0o600))
	}
	for line, err := range osv.SampleLines() {
		require.NoError(t, err)
		add(line)
	}
	for _, text := range invented {
		add([]byte(text))
	}
	d.UpdateHub(t, directory)
}

// UpdateHub has the hub add the records of a directory, as all records of their ecosystems, checked now. It answers what was said.
func (d *Dev) UpdateHub(t testing.TB, directory string) string {
	t.Helper()
	done := Run(t, "perceptor", "hub", "update", "--from", directory, "--mode", "merge", "--complete",
		"--as-of", time.Now().UTC().Format(time.RFC3339), "--dev", d.Directory)
	require.Zero(t, done.Code, done.Stderr)
	return done.Stdout
}

// HubCounts is what the hub itself counted.
type HubCounts struct {
	UploadsStarted  int            `json:"uploads_started"`
	UploadsAccepted int            `json:"uploads_accepted"`
	ScansSucceeded  int            `json:"scans_succeeded"`
	InProgress      int            `json:"in_progress"`
	MaxInProgress   int            `json:"max_in_progress"`
	ScansByName     map[string]int `json:"scans_by_name"`
}

// Stats asks the hub for its counts.
func (d *Dev) Stats(t testing.TB) HubCounts {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+d.Hub+"/internal/stats", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "token "+d.HubToken)
	response, err := d.HubClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close() //nolint:errcheck // only read
	require.Equal(t, http.StatusOK, response.StatusCode)
	var s HubCounts
	require.NoError(t, json.NewDecoder(response.Body).Decode(&s))
	return s
}

// StartWorker starts a worker. The worker of a number has the same scanner directory at every start.
func (d *Dev) StartWorker(t testing.TB, number int, args ...string) *Program {
	t.Helper()
	args = append([]string{"worker", "--dev", d.Directory, "--directory", d.ScannerDirectory(number), "--drain", "1s"}, args...)
	return Start(t, "perceptor", nil, args...)
}

// ScannerDirectory is the directory of the worker with that number.
func (d *Dev) ScannerDirectory(number int) string {
	return filepath.Join(d.Directory, "scanners", fmt.Sprint(number))
}

// PushRandom makes a new image with one layer of that many random bytes, and pushes it to the registry.
func (d *Dev) PushRandom(t testing.TB, repository string, size int64) (string, model.Digest) {
	t.Helper()
	return d.push(t, repository, size)
}

// PushApp pushes an image of random content with one npm package in it, which the hub can assess once it has complete data.
func (d *Dev) PushApp(t testing.TB, repository string, size int64) (string, model.Digest) {
	t.Helper()
	layer, err := crane.Layer(map[string][]byte{"app/node_modules/left-pad/package.json": []byte(`{"name":"left-pad","version":"1.3.0"}`)})
	require.NoError(t, err)
	return d.push(t, repository, size, layer)
}

func (d *Dev) push(t testing.TB, repository string, size int64, more ...v1.Layer) (string, model.Digest) {
	t.Helper()
	layer, err := random.Image(size, 1)
	require.NoError(t, err)
	layer, err = mutate.AppendLayers(layer, more...)
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

// Observe requests the scan of an image as the command line does.
func (d *Dev) Observe(t testing.TB, reference string, digest model.Digest) {
	t.Helper()
	colon := strings.LastIndex(reference, ":")
	require.NoError(t, d.Starter.Images.Observe(t.Context(), digest, workflows.Observe{
		Names: []model.Name{{Repository: reference[:colon], Tag: reference[colon+1:]}}, Priority: workflows.PriorityPod, Domain: workflows.DefaultDomain,
		Reference: workflows.Reference{Kind: workflows.ReferencePerson, ID: "test", Version: model.Version{Epoch: time.Now().UnixNano()}, Until: time.Now().Add(time.Hour)},
	}))
}

// AwaitVerdict waits until the image has a verdict.
func (d *Dev) AwaitVerdict(t testing.TB, digest model.Digest, within time.Duration) workflows.ImageView {
	t.Helper()
	var view workflows.ImageView
	Eventually(t, within, "a verdict for "+string(digest), func() bool {
		var err error
		view, err = d.Starter.Images.View(context.Background(), digest)
		return err == nil && view.Status == model.StatusComplete && !view.Scanning
	})
	return view
}

// AwaitStep waits until a worker has begun that step of the image's scan.
func (d *Dev) AwaitStep(t testing.TB, digest model.Digest, step string) {
	t.Helper()
	Eventually(t, 90*time.Second, step+" of "+string(digest), func() bool {
		now, err := d.Starter.Scans.CurrentStep(context.Background(), digest)
		return err == nil && now.Step == step && (!now.Waiting || step == "AwaitHubScan")
	})
}

// Addresses is what perceptor-dev writes into its data directory when everything is ready.
type Addresses struct {
	Temporal string `json:"temporal"`
	UI       string `json:"ui"`
	Hub      string `json:"hub"`
	Registry string `json:"registry"`
	API      string `json:"api"`
}

func readAddresses(directory string) (Addresses, error) {
	var a Addresses
	text, err := os.ReadFile(filepath.Join(directory, "addresses.json"))
	if err != nil {
		return a, fmt.Errorf("read the addresses of perceptor-dev: %w", err)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("read the addresses of perceptor-dev in %s: %w", directory, err)
	}
	return a, nil
}

// HubFiles are the files by which clients of perceptor-dev's hub reach it: the token and the certificate authority.
func (d *Dev) HubFiles() (token, authority string) {
	return filepath.Join(d.Directory, "hub-token"), filepath.Join(d.Directory, "hub-ca.pem")
}
