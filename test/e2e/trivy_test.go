//go:build e2e

package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/perceptor/perceptor/internal/rig"
	"github.com/perceptor/perceptor/model"
)

// The advisories of the database that the test builds.
const (
	opensslCVE   = "CVE-2023-5363"
	opensslFixed = "3.0.11-1~deb12u2"
	rottenGHSA   = "GHSA-0000-0000-0001"
)

// trivyDatabase is a folder for trivy's --cache-dir with a database of two advisories, in the form that trivy 0.74 reads: bbolt, with a
// bucket for each source of advisories, in it one for each package, and the details of the vulnerabilities in a bucket of their own.
func trivyDatabase(t *testing.T, updated time.Time) string {
	t.Helper()
	cache := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(cache, "db"), 0o700))
	db, err := bbolt.Open(filepath.Join(cache, "db", "trivy.db"), 0o600, nil)
	require.NoError(t, err)
	const npm = "npm::GitHub Security Advisory npm"
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		for _, each := range []struct{ path, key, value string }{
			{"data-source", "debian 12", `{"ID":"debian","Name":"Debian Security Tracker","URL":"https://salsa.debian.org/security-tracker-team/security-tracker"}`},
			{"data-source", npm, `{"ID":"ghsa","Name":"GitHub Security Advisory npm","URL":"https://github.com/advisories?query=type%3Areviewed+ecosystem%3Anpm"}`},
			{"debian 12/openssl", opensslCVE, `{"FixedVersion":"` + opensslFixed + `"}`},
			{npm + "/rotten", rottenGHSA, `{"PatchedVersions":["1.2.0"],"VulnerableVersions":["\u003c 1.2.0"]}`},
			{"vulnerability", opensslCVE, `{"Title":"openssl: key and IV lengths","VendorSeverity":{"nvd":3},
				"CVSS":{"nvd":{"V3Vector":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N","V3Score":7.5}}}`},
			{"vulnerability", rottenGHSA, `{"Title":"rotten is rotten","VendorSeverity":{"ghsa":4}}`},
		} {
			parts := strings.Split(each.path, "/")
			bucket, err := tx.CreateBucketIfNotExists([]byte(parts[0]))
			for _, part := range parts[1:] {
				if err == nil {
					bucket, err = bucket.CreateBucketIfNotExists([]byte(part))
				}
			}
			if err == nil {
				err = bucket.Put([]byte(each.key), []byte(each.value))
			}
			if err != nil {
				return fmt.Errorf("put %s into %s: %w", each.key, each.path, err)
			}
		}
		return nil
	}))
	require.NoError(t, db.Close())
	dateTrivy(t, cache, updated)
	return cache
}

// dateTrivy says when trivy's database was made.
func dateTrivy(t *testing.T, cache string, updated time.Time) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"Version": 2, "UpdatedAt": updated, "NextUpdate": updated.Add(24 * time.Hour), "DownloadedAt": updated})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(cache, "db", "metadata.json"), text, 0o600))
}

// trivyConfig is the configuration that the documentation shows, for a database that is there already.
func trivyConfig(t *testing.T, trivy, cache string) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{"scanner": map[string]any{"client": map[string]any{
		"template": []string{
			trivy, "image", "--input", "{tar}", "--output", "{sbom}", "--format", "cyclonedx", "--scanners", "vuln", "--cache-dir", cache, "--cache-backend", "memory",
			"--skip-db-update", "--skip-java-db-update", "--skip-version-check", "--offline-scan", "--quiet",
		},
		"data-as-of": map[string]string{"file": filepath.Join(cache, "db", "metadata.json"), "key": "UpdatedAt"},
	}}})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "perceptor.yaml")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	return file
}

