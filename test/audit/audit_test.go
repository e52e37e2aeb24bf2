package main

import (
	"archive/zip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// recordsOf writes records as OSV publishes them.
func recordsOf(t *testing.T, records ...string) string {
	t.Helper()
	directory := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(directory, "Go"), 0o700))
	file, err := os.Create(filepath.Join(directory, "Go", "all.zip"))
	require.NoError(t, err)
	archive := zip.NewWriter(file)
	for n, text := range records {
		w, err := archive.Create("GO-" + string(rune('a'+n)) + ".json")
		require.NoError(t, err)
		_, err = w.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	require.NoError(t, file.Close())
	return directory
}

// osv-scalibr is a module of this test itself; every version of it is affected.
const (
	always = `{"schema_version":"1.7.0","id":"GO-1","modified":"2026-01-02T03:04:05Z","affected":[{"package":{"ecosystem":"Go","name":"github.com/google/osv-scalibr"},
		"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`
	fixed = `{"schema_version":"1.7.0","id":"GO-2","modified":"2026-01-02T03:04:05Z","affected":[{"package":{"ecosystem":"Go","name":"github.com/google/osv-scalibr"},
		"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"999.0.0"}]}]}]}`
	other = `{"schema_version":"1.7.0","id":"GO-3","modified":"2026-01-02T03:04:05Z","affected":[{"package":{"ecosystem":"Go","name":"example.com/other"},
		"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`
)

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return path
}

func TestOnlyAFixFailsTheAudit(t *testing.T) {
	to := filepath.Join(t.TempDir(), "licences.txt")
	require.ErrorContains(t, audit(recordsOf(t, always, fixed), to, []string{self(t)}), "have a fix")
	require.NoError(t, audit(recordsOf(t, always, other), to, []string{self(t)}), "nothing can be done about a vulnerability without a fix")
	list, err := os.ReadFile(to)
	require.NoError(t, err)
	require.Contains(t, string(list), "github.com/google/osv-scalibr\tv0")
	require.Contains(t, string(list), "\tMIT\n")
	require.NotContains(t, string(list), "unknown")
}

func TestAuditThatCannotTellFails(t *testing.T) {
	require.ErrorContains(t, audit("", "", []string{self(t)}), "set OSV_DIR")
	require.ErrorContains(t, audit(t.TempDir(), "", []string{self(t)}), "open the records of Go")
	require.ErrorContains(t, audit(recordsOf(t), "", []string{self(t)}), "there is no record")
	require.ErrorContains(t, audit(recordsOf(t, other), "", nil), "name at least one program")
	require.ErrorContains(t, audit(recordsOf(t, other), "", []string{"audit_test.go"}), "read what audit_test.go is made of")
	_, err := licencesOf(t.TempDir(), mod{path: "example.com/none", version: "v1.0.0"})
	require.Error(t, err)
}

func TestLicencesAreReadAndNotGuessed(t *testing.T) {
	mit, err := os.ReadFile("../../LICENSE")
	require.NoError(t, err)
	require.NotEmpty(t, licencesIn(mit))
	require.Empty(t, licencesIn([]byte("You may use this on Sundays.")))
}
