package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/perceptor/perceptor/cmd/internal/devdir"
)

const (
	lockFile      = "lock"
	addressesFile = "addresses.json"
	private       = 0o700
	ownerOnly     = 0o600
)

// BusyError says that another process has the directory.
type BusyError struct{ Dir string }

// Error names the directory and the two ways out.
func (e *BusyError) Error() string {
	return fmt.Sprintf("%s is in use by another perceptor-dev; stop that one, or give this one a directory of its own with --data DIR", e.Dir)
}

// Dir is a data directory that this process alone holds.
type Dir struct {
	path string
	lock *os.File
}

// Open makes the directory where it is missing (mode 0700), takes it for this
// process and removes what an earlier one left in addresses.json.
// A directory that another process holds gives a *BusyError.
func Open(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find data directory: %w", err)
	}
	if err := os.MkdirAll(path, private); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	dir := &Dir{path: path}
	lock, err := os.OpenFile(dir.File(lockFile), os.O_CREATE|os.O_RDWR, ownerOnly)
	if err != nil {
		return nil, fmt.Errorf("open lock of data directory: %w", err)
	}
	// The kernel lets go of this lock when the process dies, however it dies.
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &BusyError{Dir: path}
		}
		return nil, fmt.Errorf("lock data directory %s: %w", path, err)
	}
	dir.lock = lock
	if err := dir.WithdrawAddresses(); err != nil {
		_ = dir.Close()
		return nil, err
	}
	return dir, nil
}

// Path is the directory itself, absolute.
func (d *Dir) Path() string { return d.path }

// File is the path of name inside the directory.
func (d *Dir) File(name string) string { return filepath.Join(d.path, name) }

// Write puts content into the file name, readable by the owner alone. A process that
// reads it at any moment sees the old content or the new, whole.
func (d *Dir) Write(name string, content []byte) error {
	scratch, err := os.CreateTemp(d.path, "."+name+".*") // mode 0600 from birth
	if err != nil {
		return fmt.Errorf("write %s: %w", d.File(name), err)
	}
	defer func() { _ = os.Remove(scratch.Name()) }()
	_, err = scratch.Write(content)
	if err = errors.Join(err, scratch.Sync(), scratch.Close()); err != nil {
		return fmt.Errorf("write %s: %w", d.File(name), err)
	}
	if err := os.Rename(scratch.Name(), d.File(name)); err != nil {
		return fmt.Errorf("write %s: %w", d.File(name), err)
	}
	return nil
}

// PublishAddresses writes addresses.json. Call it last: scripts take the file
// as the sign that everything is ready.
func (d *Dir) PublishAddresses(addresses devdir.Addresses) error {
	content, err := json.MarshalIndent(addresses, "", "  ")
	if err != nil {
		return fmt.Errorf("encode addresses: %w", err)
	}
	return d.Write(addressesFile, append(content, '\n'))
}

// WithdrawAddresses removes addresses.json, if it is there.
func (d *Dir) WithdrawAddresses() error {
	if err := os.Remove(d.File(addressesFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove old addresses: %w", err)
	}
	return nil
}

// Close withdraws the addresses and lets another process have the directory.
func (d *Dir) Close() error {
	return errors.Join(d.WithdrawAddresses(), d.lock.Close())
}
