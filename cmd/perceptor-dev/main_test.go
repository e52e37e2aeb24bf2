package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/perceptor/perceptor/cmd/internal/devdir"
)

// asProgram makes the test binary be the program itself, so that tests start,
// kill and restart real processes.
const asProgram = "PERCEPTOR_DEV_AS_PROGRAM"

// patience bounds every wait in these tests, on a machine however busy.
const patience = 2 * time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is one run of the program.
type process struct {
	*exec.Cmd
	output bytes.Buffer
	ended  chan struct{}
}

// launch runs the program on free ports over data.
func launch(t *testing.T, data string, more ...string) *process {
	t.Helper()
	args := append([]string{
		"--data", data, "--temporal", "127.0.0.1:0", "--ui", "127.0.0.1:0", "--hub", "127.0.0.1:0", "--registry", "127.0.0.1:0",
		"--api", "127.0.0.1:0", "--no-samples", "--no-workers",
	}, more...)
	run := &process{Cmd: exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], args...), ended: make(chan struct{})}
	run.Env = append(os.Environ(), asProgram+"=1")
	run.Stdout, run.Stderr = &run.output, &run.output
	require.NoError(t, run.Start())
	go func() {
		defer close(run.ended)
		_ = run.Wait() // the exit code is read where it matters
	}()
	t.Cleanup(func() {
		_ = run.Process.Kill()
		<-run.ended
	})
	return run
}

// ready waits until the program says that it is ready, and where.
func (p *process) ready(t *testing.T, data string) devdir.Addresses {
	t.Helper()
	var addresses devdir.Addresses
	require.Eventually(t, func() bool {
		select {
		case <-p.ended:
			t.Fatalf("it ended: %s", p.output.String())
		default:
		}
		var err error
		addresses, err = devdir.Read(data)
		return !errors.Is(err, devdir.ErrNotRunning)
	}, patience, 20*time.Millisecond)
	return addresses
}

// exit waits for the end of the program and gives its exit code and output.
func (p *process) exit(t *testing.T) (int, string) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	return p.ProcessState.ExitCode(), p.output.String()
}

func TestItServesStopsAndGoesOn(t *testing.T) {
	data := filepath.Join(t.TempDir(), "dev")
	first := launch(t, data)
	addresses := first.ready(t, data)
	requireServing(t, data, addresses)
	startWorkflow(t, addresses.Temporal, "before-the-stop")

	require.NoError(t, first.Process.Signal(syscall.SIGTERM))
	code, output := first.exit(t)
	require.Zero(t, code, output)
	require.NoFileExists(t, filepath.Join(data, "addresses.json"))

	second := launch(t, data)
	addresses = second.ready(t, data)
	requireWorkflow(t, addresses.Temporal, "before-the-stop")
	startWorkflow(t, addresses.Temporal, "before-the-kill")
	require.NoError(t, second.Process.Kill())
	<-second.ended

	third := launch(t, data)
	addresses = third.readyAfterKill(t, data, addresses)
	requireWorkflow(t, addresses.Temporal, "before-the-stop")
	requireWorkflow(t, addresses.Temporal, "before-the-kill")
	require.NoError(t, third.Process.Signal(os.Interrupt))
	code, output = third.exit(t)
	require.Zero(t, code, output)
}

// readyAfterKill waits for other addresses than those that the killed process left.
func (p *process) readyAfterKill(t *testing.T, data string, left devdir.Addresses) devdir.Addresses {
	t.Helper()
	var addresses devdir.Addresses
	require.Eventually(t, func() bool {
		addresses = p.ready(t, data)
		return addresses != left
	}, patience, 20*time.Millisecond)
	return addresses
}

func TestOneProcessPerDirectory(t *testing.T) {
	data := t.TempDir()
	launch(t, data).ready(t, data)
	code, output := launch(t, data).exit(t)
	require.Equal(t, 1, code)
	require.Contains(t, output, "is in use by another perceptor-dev")
	require.FileExists(t, filepath.Join(data, "addresses.json"), "the first one is not disturbed")
}

