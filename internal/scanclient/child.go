package scanclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// child is one running client.
type child struct {
	cmd    *exec.Cmd
	family *family
	// hold is the writing end of the client's standard input. Nothing is ever written: its closing, which the kernel
	// does when this process dies, tells the client to end.
	hold *os.File
	out  *os.File
	log  *os.File
	// exited closes when the client has ended; it is still a zombie then.
	exited chan struct{}
	// reap lets the waiter take the exit code, and reaped closes when it has.
	reap   chan struct{}
	reaped chan struct{}
}

// start starts the client in a process group of its own and waits until it runs.
func start(command string, args, env []string, dir, mark string) (*child, error) {
	c := &child{exited: make(chan struct{}), reap: make(chan struct{}), reaped: make(chan struct{})}
	var stdin, stdout, stderr *os.File
	for _, pipe := range []struct{ read, write **os.File }{{&stdin, &c.hold}, {&c.out, &stdout}, {&c.log, &stderr}} {
		var err error
		if *pipe.read, *pipe.write, err = os.Pipe(); err != nil {
			closeAll(stdin, stdout, stderr, c.hold, c.out, c.log)
			return nil, fmt.Errorf("open a pipe: %w", err)
		}
	}
	// #nosec G204 -- the command is the operator's own configuration and no shell reads it
	c.cmd = exec.Command(command, args...)
	c.cmd.Env, c.cmd.Dir = env, dir
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = stdin, stdout, stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go c.live(started)
	err := <-started
	closeAll(stdin, stdout, stderr)
	if err != nil {
		closeAll(c.hold, c.out, c.log)
		return nil, err
	}
	if c.family, err = newFamily(c.cmd.Process.Pid, mark); err != nil {
		err = fmt.Errorf("look at the started process: %w", err)
		_ = c.cmd.Process.Kill()
		c.bury()
		closeAll(c.out, c.log)
		return nil, err
	}
	volunteer(c.cmd.Process.Pid)
	return c, nil
}

// live starts the client and stays until it is reaped, on one locked thread: the kernel sends the parent-death signal
// when the thread that forked ends, and Go ends threads as it likes unless a goroutine is locked to them.
func (c *child) live(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	awaitZombie(c.cmd.Process.Pid)
	close(c.exited)
	<-c.reap
	// The error repeats the exit code, which is read from ProcessState.
	_ = c.cmd.Wait()
	close(c.reaped)
}

// awaitZombie waits for the process to end without reaping it: its pid, and with it the number of its group, stays
// taken until the rest of the family is dead.
func awaitZombie(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// patience is how long killed processes get to die, and the last of their output to arrive.
const patience = 10 * time.Second

// end kills what is left of the family and reaps the client.
func (c *child) end() error {
	err := c.family.killAll(patience)
	// Where the process table cannot be read, the group at least is killed. Its number is still the client's, which was
	// not reaped yet, and a group without anybody alive is no error here.
	_ = unix.Kill(-c.cmd.Process.Pid, unix.SIGKILL)
	c.bury()
	return err
}

// bury reaps the client, which has ended or is about to, and lets go of its input. The output pipes stay open for
// their readers, which get only patience: a process that does not die would hold them open for ever.
func (c *child) bury() {
	<-c.exited
	close(c.reap)
	<-c.reaped
	closeAll(c.hold)
	for _, pipe := range []*os.File{c.out, c.log} {
		_ = pipe.SetReadDeadline(time.Now().Add(patience))
	}
}

// closeAll closes what was opened. Pipes have nothing to flush, so an error of closing one says nothing.
func closeAll(files ...*os.File) {
	for _, file := range files {
		if file != nil {
			_ = file.Close()
		}
	}
}

// volunteerScore makes the kernel take the client before the worker when the machine runs out of memory; 1000 is most.
const volunteerScore = 800

// volunteer is a help, not a promise: where the kernel refuses it, the memory watchdog still stands.
func volunteer(pid int) {
	// #nosec G306 -- a file of the kernel, whose mode is not ours
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte(strconv.Itoa(volunteerScore)), 0o600)
}

// memoryInterval is how often the memory of the family is summed up.
const memoryInterval = 250 * time.Millisecond

// watchMemory calls over, once, when the family takes more than limit resident bytes.
func watchMemory(ctx context.Context, f *family, limit int64, over func(used int64)) {
	ticker := time.NewTicker(memoryInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if used, err := f.resident(); err == nil && used > limit {
			over(used)
			return
		}
	}
}

// drain copies a client's log until its end.
func drain(to io.Writer, from io.Reader) {
	// A pipe that ends early says nothing that the client's end does not.
	_, _ = io.Copy(to, from)
}
