package archtest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/archtest"
)

// root is this repository, seen from the folder the test runs in.
const root = "../.."

func TestThisRepository(t *testing.T) {
	tree, err := archtest.Read(root)
	require.NoError(t, err)
	for name, check := range map[string]func(*archtest.Tree) []string{
		"imports":          archtest.CheckImports,
		"bans":             archtest.CheckBans,
		"budgets":          archtest.CheckBudgets,
		"steps":            archtest.CheckSteps,
		"package comments": archtest.CheckPackageComments,
		"names":            archtest.CheckNames,
		"histories":        archtest.CheckHistories,
		"readme tree":      archtest.CheckReadmeTree,
		"prose":            archtest.CheckProse,
		"machine paths":    archtest.CheckMachinePaths,
	} {
		t.Run(name, func(t *testing.T) {
			for _, wrong := range check(tree) {
				t.Error(wrong)
			}
		})
	}
}

// plant makes a tree of files (path to content) and reads it.
func plant(t *testing.T, files map[string]string) *archtest.Tree {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	}
	tree, err := archtest.Read(dir)
	require.NoError(t, err)
	return tree
}

// with adds files to others; the content "" takes one away.
func with(files, more map[string]string) map[string]string {
	all := map[string]string{}
	for _, each := range []map[string]string{files, more} {
		for name, content := range each {
			all[name] = content
			if content == "" {
				delete(all, name)
			}
		}
	}
	return all
}

func TestReadRefusesWhatIsNotGo(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "broken.go"), []byte("package\n"), 0o600))
	_, err := archtest.Read(dir)
	require.ErrorContains(t, err, "broken.go")
}

func TestReadLeavesBuildOutputsOut(t *testing.T) {
	tree := plant(t, map[string]string{"bin/tools/broken.go": "package", "internal/x/testdata/broken.go": "package"})
	require.Empty(t, archtest.CheckImports(tree))
}
