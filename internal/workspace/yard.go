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

// completeMark is the file that says a berth's image is whole.
const completeMark = "complete"

// Yard is the set of berths of one host. It is safe for concurrent use.
type Pool struct {
	host string
	root string
	size int
	lock *os.File

	mu sync.Mutex
	// held are the berths on disk. A berth in the hands of a running step is busy.
	held map[string]*holding
	// reserved counts places promised to tasks that hold no berth yet.
	reserved int
	// freed is closed and replaced whenever a place may have become free.
	freed chan struct{}
}

type holding struct {
	complete bool
	busy     bool
	since    time.Time
}

// Held is one berth as a sweeper sees it.
type Held struct {
	Key string
	// Busy is set while the step that took the berth is running.
	Busy bool
	// Since is when the berth was taken, or found at the start.
	Since time.Time
}

// Open finds the berths left by an earlier process in directory/berths, drops those that are not whole, and locks the
// directory: two processes must not share one.
func Open(directory, host string, size int) (*Pool, error) {
	if size < 1 {
		return nil, fmt.Errorf("berths: %d of them; a scanner needs at least one", size)
	}
	root := filepath.Join(directory, "berths")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("berths: %w", err)
	}
	lock, err := lockDirectory(directory)
	if err != nil {
		return nil, err
	}
	y := &Pool{host: host, root: root, size: size, lock: lock, held: map[string]*holding{}, freed: make(chan struct{})}
	if err := y.rebuild(); err != nil {
		return nil, errors.Join(err, y.Close())
	}
	return y, nil
}

func lockDirectory(directory string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(directory, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("berths: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("berths: another scanner uses %s; give each its own directory: %w", directory, err)
	}
	return lock, nil
}

// rebuild counts what is whole and deletes what is not.
func (y *Pool) rebuild() error {
	entries, err := os.ReadDir(y.root)
	if err != nil {
		return fmt.Errorf("berths: %w", err)
	}
	for _, entry := range entries {
		path := filepath.Join(y.root, entry.Name())
		if _, err := os.Stat(filepath.Join(path, completeMark)); err == nil && keyForm.MatchString(entry.Name()) {
			y.held[entry.Name()] = &holding{complete: true, since: time.Now()}
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("berths: remove what an earlier process left: %w", err)
		}
	}
	return nil
}

// Close lets another process use the directory. The berths stay.
func (y *Pool) Close() error { return y.lock.Close() }

// Host names this host; its queue is derived from it.
func (y *Pool) Host() string { return y.host }

// Size is how many berths there are.
func (y *Pool) Size() int { return y.size }

// Reserve waits until a place is free and promises it to a task that is about to be fetched.
func (y *Pool) Reserve(ctx context.Context) error {
	for {
		y.mu.Lock()
		if len(y.held)+y.reserved < y.size {
			y.reserved++
			y.mu.Unlock()
			return nil
		}
		freed := y.freed
		y.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TryReserve is Reserve that does not wait.
func (y *Pool) TryReserve() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	if len(y.held)+y.reserved >= y.size {
		return false
	}
	y.reserved++
	return true
}

// Cancel takes back one reservation whose task did not come, or ended without a berth.
func (y *Pool) Cancel() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.reserved = max(y.reserved-1, 0)
	y.signal()
}

// signal wakes those who wait for a place. The lock is held.
func (y *Pool) signal() {
	close(y.freed)
	y.freed = make(chan struct{})
}

// Take turns a reservation into a berth: an empty directory named by key. The reservation is used up even when that
// goes wrong. The function returned says that the step that took the berth has ended; the berth stays.
func (y *Pool) Take(key string) (string, func(), error) {
	directory, err := y.makeDirectory(key)
	y.mu.Lock()
	defer y.mu.Unlock()
	y.reserved = max(y.reserved-1, 0)
	if err != nil {
		y.signal()
		return "", nil, err
	}
	y.held[key] = &holding{busy: true, since: time.Now()}
	return directory, func() { y.settled(key) }, nil
}

func (y *Pool) makeDirectory(key string) (string, error) {
	if !keyForm.MatchString(key) {
		return "", fmt.Errorf("berth key %.140q: want letters, digits, dots, dashes and underscores", key)
	}
	directory := filepath.Join(y.root, key)
	if err := os.RemoveAll(directory); err != nil {
		return "", spaceError(fmt.Errorf("berth %s: %w", key, err))
	}
	if err := os.Mkdir(directory, 0o700); err != nil {
		return "", spaceError(fmt.Errorf("berth %s: %w", key, err))
	}
	return directory, nil
}

func (y *Pool) settled(key string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if h, ok := y.held[key]; ok {
		h.busy, h.since = false, time.Now()
	}
}

// Keep marks the berth as whole, so that it is kept over a restart.
func (y *Pool) Keep(key string) error {
	if err := os.WriteFile(filepath.Join(y.root, key, completeMark), nil, 0o600); err != nil {
		return spaceError(fmt.Errorf("berth %s: %w", key, err))
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	if h, ok := y.held[key]; ok {
		h.complete = true
	}
	return nil
}

// Find is the directory of a berth that is held and whole.
func (y *Pool) Find(key string) (string, bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	h, ok := y.held[key]
	return filepath.Join(y.root, key), ok && h.complete
}

// Free deletes the berth and all that is in it. A berth that is not there is free already.
func (y *Pool) Free(key string) error {
	if !keyForm.MatchString(key) {
		return nil
	}
	err := os.RemoveAll(filepath.Join(y.root, key))
	y.mu.Lock()
	defer y.mu.Unlock()
	delete(y.held, key)
	y.signal()
	if err != nil {
		return fmt.Errorf("berth %s: %w", key, err)
	}
	return nil
}

// List is every berth held, by key.
func (y *Pool) List() []Held {
	y.mu.Lock()
	defer y.mu.Unlock()
	var all []Held
	for key, h := range y.held {
		all = append(all, Held{Key: key, Busy: h.busy, Since: h.since})
	}
	slices.SortFunc(all, func(a, b Held) int { return a.Since.Compare(b.Since) })
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

// RetryAfter leaves the delay to whoever retries.
func (e *Error) RetryAfter() time.Duration { return 0 }

func spaceError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &Error{class: model.OutOfSpace, err: err}
	}
	return &Error{class: model.Transient, err: err}
}
