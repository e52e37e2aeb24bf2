//go:build e2e

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
)

// TestGoExperiments scans a program that Go's own tool built with an experiment, so that its version is "go1.26.8-X:boringcrypto". That
// is the version 1.26.8 and not one before it: a finding that 1.26.8 fixed is none, and one that it has is found.
func TestGoExperiments(t *testing.T) {
	version := strings.TrimPrefix(runtime.Version(), "go")
	if strings.ContainsAny(version, " -") {
		t.Skipf("this Go is no release: %s", version)
	}
	d := startDevIn(t, t.TempDir(), "--no-samples")
	layer, err := crane.Layer(map[string][]byte{"usr/bin/app": programWith(t, "boringcrypto")})
	require.NoError(t, err)
	reference, _ := d.pushImage(t, "experiments/app", assemble(t, here, layer))

	d.loadGo(t, map[string]string{"GO-2099-0001": version})
	var result scanResult
	var code int
	judgedBy := func(findings int) {
		rig.Eventually(t, 2*time.Minute, "the hub to have judged with the records", func() bool {
			result, code = d.scan(t, reference, "--fail-on", "unrated")
			return result.Coverage.Satisfied && len(result.Findings) == findings && d.judged(t)
		})
	}
	judgedBy(0)
	require.Equal(t, exitOK, code)
	require.Equal(t, model.NotInViolation, result.OverallStatus, "what this version fixed is no finding")
	require.Equal(t, 1, result.Coverage.OwnSoftware, "the program itself")
	require.Equal(t, 1, result.Coverage.Assessed, "the standard library")

	d.loadGo(t, map[string]string{"GO-2099-0001": version, "GO-2099-0002": "1.999.0"})
	judgedBy(1)
	require.Equal(t, exitFindings, code)
	require.Equal(t, model.InViolation, result.OverallStatus)
	require.Equal(t, "GO-2099-0002", result.Findings[0].ID)
	require.Equal(t, "stdlib", result.Findings[0].Package)
	require.Contains(t, result.Findings[0].Version, "boringcrypto", "the version is shown as it is")
}

// programWith is a Go program that was built with an experiment.
func programWith(t *testing.T, experiment string) []byte {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "go.mod"), []byte("module example.test/app\n\ngo 1.25\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600))
	build := exec.Command("go", "build", "-o", "app", ".")
	build.Dir = folder
	build.Env = append(os.Environ(), "GOEXPERIMENT="+experiment, "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)
	program, err := os.ReadFile(filepath.Join(folder, "app"))
	require.NoError(t, err)
	require.Contains(t, string(program), runtime.Version()+"-X:"+experiment, "the version that the test is about")
	return program
}

// loadGo gives the hub records about Go's standard library as all records of Go, by the version that fixes each.
func (d *dev) loadGo(t *testing.T, fixes map[string]string) {
	t.Helper()
	folder := t.TempDir()
	for id, fixed := range fixes {
		text := fmt.Sprintf(`{"schema_version":"1.7.0","id":%q,"modified":"2026-01-02T03:04:05Z","affected":[{"package":{"ecosystem":"Go","name":"stdlib"},`+
			`"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":%q}]}]}]}`, id, fixed)
		require.NoError(t, os.WriteFile(filepath.Join(folder, id+".json"), []byte(text), 0o600))
	}
	require.Contains(t, d.UpdateHub(t, folder), fmt.Sprintf("%d records loaded, 0 malformed records skipped", len(fixes)))
}
