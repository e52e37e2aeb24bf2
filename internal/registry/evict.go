package registry

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// shrink evicts layers that no pull holds, least recently used first, until the rest has at most limit bytes.
func (c *cache) shrink(limit int64) error {
	c.evicting.Lock()
	defer c.evicting.Unlock()
	entries, err := os.ReadDir(c.whole)
	if err != nil {
		return err
	}
	var kept int64
	var infos []fs.FileInfo
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			continue // Another process evicted it.
		}
		kept += info.Size()
		infos = append(infos, info)
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	for _, info := range infos {
		if kept <= limit {
			return nil
		}
		if c.evict(info.Name()) {
			kept -= info.Size()
		}
	}
	return nil
}

func (c *cache) evict(name string) bool {
	path := filepath.Join(c.whole, name)
	file, err := openLocked(path, os.O_RDWR, syscall.LOCK_EX)
	if err != nil {
		return false
	}
	defer file.Close() //nolint:errcheck // Only held.
	if os.Remove(path) != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.checked, name)
	return true
}

// size is the sum of all whole layers in bytes.
func (c *cache) size() (int64, error) {
	entries, err := os.ReadDir(c.whole)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil {
			sum += info.Size()
		}
	}
	return sum, nil
}
