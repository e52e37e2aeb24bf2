//go:build oracle

package oracle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/package-url/packageurl-go"
	"github.com/stretchr/testify/require"
)

// listTimeout bounds one tool: making a Debian root takes a minute or two.
const listTimeout = 10 * time.Minute

// run is a tool's standard output.
func run(t *testing.T, dir string, command ...string) string {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), listTimeout)
	defer stop()
	tool := exec.CommandContext(ctx, command[0], command[1:]...)
	var said bytes.Buffer
	tool.Dir, tool.Stderr = dir, &said
	out, err := tool.Output()
	require.NoError(t, err, "%s\n%s", command, said.String())
	return string(out)
}

// scanned is what bin/perceptor-scan lists in an image of one layer, by the type of its package URL: name@version, sorted.
func scanned(t *testing.T, layerTar, purlType string) []string {
	t.Helper()
	client, err := filepath.Abs("../../bin/perceptor-scan")
	require.NoError(t, err)
	require.FileExists(t, client, "make oracle builds it")
	layer, err := tarball.LayerFromFile(layerTar)
	require.NoError(t, err)
	image, err := mutate.AppendLayers(empty.Image, layer)
	require.NoError(t, err)
	dir := t.TempDir()
	tar, document := filepath.Join(dir, "image.tar"), filepath.Join(dir, "image.cdx.json")
	require.NoError(t, tarball.WriteToFile(tar, name.MustParseReference("example.com/image:1"), image))
	run(t, dir, client, "sbom", "--tar", tar, "--sbom", document, "--scratch", filepath.Join(dir, "scratch"), "--name", "image", "--version", "1")
	raw, err := os.ReadFile(document)
	require.NoError(t, err)
	bom := new(cyclonedx.BOM)
	require.NoError(t, cyclonedx.NewBOMDecoder(bytes.NewReader(raw), cyclonedx.BOMFileFormatJSON).Decode(bom))
	found := map[string]bool{}
	for _, c := range *bom.Components {
		if c.Type == cyclonedx.ComponentTypeFile {
			require.Fail(t, "a file is unread", "%s: %v", c.Name, *c.Properties)
		}
		if p, err := packageurl.FromString(c.PackageURL); err == nil && p.Type == purlType {
			found[inTheToolsWords(p)] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// inTheToolsWords is name@version, with the epoch of an RPM and the scope of an npm package.
func inTheToolsWords(p packageurl.PackageURL) string {
	full, version := p.Name, p.Version
	if p.Type == packageurl.TypeNPM && p.Namespace != "" {
		full = p.Namespace + "/" + p.Name
	}
	if epoch := p.Qualifiers.Map()["epoch"]; epoch != "" {
		version = epoch + ":" + version
	}
	return full + "@" + version
}

// lines are the distinct lines of a tool's output, sorted.
func lines(text string) []string {
	all := strings.Fields(text)
	slices.Sort(all)
	return slices.Compact(all)
}

// TestPackagesOfDebian lists a Debian root that Debian's own tool made, with packages of other forms of versions on top.
func TestPackagesOfDebian(t *testing.T) {
	need(t, "mmdebstrap", "mmdebstrap")
	need(t, "dpkg-query", "dpkg")
	dir := t.TempDir()
	root := filepath.Join(dir, "root.tar")
	command := []string{"mmdebstrap", "--quiet", "--variant=minbase", "--include=python3-minimal,vim-tiny,ca-certificates", "--format=tar", "bookworm", root}
	if os.Geteuid() == 0 {
		command = append([]string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--"}, command...)
	}
	run(t, dir, command...)
	run(t, dir, "tar", "-xf", root, "./var/lib/dpkg")
	want := lines(run(t, dir, "dpkg-query", "--admindir="+filepath.Join(dir, "var/lib/dpkg"), "--show", "--showformat=${Package}@${Version}\n"))
	require.Greater(t, len(want), 80)
	require.Equal(t, want, scanned(t, root, packageurl.TypeDebian))
	t.Logf("%d packages, as dpkg-query lists them", len(want))
}

// rpms are packages with what makes reading their list hard: epochs, tildes, carets, long releases, no architecture.
var rpms = []struct{ name, epoch, version, release string }{
	{"plain", "", "1.0", "1.el9"},
	{"with-epoch", "2", "3.0.7", "27.el9"},
	{"epoch-nought", "0", "1", "1"},
	{"with-tilde", "", "2.0~rc1", "1.el9"},
	{"with-caret", "1", "2.0^git20260101.abc", "0.1.el9_4"},
	{"perl-Some-Module", "4", "1.30.0", "480.module_el9.7.0+207+84573810"},
	{"libstdc++like", "", "11.4.1", "3.el9.alma.1"},
	{"under_score", "", "1_2", "1"},
	{"font.dots", "", "20260101", "0"},
}

// TestPackagesOfRPM lists a root whose database rpm itself made. Debian's rpm writes one kind of database, SQLite.
func TestPackagesOfRPM(t *testing.T) {
	need(t, "rpmbuild", "rpm")
	need(t, "rpm", "rpm")
	built := t.TempDir()
	for _, p := range rpms {
		spec := fmt.Sprintf("Name: %s\nVersion: %s\nRelease: %s\nSummary: test\nLicense: MIT\nVendor: Test\nBuildArch: noarch\n", p.name, p.version, p.release)
		if p.epoch != "" {
			spec += "Epoch: " + p.epoch + "\n"
		}
		spec += "%description\ntest\n%files\n"
		path := filepath.Join(built, p.name+".spec")
		require.NoError(t, os.WriteFile(path, []byte(spec), 0o600))
		run(t, built, "rpmbuild", "--quiet", "--define", "_topdir "+built, "-bb", path)
	}
	files, err := filepath.Glob(filepath.Join(built, "RPMS/noarch/*.rpm"))
	require.NoError(t, err)
	require.Len(t, files, len(rpms))
	root := t.TempDir()
	rpm := []string{"rpm", "--root", root, "--define", "_dbpath /var/lib/rpm"}
	run(t, root, slices.Concat(rpm, []string{"--install", "--nodeps", "--nosignature", "--nodigest"}, files)...)
	want := lines(run(t, root, append(rpm, "-qa", "--queryformat", "%{NAME}@%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\\n")...))
	require.Len(t, want, len(rpms))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "etc"), 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/os-release"), []byte("ID=almalinux\nVERSION_ID=9.4\n"), 0o600))
	layer := filepath.Join(t.TempDir(), "layer.tar")
	run(t, root, "tar", "-cf", layer, "-C", root, ".")
	require.Equal(t, want, scanned(t, layer, packageurl.TypeRPM))
	t.Logf("%d packages, as rpm -qa lists them", len(want))
}

// npmTree is what "npm ls --json" prints.
type npmTree struct {
	Version      string             `json:"version"`
	Missing      bool               `json:"missing"`
	Dependencies map[string]npmTree `json:"dependencies"`
}

func (n npmTree) into(found map[string]bool) {
	for name, each := range n.Dependencies {
		if each.Version != "" && !each.Missing {
			found[name+"@"+each.Version] = true
		}
		each.into(found)
	}
}

// TestPackagesOfNPM lists an installed project: from the registry, and, where that does not answer, from local packages alone.
func TestPackagesOfNPM(t *testing.T) {
	need(t, "npm", "npm")
	project := filepath.Join(t.TempDir(), "app")
	local := filepath.Join(filepath.Dir(project), "local")
	require.NoError(t, os.MkdirAll(filepath.Join(local, "inner"), 0o750))
	require.NoError(t, os.MkdirAll(project, 0o750))
	write := func(path, text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	write(filepath.Join(local, "package.json"), `{"name":"@scope/local","version":"1.2.3-rc.1","author":"x"}`)
	write(filepath.Join(local, "inner/package.json"), `{"name":"inner","version":"0.0.1"}`)
	write(filepath.Join(project, "package.json"), `{"name":"app","version":"7.0.0","private":true}`)
	run(t, local, "npm", "pack", "--silent", ".", "./inner")
	packed := []string{filepath.Join(local, "scope-local-1.2.3-rc.1.tgz"), filepath.Join(local, "inner-0.0.1.tgz")}
	install := append([]string{"npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"}, packed...)
	least := 2
	ctx, stop := context.WithTimeout(t.Context(), listTimeout)
	defer stop()
	remote := exec.CommandContext(ctx, install[0], append(install[1:], "express@4", "@babel/core@7", "mocha@10")...)
	remote.Dir = project
	if said, err := remote.CombinedOutput(); err != nil {
		t.Logf("npm's registry does not answer, so the project has local packages only: %v\n%s", err, said)
		run(t, project, install...)
	} else {
		least = 100
	}
	var tree npmTree
	require.NoError(t, json.Unmarshal([]byte(run(t, project, "npm", "ls", "--all", "--json")), &tree))
	found := map[string]bool{"app@7.0.0": true}
	tree.into(found)
	want := slices.Sorted(maps.Keys(found))
	require.GreaterOrEqual(t, len(want), least)
	layer := filepath.Join(t.TempDir(), "layer.tar")
	run(t, project, "tar", "-cf", layer, "-C", filepath.Dir(project), "app")
	require.Equal(t, want, scanned(t, layer, packageurl.TypeNPM))
	t.Logf("%d packages, as npm ls lists them", len(want))
}
