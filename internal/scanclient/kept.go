package scanclient

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/perceptor/perceptor/internal/scanclient/protocol"
)

const (
	// keptRuns is after how many images a client is replaced, whatever state it is in.
	keptRuns = 50
	// keptIdle is how long a client without work is kept. Starting another one costs a second of a processor.
	keptIdle = time.Minute
	// keptMemory is the share of the memory limit above which a client is replaced after its image, in percent.
	keptMemory = 50
)

// kept is a client that serves: it lists one image after the other.
type kept struct {
	child *child
	lines *bufio.Reader
	log   *switchedLog
	// drained is done when all of the log was read.
	drained sync.WaitGroup
	runs    int
	expiry  *time.Timer
}

// end kills the client and reads the rest of its log.
func (k *kept) end() error {
	err := k.child.end()
	k.drained.Wait()
	closeAll(k.child.out, k.child.log)
	return err
}

// switchedLog is a client's log, of which each run keeps its own part.
type switchedLog struct {
	mu sync.Mutex
	to *boundedLog
}

func (l *switchedLog) switchTo(to *boundedLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = to
}

// Write never fails and never blocks.
func (l *switchedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(p)
}

// keeper holds the clients that have no work.
type keeper struct {
	mu     sync.Mutex
	idle   []*kept
	closed bool
}

// take is the client that was used last; nil where there is none.
func (q *keeper) take() *kept {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.idle) == 0 {
		return nil
	}
	k := q.idle[len(q.idle)-1]
	q.idle = q.idle[:len(q.idle)-1]
	k.expiry.Stop()
	return k
}

// put keeps a client for the next image; false where that is not wanted.
func (q *keeper) put(k *kept) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.idle = append(q.idle, k)
	k.expiry = time.AfterFunc(keptIdle, func() {
		if q.remove(k) {
			_ = k.end() // it is killed, and what does not die has no work
		}
	})
	return true
}

func (q *keeper) remove(k *kept) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, each := range q.idle {
		if each == k {
			q.idle = append(q.idle[:i], q.idle[i+1:]...)
			return true
		}
	}
	return false
}

// Close ends the clients that are kept without work. Runs go on, and end their clients.
func (r *Runner) Close() error {
	if r.keeper == nil {
		return nil
	}
	r.keeper.mu.Lock()
	r.keeper.closed = true
	r.keeper.mu.Unlock()
	for k := r.keeper.take(); k != nil; k = r.keeper.take() {
		if err := k.end(); err != nil {
			return fmt.Errorf("end a scan client: %w", err)
		}
	}
	return nil
}

// serve has a kept client do a task. When it returns, the scratch is gone. After a failure the client is dead with all its
// family. Else the caller says whether the client has done well: then it is kept for the next task.
func (r *Runner) serve(ctx context.Context, t task, what protocol.Task) (protocol.Result, func(good bool), error) {
	failed := func(why ending, log string) (protocol.Result, func(bool), error) {
		return protocol.Result{}, nil, t.failed(why, true, log)
	}
	line, err := what.Line()
	if err != nil {
		return failed(endedBadRequest(err.Error()), "")
	}
	for {
		if ctx.Err() != nil {
			return failed(endedCancelled(context.Cause(ctx)), "")
		}
		if err := freshDir(t.scratch); err != nil {
			return failed(endedScratchDir(err), "")
		}
		k, isNew, err := r.client(t)
		if err != nil {
			_ = removeTree(t.scratch)
			return failed(endedNotStarted(err), "")
		}
		log := newBoundedLog(r.options.LogLimit)
		k.log.switchTo(log)
		said, stopped := r.attendKept(ctx, k, t, line)
		// What cannot be removed now is removed by the next run in the same place, or by the owner of the directory.
		_ = removeTree(t.scratch)
		if said.last != nil && said.last.Result != nil && stopped == nil && said.broken == nil {
			result := *said.last.Result
			return result, func(good bool) {
				if !good || !r.keep(k, result) {
					_ = k.end() // what does not die has no work
				}
			}, nil
		}
		if unkillable := k.end(); unkillable != nil {
			_, _ = fmt.Fprintln(log, unkillable)
		}
		if said.isSilent() && stopped == nil && !isNew {
			continue // it has ended while it had no work
		}
		result, why := judge(said, stopped, k.child.cmd.ProcessState, log.lastWords(t.secrets...))
		if why == nil {
			return result, func(bool) {}, nil
		}
		return failed(*why, log.String(t.secrets...))
	}
}

// client is a client that waits for work, or a new one.
func (r *Runner) client(t task) (k *kept, isNew bool, err error) {
	if k := r.keeper.take(); k != nil {
		return k, false, nil
	}
	mark := rand.Text()
	args := append(append(append([]string{}, r.options.Args...), protocol.VerbServe), r.layerArgs()...)
	// The directory of a task is gone before the client is: each task names its own.
	t.scratch = "/"
	c, err := start(r.command, args, r.environment(t, mark), t.scratch, mark)
	if err != nil {
		return nil, false, err
	}
	k = &kept{child: c, lines: bufio.NewReaderSize(c.out, protocol.MaxLine+1), log: &switchedLog{to: newBoundedLog(r.options.LogLimit)}}
	k.drained.Go(func() { drain(k.log, c.log) })
	return k, true, nil
}

// attendKept gives the client a task and stays until it has answered, has ended, or has to be stopped.
func (r *Runner) attendKept(ctx context.Context, k *kept, t task, line []byte) (said *session, stopped *ending) {
	said = &session{once: true}
	ctx, cancel := context.WithTimeoutCause(ctx, t.timeout, t.late(t.timeout))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	k.runs++
	watched := r.watch(ctx, k.child.family, t, stop)
	answered := make(chan struct{})
	// A client that has ended takes nothing, and its answer says so. A line is shorter than what a pipe holds.
	_, _ = k.child.hold.Write(line)
	go func() {
		defer close(answered)
		said.listen(k.lines, t.progress, func(e ending) { stop(e) })
	}()
	select {
	case <-answered:
		if ctx.Err() != nil && said.last == nil {
			stopped = stopReason(ctx)
		}
	case <-ctx.Done():
		stopped = stopReason(ctx)
		_ = k.child.family.killAll(patience)
		<-answered
	}
	stop(nil)
	watched.Wait()
	return said, stopped
}

// keep keeps a client that is fit for another image.
func (r *Runner) keep(k *kept, result protocol.Result) bool {
	if result.Ends || k.runs >= keptRuns || k.lines.Buffered() > 0 {
		return false
	}
	members, err := k.child.family.scan()
	if err != nil || len(members) != 1 || members[0].resident > r.options.MemoryLimit/100*keptMemory {
		return false
	}
	return r.keeper.put(k)
}
