//go:build integration

package main_test

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

// shared is a directory for what is slow to make and is made once for all tests.
var shared string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	var err error
	if shared, err = os.MkdirTemp("", "perceptor-integration-"); err != nil {
		fmt.Fprintln(os.Stderr, "make a directory for the tests:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(shared) }()
	return m.Run()
}

// debianBound is several times what the tool takes on a busy machine.
const debianBound = 5 * time.Minute

// makeDebian makes a Debian 12 root file system as Debian's own tool does: nothing of it was prepared for Perceptor.
var makeDebian = sync.OnceValues(func() (string, error) {
	out := filepath.Join(shared, "debian-12.tar")
	// unshare takes what the tool mounts and starts with it, however it ends.
	words := []string{"mmdebstrap", "--quiet", "--variant=minbase", "--format=tar", "bookworm", out}
	if os.Geteuid() == 0 {
		words = append([]string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--"}, words...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), debianBound)
	defer cancel()
	if said, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("make a Debian root file system with %s: %w\n%s", words, err, said)
	}
	return out, nil
})

func debianTar(t *testing.T) string {
	t.Helper()
	needs(t, "mmdebstrap")
	file, err := makeDebian()
	require.NoError(t, err)
	return file
}

// needs fails where a tool is missing: a test of a real Debian that is left out would say that all is well.
func needs(t *testing.T, tool string) {
	t.Helper()
	_, err := exec.LookPath(tool)
	require.NoError(t, err, "this test makes a real Debian and pushes it: apt-get install mmdebstrap skopeo")
}

// TestDebian scans a Debian root file system that nobody here prepared: it lists exactly the installed packages, and
// once the hub has records about them it finds exactly what dpkg's own order of versions says, without another scan.
func TestDebian(t *testing.T) {
	needs(t, "skopeo")
	root := debianTar(t)
	packages := installed(t, root)
	d := startDevIn(t, t.TempDir(), "--no-samples")
	reference := d.pushDebian(t, root)

	result, code := d.scan(t, reference)
	require.Equal(t, exitOK, code)
	require.Equal(t, names(packages), d.debComponents(t, result.Verdicts[0]))
	require.Equal(t, len(packages), result.Verdicts[0].Components-d.otherComponents(t, result.Verdicts[0]))
	require.Empty(t, ours(result.Findings))

	records, expected := recordsAbout(t, packages)
	d.load(t, records)
	eventually(t, 2*time.Minute, "the hub to have judged again", func() bool {
		result, code = d.scan(t, reference, "--fail-on", "critical")
		return len(result.Findings) > 0 && d.judged(t)
	})
	result, code = d.scan(t, reference, "--fail-on", "critical")
	require.Equal(t, exitFindings, code)
	require.Equal(t, expected, ours(result.Findings))
	require.Equal(t, model.InViolation, result.OverallStatus, "the verdict is as new as its findings")
	require.Equal(t, result.FindingsTotal, result.Verdicts[0].Findings)
	s := d.stats(t)
	require.Equal(t, 1, s.UploadsAccepted, "nothing was scanned again")
}

// debianPackage is what dpkg knows of an installed package.
type debianPackage struct{ name, version, source, sourceVersion string }

// installed asks dpkg-query what is installed in the root file system of a tar.
func installed(t *testing.T, root string) []debianPackage {
	t.Helper()
	const format = `${db:Status-Status}\t${Package}\t${Version}\t${source:Package}\t${source:Version}\n`
	out, err := exec.Command("dpkg-query", "--admindir", dpkgDatabase(t, root), "--show", "--showformat", format).Output()
	require.NoError(t, err)
	var packages []debianPackage
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		require.Len(t, fields, 5, line)
		require.Equal(t, "installed", fields[0], line)
		packages = append(packages, debianPackage{fields[1], fields[2], fields[3], fields[4]})
	}
	require.Greater(t, len(packages), 50)
	return packages
}

// dpkgDatabase unpacks dpkg's own directory from the tar of a root file system.
func dpkgDatabase(t *testing.T, root string) string {
	t.Helper()
	directory := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(directory, "info"), 0o700))
	file, err := os.Open(root)
	require.NoError(t, err)
	defer file.Close() //nolint:errcheck // only read
	for archive := tar.NewReader(file); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return directory
		}
		require.NoError(t, err)
		inside, found := strings.CutPrefix(path.Clean("/"+header.Name), "/var/lib/dpkg/")
		if !found || header.Typeflag != tar.TypeReg || path.Dir(inside) != "." && path.Dir(inside) != "info" {
			continue
		}
		content, err := io.ReadAll(archive)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(directory, inside), content, 0o600))
	}
}

func names(packages []debianPackage) []string {
	var all []string
	for _, p := range packages {
		all = append(all, p.name+" "+p.version)
	}
	slices.Sort(all)
	return all
}

// pushDebian packs the root file system as an image of one layer and has skopeo push it.
func (d *dev) pushDebian(t *testing.T, root string) string {
	t.Helper()
	layer, err := tarball.LayerFromFile(root)
	require.NoError(t, err)
	made := assemble(t, here, layer)
	tag, err := name.NewTag("example.test/debian:12")
	require.NoError(t, err)
	archive := filepath.Join(t.TempDir(), "debian.tar")
	require.NoError(t, tarball.WriteToFile(archive, tag, made))
	reference := d.Registry + "/debian:12"
	said, err := exec.Command("skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", "docker-archive:"+archive, "docker://"+reference).CombinedOutput()
	require.NoError(t, err, "%s", said)
	return reference
}

// components reads the hub's own list of what an image holds.
func (d *dev) components(t *testing.T, v model.Verdict) []component {
	t.Helper()
	var all struct {
		TotalCount int         `json:"totalCount"`
		Items      []component `json:"items"`
	}
	d.ask(t, v.ComponentsURL+"?limit=1000", &all)
	require.Len(t, all.Items, all.TotalCount, "one page holds them all")
	return all.Items
}

// component is an item of the hub's list.
type component struct {
	Name    string `json:"componentName"`
	Version string `json:"componentVersionName"`
	Origins []struct {
		PackageURL string `json:"packageUrl"`
	} `json:"origins"`
}

func (c component) deb() bool {
	return len(c.Origins) == 1 && strings.HasPrefix(c.Origins[0].PackageURL, "pkg:deb/debian/")
}

// debComponents are the Debian packages on the hub's list.
func (d *dev) debComponents(t *testing.T, v model.Verdict) []string {
	t.Helper()
	var all []string
	for _, c := range d.components(t, v) {
		if c.deb() {
			all = append(all, c.Name+" "+c.Version)
		}
	}
	slices.Sort(all)
	return all
}

func (d *dev) otherComponents(t *testing.T, v model.Verdict) int {
	t.Helper()
	return len(slices.DeleteFunc(d.components(t, v), component.deb))
}

// judged reports whether the hub has judged everything by the newest records.
func (d *dev) judged(t *testing.T) bool {
	t.Helper()
	var data struct {
		Rejudging bool `json:"rejudging"`
	}
	d.internal(t, "/internal/vulnerability-data", &data)
	return !data.Rejudging
}
