package compat_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOneLineOfWiring looks for uses of this package: it is deleted with the one file that mounts it in one line.
func TestOneLineOfWiring(t *testing.T) {
	const root = "../../.."
	var importers []string
	uses := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != root:
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go") || filepath.Dir(path) == filepath.Join(root, "internal", "api", "compat"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), `"github.com/perceptor/perceptor/internal/api/compat"`) {
			importers = append(importers, filepath.ToSlash(strings.TrimPrefix(path, root)))
			uses += strings.Count(string(text), "compat.")
		}
		return err
	})
	require.NoError(t, err)
	require.Equal(t, []string{"/internal/api/server/server.go"}, importers)
	require.Equal(t, 1, uses)
}
