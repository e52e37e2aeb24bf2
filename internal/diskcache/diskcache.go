package diskcache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Poll is how often a process looks whether another one has finished a file.
const Poll = 50 * time.Millisecond

// errBusy is a file that someone else holds.
var errBusy = errors.New("file is in use")

// ownerOnly are the permissions of the directories: other users may not read what private images hold.
const ownerOnly = 0o700

// Dir is one cache. It is safe for use by several goroutines and processes.
type Dir struct {
	whole   string
	partial string

	// evicting keeps two users of the process from removing more than is needed.
	evicting sync.Mutex
}

// OpenIn is Open with the two directories below one.
func OpenIn(directory string) (*Dir, error) {
	return Open(filepath.Join(directory, "whole"), filepath.Join(directory, "partial"))
}

// Open makes the two directories where they are missing, and removes what killed processes have left growing.
func Open(whole, partial string) (*Dir, error) {
	for _, d := range []string{whole, partial} {
		if err := os.MkdirAll(d, ownerOnly); err != nil {
			return nil, fmt.Errorf("make the cache: %w", err)
		}
	}
	if err := RemoveAbandoned(partial, ""); err != nil {
		return nil, fmt.Errorf("clean the cache: %w", err)
	}
	return &Dir{whole: whole, partial: partial}, nil
}

// RemoveAbandoned removes the files of a directory with a prefix that no living process holds.
func RemoveAbandoned(dir, prefix string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), prefix) || !entry.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		file, err := openLocked(path, os.O_RDWR, syscall.LOCK_EX)
		if errors.Is(err, errBusy) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = os.Remove(path)
		_ = file.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// openLocked opens and locks a file without waiting, and makes sure that the name still means the file it locked.
func openLocked(path string, flags, how int) (*os.File, error) {
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(file, how); err != nil {
		_ = file.Close()
		return nil, err
	}
	held, err1 := file.Stat()
	named, err2 := os.Stat(path)
	if err1 != nil || err2 != nil || !os.SameFile(held, named) {
		_ = file.Close()
		return nil, errBusy
	}
	return file, nil
}

// Hold locks a growing file, so that no other process takes it for abandoned.
func Hold(file *os.File) error { return lock(file, syscall.LOCK_EX) }

func lock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errBusy
		case err != nil:
			return &fs.PathError{Op: "lock", Path: file.Name(), Err: err}
		default:
			return nil
		}
	}
}

// Path is where the whole file of a name stands.
func (d *Dir) Path(name string) string { return filepath.Join(d.whole, name) }

// Get holds the whole file of a name, so that it cannot be evicted before it is closed. It returns nil where there is none.
func (d *Dir) Get(name string) (*os.File, error) {
	file, err := openLocked(d.Path(name), os.O_RDONLY, syscall.LOCK_SH)
	if errors.Is(err, errBusy) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return file, err
}

// Used notes that the file of a name is in use now: the least recently used files are evicted first.
func (d *Dir) Used(name string) {
	now := time.Now()
	// The time of change is the time of use. A disk that cannot keep it only evicts in a worse order.
	_ = os.Chtimes(d.Path(name), now, now)
}

// Drop removes a damaged file. A concurrent user of the file finds the same damage.
func (d *Dir) Drop(name string) error {
	if err := os.Remove(d.Path(name)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Begin holds the one growing file of a name, empty, and waits while another process holds it. It returns nil when the
// file has become whole meanwhile.
func (d *Dir) Begin(ctx context.Context, name string) (*os.File, error) {
	growing := filepath.Join(d.partial, name)
	for {
		file, err := openLocked(growing, os.O_CREATE|os.O_RDWR, syscall.LOCK_EX)
		if err != nil && !errors.Is(err, errBusy) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if _, there := os.Stat(d.Path(name)); there == nil {
			if err == nil {
				Discard(file)
			}
			return nil, nil
		}
		if err == nil {
			return file, file.Truncate(0)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(Poll):
		}
	}
}

// Publish gives a finished file its name. The file stays held, shared, until it is closed.
func (d *Dir) Publish(file *os.File, name string) error {
	if err := lock(file, syscall.LOCK_SH); err != nil {
		return err
	}
	return os.Rename(file.Name(), d.Path(name))
}

// Discard removes a growing file while it is still held, so that no process can find half a file.
func Discard(file *os.File) {
	_ = os.Remove(file.Name())
	_ = file.Close()
}

// Shrink evicts files that no process holds, least recently used first, until the rest has at most limit bytes. Evicted,
// which may be nil, is called with each name.
func (d *Dir) Shrink(limit int64, evicted func(name string)) error {
	d.evicting.Lock()
	defer d.evicting.Unlock()
	infos, kept, err := d.list()
	if err != nil {
		return err
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	for _, info := range infos {
		if kept <= limit {
			return nil
		}
		if !d.evict(info.Name()) {
			continue
		}
		kept -= info.Size()
		if evicted != nil {
			evicted(info.Name())
		}
	}
	return nil
}

func (d *Dir) evict(name string) bool {
	file, err := openLocked(d.Path(name), os.O_RDWR, syscall.LOCK_EX)
	if err != nil {
		return false
	}
	defer file.Close() //nolint:errcheck // Only held.
	return os.Remove(d.Path(name)) == nil
}

// Size is the sum of all whole files in bytes.
func (d *Dir) Size() (int64, error) {
	_, size, err := d.list()
	return size, err
}

func (d *Dir) list() (infos []fs.FileInfo, size int64, err error) {
	entries, err := os.ReadDir(d.whole)
	if err != nil {
		return nil, 0, err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			continue // Another process evicted it.
		}
		size += info.Size()
		infos = append(infos, info)
	}
	return infos, size, nil
}

// Inode tells the files of one disk apart; 0 where the system does not say.
func Inode(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}
