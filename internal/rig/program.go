package rig

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Program is one built program under test.
type Program struct {
	*exec.Cmd
	// Transcript is its output; nil where the output goes to a file.
	Transcript *Transcript
	// Ended gets the result of the program when it ends. A test that receives it sends one back, for the cleanup.
	Ended chan error
}

// Transcript is the output of a program until now.
type Transcript struct {
	lock sync.Mutex
	text bytes.Buffer
}

// Write adds output.
func (t *Transcript) Write(p []byte) (int, error) {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.text.Write(p)
}

func (t *Transcript) String() string {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.text.String()
}

// onLoopback is this program's environment for programs of a test: no hub fetches vulnerability data from the network, and scanners
// may call the registries of the test, which are on loopback.
func onLoopback() []string {
	return append(os.Environ(), "PERCEPTOR_HUB_UPDATES=off", "PERCEPTOR_SCANNER_NETWORK_LOOPBACK=true")
}

// Start runs a program until the test ends. Its output is shown when the test fails.
func Start(t testing.TB, program string, environment []string, args ...string) *Program {
	t.Helper()
	path := Built(t, program)
	p := &Program{Cmd: exec.Command(path, args...), Transcript: &Transcript{}, Ended: make(chan error, 1)}
	p.Env = append(onLoopback(), environment...)
	p.Stdout, p.Stderr = p.Transcript, p.Transcript
	require.NoError(t, p.Start())
	go func() { p.Ended <- p.Wait() }()
	t.Cleanup(func() {
		p.Signal(syscall.SIGTERM)
		select {
		case <-p.Ended:
		case <-time.After(20 * time.Second):
			p.Signal(syscall.SIGKILL)
			<-p.Ended
		}
		if t.Failed() {
			t.Logf("%s %s:\n%s", program, strings.Join(args, " "), p.Transcript)
		}
	})
	return p
}

// Signal sends a signal; a program that has ended gets none.
func (p *Program) Signal(s os.Signal) { _ = p.Process.Signal(s) }

// Kill ends the program with SIGKILL, as a power failure would, and waits until it is gone.
func (p *Program) Kill(t testing.TB) {
	t.Helper()
	require.NoError(t, p.Process.Kill())
	<-p.Ended
	p.Ended <- nil
}

// Memory reads one of the program's sizes in bytes, such as VmRSS; see proc(5), status.
func (p *Program) Memory(t testing.TB, key string) int64 {
	t.Helper()
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var size int64
		if _, err := fmt.Sscanf(lines.Text(), key+": %d kB", &size); err == nil {
			return size << 10
		}
	}
	require.Fail(t, "no "+key+" of the program")
	return 0
}

// commandBound ends a command that never ends by itself.
const commandBound = 4 * time.Minute

// Outcome is the exit code and the output of a program that has ended.
type Outcome struct {
	Code           int
	Stdout, Stderr string
}

// Run runs a program to its end.
func Run(t testing.TB, program string, args ...string) Outcome {
	t.Helper()
	path := Built(t, program)
	ctx, cancel := context.WithTimeout(context.Background(), commandBound)
	defer cancel()
	command := exec.CommandContext(ctx, path, args...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	require.NoError(t, ctx.Err(), "%s %s did not end within %s:\n%s%s", program, strings.Join(args, " "), commandBound, &stdout, &stderr)
	return Outcome{command.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// Eventually waits for a condition and fails the test when it does not come. It looks often, because some conditions pass quickly.
func Eventually(t testing.TB, within time.Duration, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !is() {
		require.True(t, time.Now().Before(deadline), "waited %s for %s", within, what)
		time.Sleep(50 * time.Millisecond)
	}
}

// ScanClients counts the scan clients that work in a workspace below a directory.
func ScanClients(t testing.TB, directory string) int {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	count := 0
	for _, line := range lines {
		text, err := os.ReadFile(line)
		if err == nil && strings.Contains(string(text), "/"+WorkspacesDirectory+"/") && strings.Contains(string(text), directory) {
			count++
		}
	}
	return count
}

// ProcessesWith counts the processes of this machine that have a text in their command line.
func ProcessesWith(t testing.TB, text string) int {
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
