//go:build bench

package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/archivetest"
	"github.com/perceptor/perceptor/internal/scanclient/protocol"
)

// debianRoot is the tar of a Debian 12: BENCH_DEBIAN names one, else mmdebstrap makes one, once.
func debianRoot(b *testing.B) []byte {
	b.Helper()
	path := os.Getenv("BENCH_DEBIAN")
	if path == "" {
		path = filepath.Join("..", "..", "bin", "bench", "debian-12.tar")
		if _, err := os.Stat(path); err != nil {
			makeDebian(b, path)
		}
	}
	raw, err := os.ReadFile(path)
	require.NoError(b, err)
	return raw
}

func makeDebian(b *testing.B, path string) {
	b.Helper()
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		b.Skip("skipped: mmdebstrap is not installed, and BENCH_DEBIAN names no tar of a Debian root")
	}
	require.NoError(b, os.MkdirAll(filepath.Dir(path), 0o750))
	// Not in our own directory: without root, mmdebstrap works under another user.
	made := filepath.Join(b.TempDir(), "root.tar")
	command := []string{"mmdebstrap", "--quiet", "--variant=minbase", "--format=tar", "bookworm", made}
	if os.Geteuid() == 0 {
		command = append([]string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--"}, command...)
	}
	said, err := exec.CommandContext(b.Context(), command[0], command[1:]...).CombinedOutput() // #nosec G204 -- the test's own
	require.NoError(b, err, string(said))
	raw, err := os.ReadFile(made)
	require.NoError(b, err)
	require.NoError(b, os.WriteFile(path+".new", raw, 0o600))
	require.NoError(b, os.Rename(path+".new", path))
}

// pulledImage writes an image as our puller does.
func pulledImage(b *testing.B, layers ...[]byte) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "image.tar")
	require.NoError(b, os.WriteFile(path, archivetest.Layer(b, archivetest.Pulled(b, archivetest.Gzip, layers...)...), 0o600))
	return path
}

// application is a layer of thirty packages.
func application(b *testing.B) []byte {
	b.Helper()
	entries := []archivetest.Entry{{Name: "app", Type: tar.TypeDir}, {Name: "app/node_modules", Type: tar.TypeDir}}
	for i := range 30 {
		name := fmt.Sprintf("app/node_modules/part-%d", i)
		entries = append(entries, archivetest.Entry{Name: name, Type: tar.TypeDir},
			archivetest.Entry{Name: name + "/package.json", Body: fmt.Sprintf(`{"name":"part-%d","version":"1.%d.0","license":"MIT"}`, i, i)})
	}
	return archivetest.Layer(b, entries...)
}

// served is a client that lists one image after the other.
type served struct {
	command *exec.Cmd
	tasks   interface{ Write([]byte) (int, error) }
	answers *bufio.Reader
	before  float64
}

func self(b *testing.B) string {
	b.Helper()
	path, err := os.Executable()
	require.NoError(b, err)
	return path
}

func serveFrom(b *testing.B, kept string) *served {
	b.Helper()
	s := &served{command: exec.CommandContext(b.Context(), self(b), asProgram, protocol.VerbServe, protocol.FlagLayers, kept, protocol.FlagLayersLimit, "20000000000")}
	tasks, err := s.command.StdinPipe()
	require.NoError(b, err)
	answers, err := s.command.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, s.command.Start())
	b.Cleanup(func() {
		_ = tasks.Close()
		_ = s.command.Wait() // it ends with the code for a parent that is gone
	})
	s.tasks, s.answers = tasks, bufio.NewReader(answers)
	return s
}

// list is how many seconds of a processor one image takes.
func (s *served) list(b *testing.B, image string) float64 {
	b.Helper()
	dir := b.TempDir()
	line, err := protocol.Task{Tar: image, SBOM: filepath.Join(dir, "sbom.json"), Scratch: filepath.Join(dir, "scratch"), Name: "image"}.Line()
	require.NoError(b, err)
	_, err = s.tasks.Write(line)
	require.NoError(b, err)
	for {
		said, err := s.answers.ReadBytes('\n')
		require.NoError(b, err)
		message, err := protocol.Parse(bytes.TrimSpace(said))
		require.NoError(b, err)
		if message.Last() {
			require.NotNil(b, message.Result, "%s", said)
			break
		}
	}
	now := processorSeconds(b, s.command.Process.Pid)
	took := now - s.before
	s.before = now
	return took
}

