package rig

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// WorkspacesDirectory is the folder of a scanner's directory that holds its workspaces.
const WorkspacesDirectory = "workspaces"

// Needs skips the test where a program of the operating system is missing, and says which Debian package has it. CI fails when
// a test was skipped.
func Needs(t testing.TB, program, debianPackage string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("needs %s: apt-get install %s", program, debianPackage)
	}
}

// The environment variables that ask for tests which plain `go test -tags e2e` leaves out.
const (
	// EnvLong asks for suites that take many minutes.
	EnvLong = "E2E_LONG"
	// EnvRecord asks for the recorders, which write files of the repository.
	EnvRecord = "E2E_RECORD"
	// EnvTrivy is the path of trivy, and asks for the tests that use it.
	EnvTrivy = "E2E_TRIVY"
)

// Wanted skips the test unless the environment variable is set. The Makefile sets it where it runs the test by name.
func Wanted(t testing.TB, variable string) {
	t.Helper()
	if os.Getenv(variable) == "" {
		t.Skipf("runs with %s=1 only; see make help", variable)
	}
}

// Root is the root folder of the repository, for tests in any folder of it.
func Root(t testing.TB) string {
	t.Helper()
	folder, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(folder, "Makefile")); err == nil {
			return folder
		}
		parent := filepath.Dir(folder)
		require.NotEqual(t, folder, parent, "the test runs outside of the repository")
		folder = parent
	}
}

// Built is the path of a program that make has built. A test fails where it is missing.
func Built(t testing.TB, program string) string {
	t.Helper()
	path := filepath.Join(Root(t), "bin", program)
	require.FileExists(t, path, "run make build first")
	return path
}
