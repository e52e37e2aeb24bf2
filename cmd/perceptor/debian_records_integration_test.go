//go:build integration

package main_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/model"
)

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

// load gives the hub more records.
func (d *dev) load(t *testing.T, records []record) {
	t.Helper()
	directory := t.TempDir()
	for _, r := range records {
		require.NoError(t, os.WriteFile(filepath.Join(directory, r.id+".json"), r.text(t), 0o600))
	}
	done := d.perceptor(t, "hub", "update", "--from", directory, "--mode", "merge")
	require.Zero(t, done.code, done.stderr)
	require.Contains(t, done.stdout, fmt.Sprintf("%d records loaded, 0 malformed records skipped", len(records)))
}
