package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// cache keeps layers as files named by their digest: whole ones under sha256/, growing ones under partial/.
//
// Locks on the files themselves tell processes apart: who uses a layer holds its file shared, who removes or writes
// one holds it exclusively. The kernel drops a lock with its process, so nothing is left over by a kill.
type cache struct {
	whole   string
	partial string
	limit   int64

	// evicting keeps two pulls of the process from removing more than is needed.
	evicting sync.Mutex

	mu sync.Mutex
	// checked holds the inodes whose contents this process has seen to match their digest.
	checked map[string]uint64
}

// lockPoll is how often a process looks whether another one has finished a layer.
const lockPoll = 50 * time.Millisecond

// errBusy is a file that another pull holds.
var errBusy = errors.New("file is in use")

// ownerOnly are the permissions of the cache: other users may not read the layers of private images.
const ownerOnly = 0o700

func openCache(dir string, limit int64) (*cache, error) {
	c := &cache{
		whole: filepath.Join(dir, "sha256"), partial: filepath.Join(dir, "partial"),
		limit: limit, checked: map[string]uint64{},
	}
	for _, d := range []string{c.whole, c.partial} {
		if err := os.MkdirAll(d, ownerOnly); err != nil {
			return nil, fmt.Errorf("registry client: make the cache: %w", err)
		}
	}
	if err := removeAbandoned(c.partial, ""); err != nil {
		return nil, fmt.Errorf("registry client: clean the cache: %w", err)
	}
	return c, nil
}

// removeAbandoned removes the files with a prefix that no living process holds.
func removeAbandoned(dir, prefix string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if len(entry.Name()) < len(prefix) || entry.Name()[:len(prefix)] != prefix || !entry.Type().IsRegular() {
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

func (c *cache) path(h v1.Hash) string { return filepath.Join(c.whole, h.Hex) }

// open holds a whole layer, so that it cannot be evicted before it is closed. It returns nil when there is none.
// A layer that this process has not seen yet is read through once: the disk may have lost or changed it.
func (c *cache) open(ctx context.Context, d v1.Descriptor) (*os.File, error) {
	path := c.path(d.Digest)
	file, err := openLocked(path, os.O_RDONLY, syscall.LOCK_SH)
	if errors.Is(err, errBusy) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	good, err := c.check(ctx, file, d)
	if err != nil || !good {
		_ = file.Close()
		if err == nil {
			// A concurrent reader of the damaged file finds the same.
			err = ignoreAbsent(os.Remove(path))
		}
		return nil, err
	}
	now := time.Now()
	// The time of change is the time of use. A disk that cannot keep it only evicts in a worse order.
	_ = os.Chtimes(path, now, now)
	return file, nil
}

func (c *cache) check(ctx context.Context, file *os.File, d v1.Descriptor) (bool, error) {
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	if info.Size() != d.Size {
		return false, nil
	}
	c.mu.Lock()
	known := c.checked[d.Digest.Hex] == inode(info)
	c.mu.Unlock()
	if known {
		return true, nil
	}
	got, err := hashFile(ctx, file)
	if err != nil || got != d.Digest {
		return false, err
	}
	c.remember(d.Digest, info)
	return true, nil
}

func (c *cache) remember(h v1.Hash, info fs.FileInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checked[h.Hex] = inode(info)
}

func inode(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}

// begin holds the one growing file of a layer, waiting while another process holds it. It returns nil when the
// layer has become whole meanwhile.
func (c *cache) begin(ctx context.Context, h v1.Hash) (*os.File, error) {
	growing := filepath.Join(c.partial, h.Hex)
	for {
		file, err := openLocked(growing, os.O_CREATE|os.O_RDWR, syscall.LOCK_EX)
		if err != nil && !errors.Is(err, errBusy) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if _, there := os.Stat(c.path(h)); there == nil {
			if err == nil {
				discard(file)
			}
			return nil, nil
		}
		if err == nil {
			return file, file.Truncate(0)
		}
		if err := sleep(ctx, lockPoll); err != nil {
			return nil, err
		}
	}
}

// publish gives a finished layer its name. The file stays held, shared, until it is closed.
func (c *cache) publish(file *os.File, h v1.Hash) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := lock(file, syscall.LOCK_SH); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), c.path(h)); err != nil {
		return err
	}
	c.remember(h, info)
	return nil
}

// discard removes a growing file while it is still held, so that no pull can find half a layer.
func discard(file *os.File) {
	_ = os.Remove(file.Name())
	_ = file.Close()
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