func TestATakenPortNamesItsFlag(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	for _, flag := range []string{"--temporal", "--ui", "--hub", "--registry", "--api"} {
		code, output := launch(t, t.TempDir(), flag, taken.Addr().String()).exit(t)
		require.Equal(t, 1, code)
		require.Contains(t, output, flag+" "+taken.Addr().String())
		require.Contains(t, output, "is taken by another process")
		require.Equal(t, 1, strings.Count(output, "\n"), "one line: %s", output)
	}
}

func TestADirectoryOfAnotherServerIsRefused(t *testing.T) {
	data := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(data, "temporal.db"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(data, "temporal.version"), []byte("1.0.0\n"), 0o600))
	code, output := launch(t, data).exit(t)
	require.Equal(t, 1, code)
	require.Contains(t, output, "made by Temporal server 1.0.0")
	require.Contains(t, output, "--data DIR")
}

func TestFlagsThatContradictAreRefused(t *testing.T) {
	for _, row := range []struct {
		name, says string
		flags      []string
	}{
		{"nothing to wait for", "--until-scanned waits for samples", []string{"--until-scanned"}},
		{"a cluster and no one to watch it", "--kubeconfig has the workers", []string{"--kubeconfig", "x", "--no-workers"}},
		{"a context of nothing", "--context and --write-back", []string{"--context", "x"}},
		{"negative rate", "--registry-rate -1", []string{"--registry-rate", "-1"}},
		{"negative scan time", "--hub-scan-time -1s", []string{"--hub-scan-time", "-1s"}},
		{"negative delay", "--hub-accept-delay -1s", []string{"--hub-accept-delay", "-1s"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, output := launch(t, t.TempDir(), row.flags...).exit(t)
			require.Equal(t, 1, code)
			require.Contains(t, output, row.says)
		})
	}
}

// requireServing asks each server what only it can answer.
func requireServing(t *testing.T, data string, addresses devdir.Addresses) {
	t.Helper()
	requireGet(t, http.DefaultClient, "http://"+addresses.UI+"/api/v1/namespaces/default", "")
	requireGet(t, http.DefaultClient, "http://"+addresses.Registry+"/v2/", "")
	requireGet(t, http.DefaultClient, "http://"+addresses.API+"/readyz", "")

	for _, name := range []string{"api-tokens.json", "hub-token", "hub-password", "hub-ca.pem", "addresses.json"} {
		info, err := os.Stat(filepath.Join(data, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
	authority, err := os.ReadFile(filepath.Join(data, "hub-ca.pem"))
	require.NoError(t, err)
	trusted := x509.NewCertPool()
	require.True(t, trusted.AppendCertsFromPEM(authority))
	token, err := os.ReadFile(filepath.Join(data, "hub-token"))
	require.NoError(t, err)
	hub := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}}}
	defer hub.CloseIdleConnections()
	requireGet(t, hub, "https://"+addresses.Hub+"/internal/stats", "token "+strings.TrimSpace(string(token)))
}

func requireGet(t *testing.T, from *http.Client, url, authorization string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	answer, err := from.Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode, url)
}

func connect(t *testing.T, address string) client.Client {
	t.Helper()
	connection, err := client.Dial(client.Options{HostPort: address})
	require.NoError(t, err)
	t.Cleanup(connection.Close)
	return connection
}

// startWorkflow starts a workflow that no worker serves, so that it stays open.
func startWorkflow(t *testing.T, address, id string) {
	t.Helper()
	_, err := connect(t, address).ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: "no-worker"}, "Waits")
	require.NoError(t, err)
}

func requireWorkflow(t *testing.T, address, id string) {
	t.Helper()
	described, err := connect(t, address).DescribeWorkflowExecution(t.Context(), id, "")
	require.NoError(t, err)
	require.Equal(t, "Running", described.GetWorkflowExecutionInfo().GetStatus().String())
}
