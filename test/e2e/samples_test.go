//go:build e2e

package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
)

// lastLine is what scripts read of perceptor-dev --until-scanned.
var lastLine = regexp.MustCompile(`\nscanned (\d+) of (\d+) images, (\d+) findings, 0 failed\n$`)

// TestSamples has perceptor-dev scan its samples and end, twice on one directory, and start once more to stay. Every
// sample is scanned exactly once in all that, by the hub's own count, and each start shows the same verdicts. Then single
// samples are asked for as a person would.
func TestSamples(t *testing.T) {
	directory := t.TempDir()
	shareDebian(t, directory)
	images, first := untilScanned(t, directory)
	again, second := untilScanned(t, directory)
	require.Equal(t, images, again)
	require.Equal(t, table(first), table(second), "the same verdicts")

	d := startDevIn(t, directory)
	rig.Eventually(t, 2*time.Minute, "perceptor-dev to have shown its samples", func() bool { return strings.Contains(d.Transcript.String(), "ready; Ctrl-C ends it") })
	require.Equal(t, table(first), table(d.Transcript.String()), "the same verdicts")
	for _, address := range []string{d.Temporal, "http://" + d.UI, "https://" + d.Hub, "http://" + d.Registry} {
		require.Contains(t, d.Transcript.String(), address)
	}
	s := d.Stats(t)
	require.Equal(t, images, s.UploadsAccepted, "each sample is uploaded once")
	require.Equal(t, images, s.ScansSucceeded)
	for name, count := range s.ScansByName {
		require.Equal(t, 1, count, "successful scans of %s", name)
	}
	t.Run("vulnerable", d.vulnerableSample)
	t.Run("patched", d.patchedSample)
	t.Run("debian", d.debianSample)
	t.Run("missing", d.missingSample)
	t.Run("other platform", d.otherPlatform)

	d.Signal(syscall.SIGINT)
	require.NoError(t, <-d.Ended, "Ctrl-C is a clean end")
	d.Ended <- nil
}

// shareDebian saves perceptor-dev the making of its Debian sample. Where it cannot be made, the sample is left out.
func shareDebian(t *testing.T, directory string) {
	t.Helper()
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return
	}
	require.NoError(t, os.MkdirAll(filepath.Join(directory, "samples"), 0o700))
	require.NoError(t, os.Symlink(debianTar(t), filepath.Join(directory, "samples", "debian-12.tar")))
}

// untilScanned runs perceptor-dev until all samples are scanned, and gives their number and what was said.
func untilScanned(t *testing.T, directory string) (int, string) {
	t.Helper()
	done := rig.Run(t, "perceptor-dev", append(rig.OnFreePorts(directory), "--until-scanned")...)
	require.Zero(t, done.Code, "%s\n%s", done.Stdout, done.Stderr)
	last := lastLine.FindStringSubmatch(done.Stdout)
	require.NotNil(t, last, "the last line of:\n%s", done.Stdout)
	require.Equal(t, last[1], last[2], "all are scanned")
	require.NotEqual(t, "0", last[3], "something is found")
	images, err := strconv.Atoi(last[1])
	require.NoError(t, err)
	require.GreaterOrEqual(t, images, 4)
	require.Equal(t, images, strings.Count(table(done.Stdout), "samples/"))
	require.NoFileExists(t, filepath.Join(directory, "addresses.json"))
	return images, done.Stdout
}

// port is what differs between two starts in references to the registry.
var port = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// table is the rows of the table of verdicts, without ports and without the padding that depends on them.
func table(said string) string {
	var rows []string
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, "│ ") {
			rows = append(rows, strings.Join(strings.Fields(port.ReplaceAllString(line, "REGISTRY")), " "))
		}
	}
	return strings.Join(rows, "\n")
}

// vulnerableSample finds what is published of golang.org/x/text v0.3.5: https://pkg.go.dev/vuln/GO-2022-1059, rated 7.5
// by its CVE record.
func (d *dev) vulnerableSample(t *testing.T) {
	reference := d.Registry + "/samples/vulnerable:1"
	result, code := d.scan(t, reference, "--fail-on", "high")
	require.Equal(t, exitFindings, code)
	require.Equal(t, model.InViolation, result.OverallStatus)
	found := map[string]model.Finding{}
	for _, f := range result.Findings {
		found[f.ID] = f
	}
	for id, fixed := range map[string]string{"CVE-2022-32149": "0.3.8", "CVE-2021-38561": "0.3.7"} {
		require.Contains(t, found, id)
		require.Equal(t, model.SeverityHigh, found[id].Severity)
		require.Equal(t, "golang.org/x/text", found[id].Package)
		require.Equal(t, "v0.3.5", found[id].Version)
		require.Equal(t, fixed, strings.TrimPrefix(found[id].Fixed, "v"), id)
	}
	require.Contains(t, found["CVE-2022-32149"].Aliases, "GO-2022-1059")

	_, code = d.scan(t, reference, "--fail-on", "critical", "--allow-unassessed")
	require.Equal(t, exitOK, code, "nothing is critical")
	_, code = d.scan(t, reference, "--allow-unassessed")
	require.Equal(t, exitOK, code, "no bar, no failure")
}

func (d *dev) patchedSample(t *testing.T) {
	result, code := d.scan(t, d.Registry+"/samples/patched:1", "--fail-on", "low")
	require.Equal(t, exitOK, code)
	require.Equal(t, model.NotInViolation, result.OverallStatus)
	require.Empty(t, result.Findings)
	require.NotZero(t, result.Verdicts[0].Components, "something was looked at")
	require.True(t, result.Coverage.Satisfied, "the sample is complete for the packages of this image: %s", result.Coverage.Reason)
	require.True(t, result.Coverage.Sample, "and it is marked as demo data")
}

// debianSample is a Debian that the sample of records does not cover: no one may call it clean.
func (d *dev) debianSample(t *testing.T) {
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		t.Skip("there is no mmdebstrap, so perceptor-dev has no such sample")
	}
	result, code := d.scan(t, d.Registry+"/samples/debian:12", "--fail-on", "critical")
	require.Equal(t, exitTrouble, code)
	require.Equal(t, model.OverallUnknown, result.OverallStatus)
	require.Contains(t, result.Coverage.Reason, string(model.OnlySample))
}

func (d *dev) missingSample(t *testing.T) {
	result, code := d.scan(t, d.Registry+"/samples/missing:1", "--fail-on", "low")
	require.Equal(t, exitTrouble, code)
	require.Equal(t, model.NotFound, result.Class)
	require.Contains(t, result.Error, "the registry has no such image")
}

// otherPlatform scans the image of the other platform of an index as an image of its own.
func (d *dev) otherPlatform(t *testing.T) {
	before := d.Stats(t)
	reference := d.Registry + "/samples/perceptor:dev"
	own, code := d.scan(t, reference, "--platform", "linux/amd64", "--allow-unassessed")
	require.Equal(t, exitOK, code)
	other, code := d.scan(t, reference, "--platform", "linux/arm64", "--fail-on", "high")
	require.Equal(t, exitFindings, code, "for arm64 it holds the vulnerable program")
	require.NotEqual(t, own.Digest, other.Digest)
	require.Equal(t, "linux/arm64", other.Platform)
	require.NotEqual(t, own.Verdicts[0].VersionURL, other.Verdicts[0].VersionURL)
	after := d.Stats(t)
	require.Equal(t, 1, after.ScansByName[other.Digest.Hex()])
	require.Equal(t, before.UploadsAccepted+1, after.UploadsAccepted, "only the other platform was new")
}
