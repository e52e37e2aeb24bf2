package registry

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/perceptor/perceptor/internal/diskcache"
)

// cache keeps layers as files named by their digest: whole ones under sha256/, growing ones under partial/.
type cache struct {
	*diskcache.Dir

	mu sync.Mutex
	// checked holds the inodes whose contents this process has seen to match their digest.
	checked map[string]uint64
}

func openCache(dir string) (*cache, error) {
	kept, err := diskcache.Open(filepath.Join(dir, "sha256"), filepath.Join(dir, "partial"))
	if err != nil {
		return nil, fmt.Errorf("registry client: %w", err)
	}
	return &cache{Dir: kept, checked: map[string]uint64{}}, nil
}

// open holds a whole layer, so that it cannot be evicted before it is closed. It returns nil when there is none.
// A layer that this process has not seen yet is read through once: the disk may have lost or changed it.
func (c *cache) open(ctx context.Context, d v1.Descriptor) (*os.File, error) {
	file, err := c.Get(d.Digest.Hex)
	if err != nil || file == nil {
		return nil, err
	}
	good, err := c.check(ctx, file, d)
	if err != nil || !good {
		_ = file.Close()
		if err == nil {
			err = c.Drop(d.Digest.Hex)
		}
		return nil, err
	}
	c.Used(d.Digest.Hex)
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
	known := c.checked[d.Digest.Hex] == diskcache.Inode(info)
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
	c.checked[h.Hex] = diskcache.Inode(info)
}

// publish gives a finished layer its name. The file stays held, shared, until it is closed.
func (c *cache) publish(file *os.File, h v1.Hash) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := c.Publish(file, h.Hex); err != nil {
		return err
	}
	c.remember(h, info)
	return nil
}

// shrink evicts layers that no pull holds, least recently used first, until the rest has at most limit bytes.
func (c *cache) shrink(limit int64) error {
	return c.Shrink(limit, func(hex string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.checked, hex)
	})
}
