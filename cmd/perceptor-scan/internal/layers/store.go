package layers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"sync"
	"syscall"

	"github.com/perceptor/perceptor/internal/diskcache"
)

// Request names one layer of an image.
type Request struct {
	// Key is the verified digest of the layer as the registry stores it, in hexadecimal; empty when it is not known.
	Key string
	// Digest is what the image's configuration says of the inflated layer.
	Digest string
	// Open inflates the layer. It is called when the layer is not kept.
	Open func() (io.ReadCloser, error)
}

// keyForm is a digest in hexadecimal. It becomes a file's name.
var keyForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// maxRemembered is how many layers a process keeps in memory. Their files may be evicted meanwhile.
const maxRemembered = 64

// Store keeps layers on the host. It is safe for use by several goroutines and processes.
type Store struct {
	dir   *diskcache.Dir
	limit int64

	mu sync.Mutex
	// checked are the layers that this process has written or has read to their end, in the order of their use.
	checked []remembered
}

// remembered is a layer whose contents have its digest, as long as its file is the same.
type remembered struct {
	key   string
	inode uint64
	layer *Layer
}

// Open keeps layers below a directory, at most limit bytes of them beside those in use.
func Open(directory string, limit int64) (*Store, error) {
	dir, err := diskcache.OpenIn(directory)
	if err != nil {
		return nil, fmt.Errorf("keep layers: %w", err)
	}
	return &Store{dir: dir, limit: limit}, nil
}

// Layer answers with a kept layer, or keeps it first. The caller closes it. Where no digest is known, or the configuration
// says the wrong one, the layer is read for this image alone.
func (s *Store) Layer(ctx context.Context, r Request) (*Layer, error) {
	if !keyForm.MatchString(r.Key) {
		return Private(r)
	}
	// Another process may remove what was there a moment ago.
	for range 3 {
		l, err := s.kept(ctx, r.Key)
		if err != nil {
			return nil, err
		}
		if l != nil {
			s.dir.Used(r.Key)
			l.compare(r)
			return l, nil
		}
		growing, err := s.dir.Begin(ctx, r.Key)
		if err != nil {
			return nil, fmt.Errorf("keep a layer: %w", err)
		}
		if growing != nil {
			return s.keep(growing, r)
		}
	}
	return Private(r)
}

// keep inflates a layer into its growing file and gives it its name.
func (s *Store) keep(growing *os.File, r Request) (*Layer, error) {
	l, err := inflate(r, growing)
	if err == nil {
		err = l.write(growing)
	}
	if err == nil {
		err = s.dir.Publish(growing, r.Key)
	}
	if err != nil {
		diskcache.Discard(growing)
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			// Old layers give way, so that the next try has room.
			err = errors.Join(err, s.dir.Shrink(0, nil))
		}
		return nil, err
	}
	s.remember(r.Key, growing, l)
	if err := s.shrink(growing); err != nil {
		slog.Warn("old layers were not removed", "error", err)
	}
	return l, nil
}

// minFree is what kept layers leave free on their disk, so that images can be pulled: twice what a pull itself leaves free.
const minFree = 2 << 30

// shrink keeps to the limit, and to less where the disk is nearly full.
func (s *Store) shrink(onDisk *os.File) error {
	limit := s.limit
	var disk syscall.Statfs_t
	if err := syscall.Fstatfs(int(onDisk.Fd()), &disk); err != nil {
		return fmt.Errorf("look at the free space: %w", err)
	}
	if free := int64(disk.Bavail) * disk.Bsize; free < minFree { //nolint:gosec // No disk has 2^63 bytes.
		size, err := s.dir.Size()
		if err != nil {
			return err
		}
		limit = min(limit, max(0, size-(minFree-free)))
	}
	return s.dir.Shrink(limit, nil)
}

func inflate(r Request, into *os.File) (*Layer, error) {
	stream, err := r.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = stream.Close() }()
	l, err := read(stream, into)
	if err != nil {
		return nil, err
	}
	l.compare(r)
	return l, nil
}

// compare logs where a configuration says another digest than that of the layer's contents. The contents count.
func (l *Layer) compare(r Request) {
	if l.Digest != r.Digest {
		slog.Warn("the image's configuration is wrong about a layer", "says", r.Digest, "is", l.Digest)
	}
}

// Private reads a layer into a file without a name in the directory for temporary files.
func Private(r Request) (*Layer, error) {
	file, err := os.CreateTemp("", "layer-")
	if err != nil {
		return nil, fmt.Errorf("make a file for a layer: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	l, err := inflate(r, file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return l, nil
}

// kept is the layer of a key, nil where there is none. A layer that this process has not seen yet is read to its end once:
// the disk may have lost or changed it.
func (s *Store) kept(ctx context.Context, key string) (*Layer, error) {
	file, err := s.dir.Get(key)
	if err != nil || file == nil {
		return nil, err
	}
	if l := s.recall(key, file); l != nil {
		return l, nil
	}
	l, err := open(file)
	if err == nil {
		err = l.verify(ctx)
	}
	switch {
	case err == nil:
		s.remember(key, file, l)
		return l, nil
	case errors.Is(err, errDamaged):
		slog.Warn("a kept layer is read again", "layer", key, "error", err)
		return nil, errors.Join(file.Close(), s.dir.Drop(key))
	default:
		return nil, errors.Join(err, file.Close())
	}
}

// verify reads the tar and compares its sum.
func (l *Layer) verify(ctx context.Context) error {
	sum := sha256.New()
	buffer := make([]byte, chunk)
	from := io.NewSectionReader(l.file, 0, l.tar)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := from.Read(buffer)
		_, _ = sum.Write(buffer[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read a kept layer: %w", err)
		}
	}
	if "sha256:"+hex.EncodeToString(sum.Sum(nil)) != l.Digest {
		return fmt.Errorf("%w: its contents do not match its digest", errDamaged)
	}
	return nil
}

// remember keeps what a layer holds in memory.
func (s *Store) remember(key string, file *os.File, l *Layer) {
	info, err := file.Stat()
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(key)
	if len(s.checked) >= maxRemembered {
		s.checked = s.checked[1:]
	}
	without := *l
	without.file = nil
	s.checked = append(s.checked, remembered{key: key, inode: diskcache.Inode(info), layer: &without})
}

// forget drops a key. The caller holds the lock.
func (s *Store) forget(key string) (was remembered, found bool) {
	for i, each := range s.checked {
		if each.key == key {
			s.checked = append(s.checked[:i:i], s.checked[i+1:]...)
			return each, true
		}
	}
	return remembered{}, false
}

// recall is what this process knows of a layer whose file it has seen.
func (s *Store) recall(key string, file *os.File) *Layer {
	info, err := file.Stat()
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	was, found := s.forget(key)
	if !found || was.inode != diskcache.Inode(info) {
		return nil
	}
	s.checked = append(s.checked, was)
	l := *was.layer
	l.file = file
	return &l
}
