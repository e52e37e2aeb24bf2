package kubetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// program is a server that lives no longer than the process that started it.
type program struct {
	name  string
	log   string
	cmd   *exec.Cmd
	ended chan struct{}
}

// launch starts a program whose output goes to a file in a directory.
func launch(directory, path string, args ...string) (*program, error) {
	p := &program{name: filepath.Base(path), ended: make(chan struct{})}
	p.log = filepath.Join(directory, p.name+".log")
	output, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(path, args...) //nolint:gosec // the test's own choice of program
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = directory, output, output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		// The kernel's "parent" is the thread that started the child, so that thread must stay until the child has ended.
		runtime.LockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
		_ = output.Close()
		close(p.ended)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	return p, nil
}

// over reports whether the program has ended.
func (p *program) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// kill ends the program at once and waits until it is gone. Its data is the test's, so nothing needs to be put in order.
func (p *program) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	return nil
}

// tail is the end of what the program said.
func (p *program) tail() string {
	const most = 60
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
