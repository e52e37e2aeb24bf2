package registry

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// room keeps pulls from filling a disk: each says beforehand what it will write, and what the others still may write
// counts as taken. That errs on the safe side, since part of their bytes is on the disk already.
type room struct {
	minFree int64

	mu sync.Mutex
	// promised is by device.
	promised map[uint64]int64
}

// need is how many bytes will be written below a directory.
type need struct {
	dir   string
	bytes int64
	// evictable says that the directory's disk has old layers that may make room.
	evictable bool
}

// claim promises room for the needs or says why there is none. The caller gives it back when it is done.
func (r *room) claim(needs []need, evict func(short int64) error) (release func(), err error) {
	byDevice := map[uint64]need{}
	for _, n := range needs {
		device, err := deviceOf(n.dir)
		if err != nil {
			return nil, err
		}
		before := byDevice[device]
		byDevice[device] = need{dir: n.dir, bytes: before.bytes + n.bytes, evictable: before.evictable || n.evictable}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for device, n := range byDevice {
		short, err := r.short(device, n)
		if err == nil && short > 0 && n.evictable {
			if err = evict(short); err == nil {
				short, err = r.short(device, n)
			}
		}
		if err != nil {
			return nil, err
		}
		if short > 0 {
			return nil, faultf(noSpace, "it needs %s in %s beside %s to be left free, %s too much; make room or lower the limits",
				binary(n.bytes), n.dir, binary(r.minFree), binary(short))
		}
	}
	for device, n := range byDevice {
		r.promised[device] += n.bytes
	}
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for device, n := range byDevice {
			r.promised[device] -= n.bytes
		}
	}), nil
}

// short is how many bytes are missing; negative when there is room to spare.
func (r *room) short(device uint64, n need) (int64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(n.dir, &stat); err != nil {
		return 0, &os.PathError{Op: "look at the free space of", Path: n.dir, Err: err}
	}
	free := int64(stat.Bavail) * stat.Bsize //nolint:gosec // No disk has 2^63 bytes.
	return n.bytes + r.promised[device] + r.minFree - free, nil
}

func deviceOf(dir string) (uint64, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return 0, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, errors.New("this system does not tell disks apart")
	}
	return stat.Dev, nil
}

// binary writes a number of bytes the way people say it.
func binary(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, suffixes := float64(n)/unit, "KMGTPE"
	for value >= unit {
		value, suffixes = value/unit, suffixes[1:]
	}
	return fmt.Sprintf("%.1f %ciB", value, suffixes[0])
}
