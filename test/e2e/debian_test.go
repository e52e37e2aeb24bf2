//go:build e2e

package e2e_test

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
)

// shared is a directory for what is slow to make and is made once for all tests.
var shared string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	var err error
	if shared, err = os.MkdirTemp("", "perceptor-e2e-"); err != nil {
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
	rig.Needs(t, "mmdebstrap", "mmdebstrap")
	file, err := makeDebian()
	require.NoError(t, err)
	return file
}

// TestDebian scans a Debian root file system that no one here prepared: it lists exactly the installed packages, and
// once the hub has records about them it finds exactly what dpkg's own order of versions says, without another scan.
func TestDebian(t *testing.T) {
	rig.Needs(t, "skopeo", "skopeo")
	root := debianTar(t)
	packages := installed(t, root)
	d := startDevIn(t, t.TempDir(), "--no-samples")
	reference := d.pushDebian(t, root)

	result, code := d.scan(t, reference)
	require.Equal(t, exitTrouble, code, "the sample is not all of Debian")
	require.Equal(t, model.OverallUnknown, result.OverallStatus)
	require.Contains(t, result.Coverage.Reason, "not assessed")
	require.Equal(t, names(packages), d.debComponents(t, result.Verdicts[0]))
	require.Equal(t, len(packages), result.Verdicts[0].Components-d.otherComponents(t, result.Verdicts[0]))
	require.Empty(t, ours(result.Findings))

	records, expected := recordsAbout(t, packages)
	d.load(t, records)
	rig.Eventually(t, 2*time.Minute, "the hub to have judged again", func() bool {
		result, code = d.scan(t, reference, "--fail-on", "critical")
		return len(result.Findings) > 0 && d.judged(t)
	})
	result, code = d.scan(t, reference, "--fail-on", "critical")
	require.Equal(t, exitFindings, code)
	require.Equal(t, expected, ours(result.Findings))
	require.Equal(t, model.InViolation, result.OverallStatus, "the verdict is as new as its findings")
	require.Equal(t, result.FindingsTotal, result.Verdicts[0].Findings)
	s := d.Stats(t)
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

// invented begins the ids of the records these tests make up; no true one is from that year.
const invented = "CVE-2099-"

// finding is what must be right of one.
type finding struct {
	ID, Package, Version, Fixed string
	Severity                    model.Severity
}

// ours are the findings by records these tests made up, sorted.
func ours(findings []model.Finding) []finding {
	var all []finding
	for _, f := range findings {
		if strings.HasPrefix(f.ID, invented) {
			all = append(all, finding{f.ID, f.Package, f.Version, f.Fixed, f.Severity})
		}
	}
	return sorted(all)
}

func sorted(all []finding) []finding {
	slices.SortFunc(all, func(a, b finding) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Package, b.Package)) })
	return all
}

// ratings are vectors with their severities by the calculator at https://www.first.org/cvss/calculator/3.1.
var ratings = []struct {
	vector   string
	severity model.Severity
}{
	{"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", model.SeverityCritical}, // 9.8
	{"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", model.SeverityHigh},     // 7.5
	{"CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H", model.SeverityMedium},   // 5.5
	{"CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:N/I:L/A:N", model.SeverityLow},      // 2.5
	{"", model.SeverityUnrated},
}

// record is an OSV record about one source package.
type record struct {
	id         string
	ecosystem  string
	source     string
	introduced string
	// fixed is empty where no fix is known.
	fixed     string
	rating    int
	withdrawn bool
}

func (r record) text(t *testing.T) []byte {
	t.Helper()
	events := []map[string]string{{"introduced": r.introduced}}
	if r.fixed != "" {
		events = append(events, map[string]string{"fixed": r.fixed})
	}
	body := map[string]any{
		"schema_version": "1.7.0", "id": "DEBIAN-" + r.id, "modified": "2026-01-02T03:04:05Z", "upstream": []string{r.id},
		"affected": []any{map[string]any{
			"package": map[string]string{"ecosystem": r.ecosystem, "name": r.source},
			"ranges":  []any{map[string]any{"type": "ECOSYSTEM", "events": events}},
		}},
	}
	if vector := ratings[r.rating].vector; vector != "" {
		body["severity"] = []any{map[string]string{"type": "CVSS_V3", "score": vector}}
	}
	if r.withdrawn {
		body["withdrawn"] = "2026-02-03T04:05:06Z"
	}
	text, err := json.Marshal(body)
	require.NoError(t, err)
	return text
}

