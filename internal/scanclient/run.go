package scanclient

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/internal/scanclient/scratch"
	"github.com/perceptor/perceptor/model"
)

// task is one run of the client.
type task struct {
	op string
	// args follow the runner's own: the verb and its flags.
	args []string
	// env is what the client gets beside the common variables.
	env []string
	// secrets are blotted out wherever the client's own words are shown.
	secrets []string
	// scratch is a directory that may hold nothing else; it is emptied before and removed after.
	scratch string
	timeout time.Duration
	// late is how a run ends that takes longer.
	late     func(time.Duration) ending
	progress func(Progress)
}

// scratchInterval is how often the scratch directory is measured.
const scratchInterval = time.Second

// run runs the client to its end and beyond: when it returns, no process of it is left and its scratch is gone.
func (r *Runner) run(ctx context.Context, t task) (protocol.Result, error) {
	said := &session{}
	words := append(append([]string{r.command}, r.options.Args...), t.args...)
	ended, err := r.execute(ctx, t, words, func(out io.Reader, stop func(ending)) {
		said.listen(bufio.NewReaderSize(out, protocol.MaxLine+1), t.progress, stop)
	})
	if err != nil {
		return protocol.Result{}, err
	}
	result, why := judge(said, ended.stopped, ended.state, ended.log.lastWords(t.secrets...))
	if why == nil {
		return result, nil
	}
	return protocol.Result{}, t.failed(*why, why.refused || !said.uploading, ended.log.String(t.secrets...))
}

// execution is how a program ended.
type execution struct {
	state *os.ProcessState
	log   *boundedLog
	// stopped is why it was killed; nil when it ended by itself.
	stopped *ending
}

// reader reads a program's standard output to its end. It may call stop, and then only drains.
type reader func(out io.Reader, stop func(ending))

// reading is a reader that keeps a part of the output.
func reading(kept *boundedLog) reader {
	return func(out io.Reader, _ func(ending)) { drain(kept, out) }
}

// execute runs a program in a scratch directory of its own. Words are the program and its arguments.
func (r *Runner) execute(ctx context.Context, t task, words []string, read reader) (execution, error) {
	if ctx.Err() != nil {
		return execution{}, t.failed(endedCancelled(context.Cause(ctx)), true, "")
	}
	if err := freshDir(t.scratch); err != nil {
		return execution{}, t.failed(endedScratchDir(err), true, "")
	}
	// What cannot be removed now is removed by the next run in the same place, or by the owner of the directory.
	defer func() { _ = removeTree(t.scratch) }()
	mark := rand.Text()
	c, err := start(words[0], words[1:], r.environment(t, mark), t.scratch, mark)
	if err != nil {
		return execution{}, t.failed(endedNotStarted(err), true, "")
	}
	log, stopped := r.attend(ctx, c, t, read)
	return execution{state: c.cmd.ProcessState, log: log, stopped: stopped}, nil
}

// attend stays with the client until it and its family are dead and all they said was read. Stopped is why they were
// killed; nil when the client ended by itself.
func (r *Runner) attend(ctx context.Context, c *child, t task, read reader) (log *boundedLog, stopped *ending) {
	log = newBoundedLog(r.options.LogLimit)
	ctx, cancel := context.WithTimeoutCause(ctx, t.timeout, t.late(t.timeout))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var readers sync.WaitGroup
	readers.Go(func() { read(c.out, func(e ending) { stop(e) }) })
	readers.Go(func() { drain(log, c.log) })
	watched := r.watch(ctx, c.family, t, stop)
	select {
	case <-c.exited:
	case <-ctx.Done():
		stopped = stopReason(ctx)
	}
	unkillable := c.end()
	readers.Wait()
	closeAll(c.out, c.log)
	stop(nil)
	watched.Wait()
	if unkillable != nil {
		_, _ = fmt.Fprintln(log, unkillable)
	}
	return log, stopped
}

// watch stops a run that takes more memory or disk than it may. What it answers with is done once ctx has ended.
func (r *Runner) watch(ctx context.Context, of *family, t task, stop context.CancelCauseFunc) *sync.WaitGroup {
	watchers := new(sync.WaitGroup)
	watchers.Go(func() {
		watchMemory(ctx, of, r.options.MemoryLimit, func(used int64) { stop(endedMemory(used, r.options.MemoryLimit)) })
	})
	watchers.Go(func() {
		scratch.Watch(ctx, t.scratch, r.options.ScratchQuota, scratchInterval, func(int64) { stop(endedScratch(r.options.ScratchQuota)) })
	})
	return watchers
}

// stopReason is the ending a watcher gave, or the caller's own cancellation.
func stopReason(ctx context.Context) *ending {
	var why ending
	if !errors.As(context.Cause(ctx), &why) {
		why = endedCancelled(context.Cause(ctx))
	}
	return &why
}

// judge says what the end of a run means. What the client said last counts most, because it knows whether the hub has
// the scan; then why it was stopped; then how it died.
func judge(said *session, stopped *ending, state *os.ProcessState, lastWords string) (protocol.Result, *ending) {
	why := func(e ending) (protocol.Result, *ending) { return protocol.Result{}, &e }
	if said.broken != nil {
		return why(*said.broken)
	}
	status, _ := state.Sys().(syscall.WaitStatus)
	if said.last != nil {
		switch {
		case said.last.Failure != nil:
			return why(endedByItself(*said.last.Failure))
		case stopped == nil && status.Exited() && status.ExitStatus() != protocol.ExitOK:
			return why(endedContradiction(status.ExitStatus()))
		default:
			return *said.last.Result, nil
		}
	}
	if died := diedOf(stopped, state, lastWords); died != nil {
		return protocol.Result{}, died
	}
	return why(endedSilent())
}

// diedOf says what the end of a program means that said nothing; nil when it ended well by itself.
func diedOf(stopped *ending, state *os.ProcessState, lastWords string) *ending {
	status, _ := state.Sys().(syscall.WaitStatus)
	var why ending
	switch {
	case stopped != nil:
		return stopped
	case status.Signaled():
		why = endedSignal(status.Signal())
	case status.ExitStatus() == protocol.ExitOK:
		return nil
	default:
		why = endedWithCode(status.ExitStatus(), lastWords)
	}
	return &why
}

// failed is the one place that turns an ending into the package's error.
func (t task) failed(why ending, refused bool, log string) error {
	return &Error{
		Class: why.class, Op: t.op, Reason: blot(why.reason, t.secrets), Wait: why.wait, Refused: refused, Log: log, Err: why.err,
	}
}

// freshDir makes dir an empty directory of the owner's alone. Leftovers are from a worker that was killed.
func freshDir(dir string) error {
	if err := removeTree(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o700)
}

// removeTree removes dir and everything in it, directories without write permission included: an image may hold such,
// and a client may have unpacked them.
func removeTree(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if err := openUp(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// openUp makes every directory of the tree the owner's to write, and follows no link out of it.
func openUp(dir string) error {
	// #nosec G302 -- a directory needs its execute bit, and the owner alone gets any
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	return fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return root.Chmod(path, 0o700)
	})
}

// classOfDisk is the class of a failure to make or write files.
func classOfDisk(err error) model.FailureClass {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return model.OutOfSpace
	}
	return model.Transient
}