// debianWith is an image of Debian 12 with these packages, and one of npm.
func (d *dev) debianWith(t *testing.T, repository, rotten string, packages ...string) string {
	t.Helper()
	layer, err := crane.Layer(map[string][]byte{
		"etc/os-release":                        []byte("ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
		"etc/debian_version":                    []byte("12.5\n"),
		"var/lib/dpkg/status":                   []byte(strings.Join(packages, "\n")),
		"app/node_modules/rotten/package.json":  []byte(`{"name":"rotten","version":"` + rotten + `"}`),
		"app/node_modules/another/package.json": []byte(`{"name":"another","version":"3.0.0"}`),
	})
	require.NoError(t, err)
	reference, _ := d.pushImage(t, repository, assemble(t, here, layer))
	return reference
}

func debEntry(name, source, version, maintainer string) string {
	return fmt.Sprintf("Package: %s\nStatus: install ok installed\nMaintainer: %s\nArchitecture: amd64\nSource: %s\nVersion: %s\nDescription: a package\n",
		name, maintainer, source, version)
}

// TestTrivy has trivy scan images as a scan client by template, with a database of its own. The hub judges by its word: the verdict names
// trivy and the date of its data, the vulnerable image is in violation, its patched twin is green, and what trivy cannot judge is neither.
func TestTrivy(t *testing.T) {
	rig.Wanted(t, rig.EnvTrivy)
	const debian = "Debian OpenSSL Team <pkg-openssl-devel@alioth-lists.debian.net>"
	updated := time.Now().UTC().Add(-20 * time.Hour).Truncate(time.Second)
	cache := trivyDatabase(t, updated)
	d := startDev(t)
	d.StartWorker(t, 1, "--config", trivyConfig(t, os.Getenv(rig.EnvTrivy), cache))
	base := debEntry("base-files", "base-files", "12.4+deb12u5", "Santiago Vila <sanvila@debian.org>")
	images := map[string]string{
		"vulnerable": d.debianWith(t, "foreign/vulnerable", "1.0.0", base, debEntry("libssl3", "openssl", "3.0.9-1", debian)),
		"patched":    d.debianWith(t, "foreign/patched", "1.2.0", base, debEntry("libssl3", "openssl", opensslFixed, debian)),
		"nginx":      d.debianWith(t, "foreign/nginx", "1.2.0", base, debEntry("nginx", "nginx", "1.27.0-1~bookworm", "NGINX Packaging <nginx-packaging@f5.com>")),
		"damaged":    d.debianWith(t, "foreign/damaged", "1.2.0", "\x00\x01\x02"),
	}
	results, codes := d.scanAll(t, images)

	require.Equal(t, exitFindings, codes["vulnerable"])
	require.Equal(t, model.InViolation, results["vulnerable"].OverallStatus)
	require.Equal(t, []finding{
		{opensslCVE, "libssl3", "3.0.9-1", opensslFixed, model.SeverityHigh}, {rottenGHSA, "rotten", "1.0.0", "1.2.0", model.SeverityCritical},
	}, allOf(results["vulnerable"].Findings))

	require.Equal(t, exitOK, codes["patched"])
	require.Equal(t, model.NotInViolation, results["patched"].OverallStatus)
	require.Empty(t, results["patched"].Findings)
	for _, name := range []string{"vulnerable", "patched"} {
		coverage := results[name].Verdicts[0].Coverage
		require.True(t, coverage.Satisfied, coverage.Reason)
		require.Equal(t, 4, coverage.Components, "two of Debian and two of npm")
		require.Equal(t, 4, coverage.Assessed)
		require.Equal(t, []model.DataSource{
			{Ecosystem: "Debian:12", Source: "scanner trivy 0.74.0", AsOf: updated, Complete: true},
			{Ecosystem: "npm", Source: "scanner trivy 0.74.0", AsOf: updated, Complete: true},
		}, coverage.Data)
		require.Equal(t, updated.Add(model.DataValidFor), coverage.ValidUntil)
	}
	for name, reason := range map[string]model.NotAssessedReason{"nginx": model.ForeignVendor, "damaged": model.FileUnreadable} {
		require.Equal(t, exitTrouble, codes[name], name)
		require.Equal(t, model.OverallUnknown, results[name].OverallStatus, name)
		require.Contains(t, results[name].Coverage.Reason, string(reason), name)
	}
	shown := d.perceptor(t, "explain", images["patched"])
	require.Zero(t, shown.Code, shown.Stderr)
	require.Contains(t, shown.Stdout, "scanner trivy 0.74.0")
	require.Contains(t, shown.Stdout, updated.Format(time.DateOnly))

	// A database that is not renewed takes the green away; a new one gives it back.
	dateTrivy(t, cache, time.Now().UTC().Add(-model.DataValidFor-time.Hour))
	old, code := d.rescan(t, images["patched"])
	require.Equal(t, exitTrouble, code)
	require.Equal(t, model.OverallUnknown, old.OverallStatus)
	require.Contains(t, old.Coverage.Reason, "vulnerability data expired on")
	dateTrivy(t, cache, time.Now().UTC())
	again, code := d.rescan(t, images["patched"])
	require.Equal(t, exitOK, code)
	require.Equal(t, model.NotInViolation, again.OverallStatus)
}

// scanAll scans images at the same time.
func (d *dev) scanAll(t *testing.T, images map[string]string) (map[string]scanResult, map[string]int) {
	t.Helper()
	results, codes := map[string]scanResult{}, map[string]int{}
	var lock sync.Mutex
	var all sync.WaitGroup
	for name, reference := range images {
		all.Go(func() {
			result, code := d.scan(t, reference, "--fail-on", "low")
			lock.Lock()
			defer lock.Unlock()
			results[name], codes[name] = result, code
		})
	}
	all.Wait()
	require.Len(t, results, len(images))
	return results, codes
}

// rescan scans an image that has a verdict once more.
func (d *dev) rescan(t *testing.T, reference string) (scanResult, int) {
	t.Helper()
	result, _ := d.scan(t, reference, "--allow-unassessed")
	before := result.Verdicts[0].ScanStarted
	done := d.perceptor(t, "rescan", reference)
	require.Zero(t, done.Code, done.Stderr)
	rig.Eventually(t, 2*time.Minute, "a new verdict for "+reference, func() bool {
		result, _ = d.scan(t, reference, "--allow-unassessed")
		return result.Verdicts[0].ScanStarted.After(before)
	})
	return d.scan(t, reference, "--fail-on", "low")
}

// allOf are findings in the form in which tests compare them, sorted.
func allOf(findings []model.Finding) []finding {
	var all []finding
	for _, f := range findings {
		all = append(all, finding{f.ID, f.Package, f.Version, f.Fixed, f.Severity})
	}
	return sorted(all)
}