// processorSeconds is what a living process has taken, user and system together.
func processorSeconds(b *testing.B, pid int) float64 {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(b, err)
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	sum := 0.0
	for _, at := range []int{11, 12} { // utime and stime of proc_pid_stat(5)
		ticks, err := strconv.ParseFloat(fields[at], 64)
		require.NoError(b, err)
		sum += ticks / 100 // sysconf(_SC_CLK_TCK) is 100 on Linux
	}
	return sum
}

// alone is how many seconds of a processor a program takes from its start to its end.
func alone(b *testing.B, command string, args ...string) float64 {
	b.Helper()
	run := exec.CommandContext(b.Context(), command, args...) // #nosec G204 -- the test's own
	said, err := run.CombinedOutput()
	require.NoError(b, err, "%s", said)
	usage, is := run.ProcessState.SysUsage().(*syscall.Rusage)
	require.True(b, is)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func once(b *testing.B, kept, image string) float64 {
	b.Helper()
	dir := b.TempDir()
	return alone(b, self(b), asProgram, protocol.VerbSBOM, protocol.FlagTar, image, protocol.FlagSBOM, filepath.Join(dir, "sbom.json"),
		protocol.FlagScratch, filepath.Join(dir, "scratch"), protocol.FlagLayers, kept, protocol.FlagLayersLimit, "20000000000")
}

// trivyPath is the trivy that "make trivy" builds; empty where it was not built.
func trivyPath(b *testing.B) string {
	b.Helper()
	if given := os.Getenv("E2E_TRIVY"); given != "" {
		return given
	}
	found, err := filepath.Glob(filepath.Join("..", "..", "bin", "tools", "trivy@*", "trivy"))
	require.NoError(b, err)
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

func trivy(b *testing.B, program, cache, image string) float64 {
	b.Helper()
	return alone(b, program, "image", "--quiet", "--cache-dir", cache, "--cache-backend", "fs", "--format", "cyclonedx", "--offline-scan", "--skip-db-update",
		"--input", image, "--output", filepath.Join(b.TempDir(), "sbom.json"))
}

// figures are the measured seconds, by what was measured.
type figures map[string][]float64

func (f figures) add(what string, seconds float64) { f[what] = append(f[what], seconds) }

func (f figures) median(what string) float64 {
	all := slices.Sorted(slices.Values(f[what]))
	if len(all) == 0 {
		return 0
	}
	return all[len(all)/2]
}

// BenchmarkSBOM measures processor seconds of all processes for the SBOM of a gzipped Debian 12 root, and for the next image on
// the same base, beside trivy where that was built. Rounds are interleaved; the figures are medians. Each round starts with empty
// caches. "first" is the first image of a process, and "warm" comes after an image of one byte.
func BenchmarkSBOM(b *testing.B) {
	root := debianRoot(b)
	tiny := archivetest.Layer(b, archivetest.Entry{Name: "a", Body: "b"})
	small, debian, next := pulledImage(b, tiny), pulledImage(b, root), pulledImage(b, root, application(b))
	compared := trivyPath(b)
	f := figures{}
	for b.Loop() {
		warm := serveFrom(b, b.TempDir())
		warm.list(b, small)
		f.add("warm", warm.list(b, debian))
		f.add("next", warm.list(b, next))
		f.add("first", serveFrom(b, b.TempDir()).list(b, debian))
		kept := b.TempDir()
		f.add("alone", once(b, kept, debian))
		f.add("alone-next", once(b, kept, next))
		if compared != "" {
			cache := b.TempDir()
			f.add("trivy", trivy(b, compared, cache, debian))
			f.add("trivy-next", trivy(b, compared, cache, next))
		}
	}
	for what := range f {
		b.ReportMetric(f.median(what), what+"-s")
	}
	if compared == "" {
		b.Log("trivy was not built (make trivy): no ratios")
		return
	}
	for _, row := range []struct {
		what, over string
		goal       float64
	}{{"warm", "trivy", 1}, {"first", "trivy", 2}, {"next", "trivy-next", 1.3}} {
		ratio := f.median(row.what) / f.median(row.over)
		b.ReportMetric(ratio, row.what+"/"+row.over)
		b.Logf("%s over %s: %.2f, goal %.1f", row.what, row.over, ratio, row.goal)
	}
	raw, err := json.Marshal(f)
	require.NoError(b, err)
	b.Logf("%s", raw)
}
