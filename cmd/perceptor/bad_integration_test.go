//go:build integration

package main_test

import (
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

// updateReasons writes testdata/reasons.txt anew.
var updateReasons = flag.Bool("update-reasons", false, "write testdata/reasons.txt anew")

// The limits of the worker that gets bad input.
const (
	badListTimeout = "20s"
	badMemory      = "600MiB"
	badScratch     = 64 << 20
)

// TestBadInput scans what cannot be scanned. Each ends in a class, in a reason a person understands, in exit code 2, and
// leaves nothing behind. testdata/reasons.txt is to be read as a whole when a word is changed.
func TestBadInput(t *testing.T) {
	d := startDev(t, "--hub-scan-time", "2s")
	outside := t.TempDir()
	d.pushBad(t, outside)
	// A number of seconds by which our sleepers are known from all others.
	sleep := fmt.Sprint(1_000_000 + os.Getpid())
	between := d.standBetween(t)
	d.badWorker(t, sleep, between.url)
	golden := newReasons(t)
	t.Run("images", func(t *testing.T) { d.badImages(t, golden, outside) })
	d.leavesNothing(t, sleep)
	t.Run("hub replies", func(t *testing.T) { d.badReplies(t, golden, between) })
	t.Run("records", d.badRecords)
	d.leavesNothing(t, sleep)
	golden.finish(t)
}

// leavesNothing waits until no berth is taken and no lease is out, and then finds neither a tar nor a child. Images that
// failed are tried again now and then, so there is work in between.
func (d *dev) leavesNothing(t *testing.T, sleep string) {
	t.Helper()
	eventually(t, 2*time.Minute, "berths, scan clients and leases to be gone", func() bool {
		status, err := d.starter.Pool.Status(t.Context())
		return err == nil && len(status.Leases) == 0 && len(status.Waiters) == 0 && d.berths(t) == 0 && scanClients(t, d.directory) == 0
	})
	for _, mark := range []string{sleep, floodMark, eatMark, linesMark} {
		require.Zero(t, processesWith(t, mark), "a child of a scan client has outlived it: %s", mark)
	}
	require.Empty(t, d.tars(t))
}

// badWorker starts the one worker, which speaks to the hub by way of the address.
func (d *dev) badWorker(t *testing.T, sleep, hub string) {
	t.Helper()
	directory := t.TempDir()
	password := filepath.Join(directory, "password")
	require.NoError(t, os.WriteFile(password, []byte("not-the-password"), 0o600))
	config := filepath.Join(directory, "perceptor.yaml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `hubs:
- {name: main, url: '%s', limit: 2, token-file: %s/hub-token, insecure: true}
credentials:
- {name: wrong, username: somebody, password-file: %s}
`, hub, d.directory, password), 0o600))
	d.worker(t, 0, "--config", config, "--scan-client", badClient(t, sleep), "--workspaces", "8",
		"--sbom-timeout", badListTimeout, "--scan-memory", badMemory, "--scan-scratch", fmt.Sprint(badScratch))
}

// badImage is a reference, and how it must end.
type badImage struct {
	name, reference string
	flags           []string
	class           model.FailureClass
}

// badImages scans all bad images at once and compares what is said with the golden list.
func (d *dev) badImages(t *testing.T, golden *reasons, outside string) {
	for _, row := range d.badList(t) {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			result, code := d.scan(t, row.reference, row.flags...)
			require.Equal(t, exitTrouble, code)
			require.Equal(t, row.class, result.Class, result.Error)
			golden.compare(t, row.name, result.Class, d.normal(result.Error))
		})
	}
	t.Run("paths that lead outside", func(t *testing.T) {
		t.Parallel()
		result, code := d.scan(t, d.Registry+"/good/outside:1")
		require.Equal(t, exitOK, code)
		require.Equal(t, 1, result.Verdicts[0].Components)
		found, err := os.ReadDir(outside)
		require.NoError(t, err)
		require.Empty(t, found, "nothing is written outside")
	})
}

func (d *dev) badList(t *testing.T) []badImage {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	unused := listener.Addr().String()
	require.NoError(t, listener.Close())
	_, flipped := d.pushImage(t, "bad/corrupt-layer", plain(t, "corrupt layer"))
	_, short := d.pushImage(t, "bad/cut-layer", plain(t, "cut layer"))
	other := plain(t, "corrupt manifest")
	d.pushImage(t, "bad/corrupt-manifest", other)
	sum, err := other.Digest()
	require.NoError(t, err)
	spoiling := d.spoilingRegistry(t, spoiled{flipped.String(): flip, short.String(): cut, sum.String(): flip})
	rows := []badImage{
		{"unknown host", "registry.invalid/app:1", nil, model.Transient},
		{"nobody listens", unused + "/app:1", nil, model.Transient},
		{"no such image", d.Registry + "/bad/missing:1", nil, model.NotFound},
		{"no such credentials", d.Registry + "/bad/bomb:1", []string{"--credential", "unheard-of"}, model.Unauthorized},
		{"wrong credentials", strictRegistry(t) + "/app:1", []string{"--credential", "wrong"}, model.Unauthorized},
		{"private", strictRegistry(t) + "/app:1", nil, model.Unauthorized},
		{"no reference", "UPPER CASE", nil, model.Invalid},
		{"other platform only", d.Registry + "/bad/other-platform:1", []string{"--platform", "linux/amd64"}, model.Unsupported},
		{"manifest of another digest", spoiling + "/bad/corrupt-manifest@" + sum.String(), nil, model.Invalid},
		{"layer of another digest", spoiling + "/bad/corrupt-layer:1", nil, model.Invalid},
		{"layer cut short", spoiling + "/bad/cut-layer:1", nil, model.Invalid},
		{"truncated tar", d.Registry + "/bad/truncated-tar:1", nil, model.Invalid},
		{"zip bomb", d.Registry + "/bad/bomb:1", nil, model.Invalid},
	}
	for _, each := range badClients {
		name := "scan client " + strings.ReplaceAll(strings.TrimPrefix(each.repository, "bad/"), "-", " ")
		rows = append(rows, badImage{name, d.Registry + "/" + each.repository + ":1", nil, model.Invalid})
	}
	return rows
}

// What differs between two runs.
var varying = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`sha256:[0-9a-f]{64}`), "DIGEST"},
	{regexp.MustCompile(`workspaces/[0-9a-f]{64}[^/]+/`), "workspaces/WORKSPACE/"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`next try \d{4}-\d\d-\d\d \d\d:\d\d:\d\d`), "next try TIME"},
	{regexp.MustCompile(`\([0-9.]+ [KMG]iB in use\)`), "(SIZE in use)"},
	{regexp.MustCompile(`\d+ bytes in the registry and \d+ in the manifest`), "N bytes in the registry and M in the manifest"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "HOST"},
}

// normal is a reason without what differs between two runs.
func (d *dev) normal(reason string) string {
	for _, each := range varying {
		reason = each.what.ReplaceAllString(reason, each.as)
	}
	return strings.ReplaceAll(reason, d.directory, "DIRECTORY")
}

// tars finds what pulls and listings may leave below the scanner's directory, its cache of whole layers left out.
func (d *dev) tars(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"*.tar", "*.partial", "*/*.tar", "*/*.partial", "*/*/*.tar", "*/*/*.partial"} {
		some, err := filepath.Glob(filepath.Join(d.scannerDirectory(0), pattern))
		require.NoError(t, err)
		found = append(found, some...)
	}
	return found
}
