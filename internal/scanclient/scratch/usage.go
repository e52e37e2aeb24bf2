package scratch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"
)

// blockSize is the unit of the kernel's block count, whatever the file system's own blocks are (stat(2)).
const blockSize = 512

// Usage is how many bytes of disk the tree under dir takes. Links are not followed, sparse parts cost nothing, and
// what vanishes meanwhile is not counted. A directory that is not there takes nothing.
func Usage(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			total += stat.Blocks * blockSize
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measure scratch directory: %w", err)
	}
	return total, nil
}

// Watch measures dir again and again and calls over, once, when it takes more than quota bytes. It returns then, or
// when ctx ends. A measurement that goes wrong is tried again at the next tick: directories come and go underneath.
func Watch(ctx context.Context, dir string, quota int64, every time.Duration, over func(used int64)) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if used, err := Usage(dir); err == nil && used > quota {
			over(used)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
