//go:build integration

package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/internal/console"
	"github.com/perceptor/perceptor/model"
)

// The exit codes every verb has.
const (
	exitOK       = 0
	exitFindings = 1
	exitTrouble  = 2
)

// commandBound ends a command that waits for what never comes.
const commandBound = 4 * time.Minute

// outcome is what a command that has ended said.
type outcome struct {
	code           int
	stdout, stderr string
}

// run runs one of our programs to its end.
func run(t *testing.T, program string, args ...string) outcome {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(bin, program))
	require.NoError(t, err)
	require.FileExists(t, path, "run make build first")
	ctx, cancel := context.WithTimeout(context.Background(), commandBound)
	defer cancel()
	command := exec.CommandContext(ctx, path, args...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err = command.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	require.NoError(t, ctx.Err(), "%s %s did not end within %s:\n%s%s", program, strings.Join(args, " "), commandBound, &stdout, &stderr)
	return outcome{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// perceptor runs a verb against this perceptor-dev.
func (d *dev) perceptor(t *testing.T, verb ...string) outcome {
	t.Helper()
	return run(t, "perceptor", append(verb, "--dev", d.directory)...)
}

// scan scans one image as a script would, and answers with its result and the exit code.
func (d *dev) scan(t *testing.T, reference string, flags ...string) (console.Result, int) {
	t.Helper()
	done := d.perceptor(t, append([]string{"scan", "--output", "json", reference}, flags...)...)
	var results []console.Result
	require.NoError(t, json.Unmarshal([]byte(done.stdout), &results), "exit %d\n%s\n%s", done.code, done.stdout, done.stderr)
	require.Len(t, results, 1)
	require.Equal(t, results[0].Error != "", done.code == exitTrouble, "exit code 2 means not scanned, and nothing else does:\n%s", done.stderr)
	if results[0].Error != "" {
		require.Contains(t, done.stderr, results[0].Error, "a person is told the reason")
		require.Equal(t, model.OverallUnknown, results[0].OverallStatus)
		require.Empty(t, results[0].Findings)
	}
	return results[0], done.code
}

// ask reads a page of the hub's own REST API.
func (d *dev) ask(t *testing.T, address string, into any) {
	t.Helper()
	login, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+d.Hub+"/api/tokens/authenticate", nil)
	require.NoError(t, err)
	login.Header.Set("Authorization", "token "+d.token)
	var bearer struct {
		BearerToken string `json:"bearerToken"`
	}
	d.read(t, login, &bearer)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+bearer.BearerToken)
	d.read(t, request, into)
}

// internal reads what the built-in hub tells to its token alone.
func (d *dev) internal(t *testing.T, path string, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+d.Hub+path, nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "token "+d.token)
	d.read(t, request, into)
}

func (d *dev) read(t *testing.T, request *http.Request, into any) {
	t.Helper()
	response, err := d.hub.Do(request)
	require.NoError(t, err)
	defer response.Body.Close() //nolint:errcheck // only read
	require.Equal(t, http.StatusOK, response.StatusCode, request.URL)
	require.NoError(t, json.NewDecoder(response.Body).Decode(into))
}

// processesWith counts the processes whose command line has a text in it.
func processesWith(t *testing.T, text string) int {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	count := 0
	for _, line := range lines {
		if words, err := os.ReadFile(line); err == nil && strings.Contains(string(words), text) {
			count++
		}
	}
	return count
}
