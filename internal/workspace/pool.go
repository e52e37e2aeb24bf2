package workspace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/perceptor/perceptor/model"
)

// keyForm is what a key may look like: it becomes a directory's name.
var keyForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,120}$`)

// The marks of a workspace are files in it: its image is complete; its SBOM is.
const (
	completeMark = "complete"
	finishedMark = "finished"
)

// Pool is the set of workspaces of one host. It is safe for concurrent use.
type Pool struct {
	host string
	root string
	size int
	lock *os.File

	mu sync.Mutex
	// workspaces are those on disk, by key.
	workspaces map[string]*state
	// reserved counts slots promised to tasks that have no workspace yet.
	reserved int
	// changed is closed and replaced whenever a slot may have become free.
	changed chan struct{}
}

// state is what the pool knows of one workspace.
type state struct {
	complete, finished bool
	busy               bool
	since              time.Time
}

// isLeft reports whether a step has left the workspace before its end. Its image is complete: another attempt of the step may
// resume there, if it comes to this host. Until then the workspace takes no slot, and goes when its slot is needed.
func (s *state) isLeft() bool { return s.complete && !s.finished && !s.busy }

// Info is one workspace as a sweeper sees it.
type Info struct {
	Key string
	// Busy is set while the step that acquired the workspace is running.
	Busy bool
	// Since is when the workspace was acquired, or found at the start.
	Since time.Time
}

// Open finds the workspaces of an earlier process in directory/workspaces, deletes the incomplete ones, and locks the
// directory: two processes must not share one.
func Open(directory, host string, size int) (*Pool, error) {
	if size < 1 {
		return nil, fmt.Errorf("workspaces: the number is %d; a scanner needs at least one", size)
	}
	root := filepath.Join(directory, "workspaces")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("workspaces: %w", err)
	}
	lock, err := lockDirectory(directory)
	if err != nil {
		return nil, err
	}
	p := &Pool{host: host, root: root, size: size, lock: lock, workspaces: map[string]*state{}, changed: make(chan struct{})}
	if err := p.rebuild(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func lockDirectory(directory string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(directory, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("workspaces: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("workspaces: another scanner uses %s; give each its own directory: %w", directory, err)
	}
	return lock, nil
}

// rebuild counts the complete workspaces and deletes the others.
func (p *Pool) rebuild() error {
	entries, err := os.ReadDir(p.root)
	if err != nil {
		return fmt.Errorf("workspaces: %w", err)
	}
	for _, entry := range entries {
		path := filepath.Join(p.root, entry.Name())
		if isMarked(path, completeMark) && keyForm.MatchString(entry.Name()) {
			p.workspaces[entry.Name()] = &state{complete: true, finished: isMarked(path, finishedMark), since: time.Now()}
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("workspaces: remove what an earlier process left: %w", err)
		}
	}
	return nil
}

func isMarked(directory, mark string) bool {
	_, err := os.Stat(filepath.Join(directory, mark))
	return err == nil
}

// Close lets another process use the directory. The workspaces stay.
func (p *Pool) Close() error { return p.lock.Close() }

// Host names this host; its queue is derived from it.
func (p *Pool) Host() string { return p.host }

// Size is how many workspaces there may be.
func (p *Pool) Size() int { return p.size }

// Reserve waits until a slot is free and promises it to a task that is about to be fetched.
func (p *Pool) Reserve(ctx context.Context) error {
	for {
		p.mu.Lock()
		if p.hasSlot() {
			p.reserved++
			p.mu.Unlock()
			return nil
		}
		freed := p.changed
		p.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hasSlot reports whether a slot is free. The caller holds the lock.
func (p *Pool) hasSlot() bool { return len(p.workspaces)-len(p.left())+p.reserved < p.size }

// left are the keys of the workspaces that were left, the oldest first. The caller holds the lock.
func (p *Pool) left() []string {
	var keys []string
	for key, each := range p.workspaces {
		if each.isLeft() {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return p.workspaces[a].since.Compare(p.workspaces[b].since) })
	return keys
}

// TryReserve is Reserve that does not wait.
func (p *Pool) TryReserve() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.hasSlot() {
		return false
	}
	p.reserved++
	return true
}

// CancelReservation gives back one slot whose task did not come, or ended without a workspace.
func (p *Pool) CancelReservation() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reserved = max(p.reserved-1, 0)
	p.wakeWaiters()
}

// wakeWaiters wakes those that wait for a slot. The caller holds the lock.
func (p *Pool) wakeWaiters() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Acquire turns a reservation into a workspace: an empty directory named by key. The reservation is used up even when that
// fails. The step calls the function returned when it ends; the workspace stays.
func (p *Pool) Acquire(key string) (string, func(), error) {
	p.makeRoom()
	directory, err := p.makeDirectory(key)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reserved = max(p.reserved-1, 0)
	if err != nil {
		p.wakeWaiters()
		return "", nil, err
	}
	p.workspaces[key] = &state{busy: true, since: time.Now()}
	return directory, func() { p.markIdle(key) }, nil
}

// makeRoom deletes the oldest workspace that was left, where all slots have a directory.
func (p *Pool) makeRoom() {
	p.mu.Lock()
	left := p.left()
	if len(left) == 0 || len(p.workspaces) < p.size {
		p.mu.Unlock()
		return
	}
	delete(p.workspaces, left[0])
	p.mu.Unlock()
	// What cannot be deleted now is deleted at the next start.
	_ = os.RemoveAll(filepath.Join(p.root, left[0]))
}

// Resume turns a reservation into the newest of the given workspaces that an earlier attempt of the same step has left, or has
// finished without being able to say so. Without one the reservation stays. The step calls the function returned when it ends.
func (p *Pool) Resume(keys []string) (key string, markIdle func(), found bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range slices.Backward(keys) {
		if each, ok := p.workspaces[key]; ok && each.complete && !each.busy {
			each.busy = true
			p.reserved = max(p.reserved-1, 0)
			p.wakeWaiters()
			return key, func() { p.markIdle(key) }, true
		}
	}
	return "", nil, false
}

func (p *Pool) makeDirectory(key string) (string, error) {
	if !keyForm.MatchString(key) {
		return "", fmt.Errorf("workspace key %.140q: want letters, digits, dots, dashes and underscores", key)
	}
	directory := filepath.Join(p.root, key)
	if err := os.RemoveAll(directory); err != nil {
		return "", spaceError(fmt.Errorf("workspace %s: %w", key, err))
	}
	if err := os.Mkdir(directory, 0o700); err != nil {
		return "", spaceError(fmt.Errorf("workspace %s: %w", key, err))
	}
	return directory, nil
}

func (p *Pool) markIdle(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h, ok := p.workspaces[key]; ok {
		h.busy, h.since = false, time.Now()
		p.wakeWaiters()
	}
}

// MarkComplete notes that the image in the workspace is complete, so that it is kept over a restart.
func (p *Pool) MarkComplete(key string) error {
	return p.mark(key, completeMark, func(s *state) { s.complete = true })
}

// MarkFinished notes that the SBOM in the workspace is complete: the workspace keeps its slot until its scan is done with it.
func (p *Pool) MarkFinished(key string) error {
	return p.mark(key, finishedMark, func(s *state) { s.finished = true })
}

func (p *Pool) mark(key, file string, note func(*state)) error {
	if err := os.WriteFile(filepath.Join(p.root, key, file), nil, 0o600); err != nil {
		return spaceError(fmt.Errorf("workspace %s: %w", key, err))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if h, ok := p.workspaces[key]; ok {
		note(h)
	}
	return nil
}

// Find is the directory of a workspace that is on disk, and whether its SBOM is complete.
func (p *Pool) Find(key string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h, ok := p.workspaces[key]
	return filepath.Join(p.root, key), ok && h.finished
}

// Directory is where the workspace of a key is, if there is one.
func (p *Pool) Directory(key string) string { return filepath.Join(p.root, key) }

// Release deletes the workspace and all that is in it. Without such a workspace it does nothing.
func (p *Pool) Release(key string) error {
	if !keyForm.MatchString(key) {
		return nil
	}
	err := os.RemoveAll(filepath.Join(p.root, key))
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.workspaces, key)
	p.wakeWaiters()
	if err != nil {
		return fmt.Errorf("workspace %s: %w", key, err)
	}
	return nil
}

// List is every workspace on disk, the oldest first.
func (p *Pool) List() []Info {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Info
	for key, h := range p.workspaces {
		all = append(all, Info{Key: key, Busy: h.busy, Since: h.since})
	}
	slices.SortFunc(all, func(a, b Info) int { return a.Since.Compare(b.Since) })
	return all
}

// Error is a failure of the host's disk.
type Error struct {
	class model.FailureClass
	err   error
}

func (e *Error) Error() string { return e.err.Error() }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.err }

// FailureClass is out-of-space when the disk is full, and transient otherwise: another host may do better.
func (e *Error) FailureClass() model.FailureClass { return e.class }

// RetryAfter is zero: the caller chooses the delay.
func (e *Error) RetryAfter() time.Duration { return 0 }

func spaceError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &Error{class: model.OutOfSpace, err: err}
	}
	return &Error{class: model.Transient, err: err}
}

// Unused reports whether no process uses the directory; it makes it when it is missing.
func Unused(directory string) (bool, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return false, fmt.Errorf("workspaces: %w", err)
	}
	lock, err := lockDirectory(directory)
	if err != nil {
		return false, nil //nolint:nilerr // taken is the answer, not a failure
	}
	return true, lock.Close()
}
