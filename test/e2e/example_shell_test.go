//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/api"
	"github.com/perceptor/perceptor/internal/api/access"
	"github.com/perceptor/perceptor/internal/api/apitest"
	"github.com/perceptor/perceptor/internal/api/v1"
	"github.com/perceptor/perceptor/internal/perceiver"
	"github.com/perceptor/perceptor/internal/perceiver/conformance"
	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
)

// TestShellExampleConforms runs the behaviours that every perceiver has with the perceiver in shell, over the REST API.
func TestShellExampleConforms(t *testing.T) {
	for _, program := range []string{"curl", "jq"} {
		rig.Needs(t, program, program)
	}
	conformance.Run(t, func(t *testing.T) conformance.Platform { return newListed(t) })
}

// TestShellExampleReadsVerdicts: the file has what the API says, also when a pod is refused.
func TestShellExampleReadsVerdicts(t *testing.T) {
	for _, program := range []string{"curl", "jq"} {
		rig.Needs(t, program, program)
	}
	l := newListed(t)
	l.Add(t, "good", "1")
	l.Add(t, "bad/name", "1")
	ctx, cancel := context.WithCancel(t.Context())
	world := conformance.NewWorld()
	done := make(chan error)
	go func() { done <- l.Watch(ctx, world) }()
	rig.Eventually(t, 20*time.Second, "the verdicts", func() bool {
		text, err := os.ReadFile(l.verdicts())
		return err == nil && strings.Contains(string(text), "default\tgood\tUNKNOWN")
	})
	cancel()
	require.NoError(t, <-done)
	require.Len(t, world.Pods(), 1)
	require.Contains(t, l.said.String(), "refused: default/bad/name")
}

// listed is a platform whose pods are listed by a command: lines of a file.
type listed struct {
	directory string
	tags      map[string]string
	names     []string
	said      rig.Transcript
}

func newListed(t *testing.T) *listed {
	t.Helper()
	l := &listed{directory: t.TempDir(), tags: map[string]string{}}
	l.write(t)
	return l
}

func (l *listed) list() string     { return filepath.Join(l.directory, "list") }
func (l *listed) verdicts() string { return filepath.Join(l.directory, "verdicts.tsv") }

// write replaces the file at once, as a command answers at once.
func (l *listed) write(t *testing.T) {
	t.Helper()
	var text strings.Builder
	for _, name := range l.names {
		if tag := l.tags[name]; tag != "" {
			fmt.Fprintf(&text, "default %s registry.example/%s:%s\n", name, "app", tag)
		}
	}
	require.NoError(t, os.WriteFile(l.list()+".new", []byte(text.String()), 0o600))
	require.NoError(t, os.Rename(l.list()+".new", l.list()))
}

// Add runs a pod.
func (l *listed) Add(t *testing.T, name, tag string) {
	t.Helper()
	l.names, l.tags[name] = append(l.names, name), tag
	l.write(t)
}

// Replace has a pod run another image.
func (l *listed) Replace(t *testing.T, name, tag string) {
	t.Helper()
	l.tags[name] = tag
	l.write(t)
}

// Remove ends a pod.
func (l *listed) Remove(t *testing.T, name string) {
	t.Helper()
	l.tags[name] = ""
	l.write(t)
}

// Away has the command fail until Back. The list goes on to be kept.
func (l *listed) Away(t *testing.T) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(l.directory, "away"), nil, 0o600))
}

// Back has the command answer again.
func (l *listed) Back(t *testing.T) {
	t.Helper()
	require.NoError(t, os.Remove(filepath.Join(l.directory, "away")))
}

// Repeat does nothing: a list is not sent.
func (l *listed) Repeat(*testing.T) {}

// command lists what runs, or fails while the platform is away.
func (l *listed) command() []string {
	return []string{"sh", "-c", fmt.Sprintf("[ ! -e '%s/away' ] && cat '%s'", l.directory, l.list())}
}

// Watch runs the perceiver in shell against the REST API in front of a reporter.
func (l *listed) Watch(ctx context.Context, to perceiver.Reporter) error {
	tokens, token := filepath.Join(l.directory, "tokens.yaml"), filepath.Join(l.directory, "token")
	if err := os.WriteFile(tokens, []byte("tokens:\n- {name: shell, scope: perceiver, token: "+apitest.PerceiverToken+"}\n"), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(token, []byte(apitest.PerceiverToken+"\n"), 0o600); err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler)
	known, err := access.OpenTokens(tokens, quiet)
	if err != nil {
		return err
	}
	server := httptest.NewServer(api.New(api.Options{Backend: reportedTo{apitest.NewMemory(), to}, Tokens: known, Version: "test", Log: quiet}, v1.API))
	defer server.Close()
	script := exec.CommandContext(ctx, "../../examples/shell/perceiver.sh", l.command()...)
	script.Env = append(os.Environ(), "PERCEPTOR_URL="+server.URL, "PERCEPTOR_TOKEN_FILE="+token, "EVERY=0.2", "VERDICTS="+l.verdicts())
	script.Stderr = &l.said
	return runGroup(ctx, script)
}

// runGroup runs a command until ctx ends, with all that it has started.
func runGroup(ctx context.Context, command *exec.Cmd) error {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	if err := command.Run(); ctx.Err() == nil {
		return fmt.Errorf("ended by itself: %w", err)
	}
	return nil
}

// reportedTo is a backend that also sends reports to a reporter.
type reportedTo struct {
	*apitest.Memory
	to perceiver.Reporter
}

// Report implements api.Backend.
func (r reportedTo) Report(ctx context.Context, report model.PodReport) error {
	if err := r.to.Report(ctx, report); err != nil {
		return err
	}
	return r.Memory.Report(ctx, report)
}
