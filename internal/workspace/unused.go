package workspace

import (
	"fmt"
	"os"
)

// Unused reports whether no process uses the directory; it makes it when it is missing.
func Unused(directory string) (bool, error) {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return false, fmt.Errorf("berths: %w", err)
	}
	lock, err := lockDirectory(directory)
	if err != nil {
		return false, nil //nolint:nilerr // taken is the answer, not a failure
	}
	return true, lock.Close()
}