// affects asks dpkg, whose order of versions is the true one, whether an installed version is among those of a record.
func (r record) affects(t *testing.T, version string) bool {
	t.Helper()
	return r.ecosystem == "Debian:12" && !r.withdrawn && (r.introduced == "0" || dpkgCompares(t, version, "ge", r.introduced)) &&
		(r.fixed == "" || dpkgCompares(t, version, "lt", r.fixed))
}

func dpkgCompares(t *testing.T, a, relation, b string) bool {
	t.Helper()
	err := exec.Command("dpkg", "--compare-versions", a, relation, b).Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 {
		return false
	}
	require.NoError(t, err, "dpkg --compare-versions %s %s %s", a, relation, b)
	return true
}

// recordsAbout makes records about every installed source package, with fixes below, at and above the installed version
// in every way epochs, tildes and revisions allow, and says which findings must come of them.
func recordsAbout(t *testing.T, packages []debianPackage) (records []record, expected []finding) {
	t.Helper()
	versions := map[string]string{}
	for _, p := range packages {
		versions[p.source] = p.sourceVersion
	}
	for _, source := range slices.Sorted(maps.Keys(versions)) {
		for _, r := range variants(versions[source]) {
			r.source, r.rating = source, len(records)%len(ratings)
			r.id = fmt.Sprintf("%s%05d", invented, 10_000+len(records))
			records = append(records, r)
		}
	}
	kinds := map[bool]int{}
	for _, r := range records {
		affected := r.affects(t, versions[r.source])
		kinds[affected]++
		for _, p := range packages {
			if affected && p.source == r.source {
				expected = append(expected, finding{r.id, p.name, p.version, r.fixed, ratings[r.rating].severity})
			}
		}
	}
	require.Greater(t, kinds[true], 100)
	require.Greater(t, kinds[false], 100)
	return records, sorted(expected)
}

// variants are the ranges tried on one installed version.
func variants(version string) []record {
	epoch, rest, has := strings.Cut(version, ":")
	if !has {
		epoch, rest = "0", version
	}
	upstream := rest
	if at := strings.LastIndex(rest, "-"); at >= 0 {
		upstream = rest[:at]
	}
	const release = "Debian:12"
	fixedAt := func(fixed string) record { return record{ecosystem: release, introduced: "0", fixed: fixed} }
	return []record{
		fixedAt(version),
		fixedAt(version + "~"),
		fixedAt(version + "~~rc1"),
		fixedAt(version + "+deb12u99"),
		fixedAt(version + ".1"),
		fixedAt(epoch + ":" + upstream + "~rc1-1"),
		fixedAt("99:0.1-1"),
		fixedAt("9999.1-1"),
		fixedAt("0:" + rest + "+z"),
		fixedAt(""),
		{ecosystem: release, introduced: version, fixed: version + "+z"},
		{ecosystem: release, introduced: version + "+y", fixed: version + "+z"},
		{ecosystem: "Debian:11", introduced: "0"},
		{ecosystem: release, introduced: "0", withdrawn: true},
	}
}

// load gives the hub more records, as all records of their ecosystems.
func (d *dev) load(t *testing.T, records []record) {
	t.Helper()
	directory := t.TempDir()
	for _, r := range records {
		require.NoError(t, os.WriteFile(filepath.Join(directory, r.id+".json"), r.text(t), 0o600))
	}
	require.Contains(t, d.UpdateHub(t, directory), fmt.Sprintf("%d records loaded, 0 malformed records skipped", len(records)))
}
