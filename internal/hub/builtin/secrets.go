package builtin

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// secretBytes is the strength of a generated secret: 256 bits.
const secretBytes = 32

// ensureSecret reads a secret from a file, or writes a random one there when the file is missing.
func ensureSecret(file string) (string, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		random := make([]byte, secretBytes)
		_, _ = rand.Read(random) // never fails: crypto/rand ends the process instead
		secret := base64.RawURLEncoding.EncodeToString(random)
		return secret, writePrivate(file, []byte(secret+"\n"))
	}
	if err != nil {
		return "", fmt.Errorf("read secret file: %w", err)
	}
	secret := strings.TrimSpace(string(raw))
	if secret == "" {
		return "", fmt.Errorf("secret file %s is empty: write a secret into it, or delete it to get a random one", file)
	}
	return secret, nil
}

// writePrivate writes a whole file that only its owner can read: readers see all of it or nothing.
func writePrivate(file string, contents []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("make folder of %s: %w", file, err)
	}
	part, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	_, err = part.Write(contents)
	err = errors.Join(err, part.Sync(), part.Close())
	if err == nil {
		err = os.Rename(part.Name(), file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", file, err), os.Remove(part.Name()))
	}
	return nil
}
