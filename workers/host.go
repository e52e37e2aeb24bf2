package workers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

// hostFile keeps a scanner's suffix with its workspaces, so that both are found again after a restart and move together.
const hostFile = "host"

// suffixLength is enough to tell the scanners of one cluster apart.
const suffixLength = 8

func hostSuffix(directory string) (string, error) {
	path := filepath.Join(directory, hostFile)
	known, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(known))) == suffixLength {
		return strings.TrimSpace(string(known)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the name of this scanner: %w", err)
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return "", fmt.Errorf("scanner directory: %w", err)
	}
	suffix := uuid.NewString()[:suffixLength]
	if err := os.WriteFile(path, []byte(suffix+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the name of this scanner: %w", err)
	}
	return suffix, nil
}
