package osv_test

import (
	"archive/zip"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

// realFolder is where real records of OSV are; tests that need them are skipped without.
func realFolder(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("OSV_DIR")
	if dir == "" {
		t.Skip("OSV_DIR is not set: it names a folder with <ecosystem>/all.zip as OSV publishes them")
	}
	return dir
}

// inArchives counts the records that an ecosystem's archive holds, without reading them.
func inArchives(t testing.TB, dir, ecosystem string) int {
	t.Helper()
	archive, err := zip.OpenReader(filepath.Join(dir, ecosystem, "all.zip"))
	require.NoError(t, err)
	defer archive.Close() //nolint:errcheck // only read
	n := 0
	for _, each := range archive.File {
		if strings.HasSuffix(each.Name, ".json") {
			n++
		}
	}
	return n
}

// realRecords are all records of OSV_DIR, by the keys they are filed under.
type realRecords struct {
	records   int
	byKey     map[osv.Key][]osv.Record
	byEco     map[string][]osv.Record
	malformed []string
	problems  []string
}

func readReal(t testing.TB) realRecords {
	t.Helper()
	read := realRecords{byKey: map[osv.Key][]osv.Record{}, byEco: map[string][]osv.Record{}}
	source, err := osv.Open(context.Background(), realFolder(t), osv.Options{Malformed: func(err error) { read.malformed = append(read.malformed, err.Error()) }})
	require.NoError(t, err)
	_, err = source.Each(context.Background(), func(r osv.Record) error {
		read.records++
		for _, p := range r.Problems {
			read.problems = append(read.problems, r.ID+": "+p)
		}
		bases := map[string]bool{}
		for _, key := range osv.KeysOf(r) {
			read.byKey[key] = append(read.byKey[key], r.Only(key))
			bases[osv.Base(key.Ecosystem)] = true
		}
		for base := range bases {
			read.byEco[base] = append(read.byEco[base], r)
		}
		return nil
	})
	require.NoError(t, err)
	return read
}

func TestRealRecordsAreAllRead(t *testing.T) {
	dir := realFolder(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	all := readReal(t)
	took := time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	t.Logf("%d records read in %s; %d MiB stay in memory", all.records, took.Round(time.Millisecond), (int64(after.HeapAlloc)-int64(before.HeapAlloc))>>20)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(300<<20))

	folders, err := os.ReadDir(dir)
	require.NoError(t, err)
	want := 0
	for _, each := range folders {
		if each.IsDir() {
			want += inArchives(t, dir, each.Name())
		}
	}
	require.Equal(t, want, all.records, "no record is dropped")
	require.Empty(t, all.malformed)
	t.Logf("%d odd parts: %.5q", len(all.problems), all.problems)
	require.Less(t, len(all.problems), all.records/100)
}

func TestRealSeverities(t *testing.T) {
	all := readReal(t)
	rated := func(ecosystem string) (rated, total int) {
		for _, r := range all.byEco[ecosystem] {
			if r.Withdrawn {
				continue
			}
			total++
			for _, a := range r.Affected {
				if r.Severity != model.SeverityUnrated || a.Severity != "" {
					rated++
					break
				}
			}
		}
		return rated, total
	}
	for ecosystem, percent := range map[string]int{"AlmaLinux": 99, "Bitnami": 99} {
		n, total := rated(ecosystem)
		require.NotZero(t, total, ecosystem)
		t.Logf("%s: %d of %d rated", ecosystem, n, total)
		require.GreaterOrEqual(t, n*100, total*percent, ecosystem)
	}
	n, total := rated("Go")
	t.Logf("Go: %d of %d rated by themselves: the database has no severities", n, total)
}

// TestRealMatches has installed packages with the findings that their databases publish, looked up there by hand.
func TestRealMatches(t *testing.T) {
	all := readReal(t)
	for _, row := range []struct {
		name     string
		subject  osv.Subject
		finds    []string // among others
		not      []string
		clean    bool
		severity model.Severity // of the first
	}{
		{
			name: "go module", subject: osv.Subject{PURL: "pkg:golang/golang.org/x/text@v0.3.6"},
			finds: []string{"CVE-2021-38561", "CVE-2022-32149"}, severity: model.SeverityUnrated,
		},
		{name: "go module, fixed", subject: osv.Subject{PURL: "pkg:golang/golang.org/x/text@v0.39.0"}, not: []string{"CVE-2021-38561", "CVE-2022-32149"}, clean: true},
		{name: "pypi", subject: osv.Subject{PURL: "pkg:pypi/PyYAML@5.3"}, finds: []string{"CVE-2020-14343", "CVE-2020-1747"}},
		{name: "pypi, fixed", subject: osv.Subject{PURL: "pkg:pypi/pyyaml@6.0.1"}, clean: true},
		{
			name: "alma", subject: osv.Subject{PURL: "pkg:rpm/almalinux/firefox@102.6.0-1.el8_7.alma?distro=almalinux-8.7"},
			finds: []string{"CVE-2022-46871"}, severity: model.SeverityHigh,
		},
		{name: "alma, that advisory", subject: osv.Subject{PURL: "pkg:rpm/almalinux/firefox@102.7.0-1.el8_7.alma?distro=almalinux-8.7"}, not: []string{"CVE-2022-46871"}},
		{
			name: "alma module of another stream", not: []string{"ALSA-2026:2783"},
			subject: osv.Subject{
				PURL:       "pkg:rpm/almalinux/nodejs@18.20.8-1.module_el9.5.0+150+ab?distro=almalinux-9.5&epoch=1",
				Modularity: "nodejs:18:9050020250101000000:rhel9",
			},
		},
		{
			name: "alma module of that stream", finds: []string{"ALSA-2026:2783"},
			subject: osv.Subject{
				PURL:       "pkg:rpm/almalinux/nodejs@20.19.0-1.module_el9.5.0+150+ab?distro=almalinux-9.5&epoch=1",
				Modularity: "nodejs:20:9050020250101000000:rhel9",
			},
		},
		{
			name: "alma outside the module", not: []string{"ALSA-2026:2783"},
			subject: osv.Subject{PURL: "pkg:rpm/almalinux/nodejs@16.20.2-4.el9_3?distro=almalinux-9.5&epoch=1"},
		},
		{name: "bitnami", subject: osv.Subject{PURL: "pkg:bitnami/airflow@2.7.1-0"}, finds: []string{"CVE-2023-47037"}},
		{name: "upstream binary", subject: osv.Subject{PURL: "pkg:generic/nginx@1.20.0"}, finds: []string{"CVE-2021-23017"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, reason, detail := osv.Locate(row.subject, osv.Distribution{})
			require.Empty(t, reason, detail)
			var records []osv.Record
			for _, key := range p.Keys() {
				records = append(records, all.byKey[key]...)
			}
			found, unclear := p.Match(records)
			require.Empty(t, unclear)
			var names []string
			for _, f := range found {
				names = append(append(names, f.ID), f.Aliases...)
			}
			require.Subset(t, names, row.finds)
			for _, not := range row.not {
				require.NotContains(t, names, not)
			}
			if row.clean {
				require.Empty(t, found)
			}
			if row.severity != "" {
				for _, f := range found {
					if f.ID == row.finds[0] {
						require.Equal(t, row.severity, f.Severity)
					}
				}
			}
		})
	}
}

func BenchmarkReadReal(b *testing.B) {
	for b.Loop() {
		readReal(b)
	}
}
