package catalog_test

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/archivetest"
	"github.com/perceptor/perceptor/internal/scanclient/scratch"
	"github.com/perceptor/perceptor/model"
)

func TestAZipBombEndsCleanly(t *testing.T) {
	bomb := archivetest.Layer(t, archivetest.Entry{Name: "zeros", Body: string(make([]byte, 64<<20))})
	packed := archivetest.Gzip(t, bomb)
	require.Less(t, len(packed), 128<<10)
	req := request(t, archivetest.Write(t, archivetest.Docker(t, archivetest.Gzip, bomb)))
	req.Quota = 8 << 20
	var most int64
	ctx, stop := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		scratch.Watch(ctx, req.Scratch, req.Quota+(1<<20), time.Millisecond, func(used int64) { most = used })
	}()
	_, _, _, err := list(t, req)
	stop()
	<-watched
	requireFailure(t, err, model.Invalid, "the image unpacks to more than 8388608 bytes")
	require.Zero(t, most, "the scratch directory grew beyond its quota")
	require.NoFileExists(t, req.SBOM)
	requireClean(t, req)
}

// TestNothingIsWrittenOutside lists layers whose entries point out of the image in every way a tar can say.
func TestNothingIsWrittenOutside(t *testing.T) {
	outside := t.TempDir()
	victim := filepath.Join(outside, "victim")
	require.NoError(t, os.WriteFile(victim, []byte("untouched"), 0o600))
	up := "../../../../../../../../../../../.."
	cases := []struct {
		name    string
		entries []archivetest.Entry
	}{
		{"upwards", []archivetest.Entry{{Name: up + outside + "/evil", Body: "evil"}, {Name: "a/" + up + victim, Body: "evil"}}},
		{"absolute", []archivetest.Entry{{Name: outside + "/evil", Body: "evil"}, {Name: victim, Body: "evil"}}},
		{"through a symbolic link", []archivetest.Entry{
			{Name: "out", Type: tar.TypeSymlink, Link: outside}, {Name: "out/evil", Body: "evil"}, {Name: "out/victim", Body: "evil"},
		}},
		{"through a link upwards", []archivetest.Entry{{Name: "out", Type: tar.TypeSymlink, Link: up + outside}, {Name: "out/evil", Body: "evil"}}},
		{"a hard link to the victim", []archivetest.Entry{{Name: "link", Type: tar.TypeLink, Link: victim}, {Name: "link", Body: "evil"}}},
		{"devices and pipes", []archivetest.Entry{
			{Name: "dev/sda", Type: tar.TypeBlock}, {Name: "dev/zero", Type: tar.TypeChar}, {Name: "pipe", Type: tar.TypeFifo},
		}},
		{"a package database that is a link outside", []archivetest.Entry{{Name: "var/lib/dpkg/status", Type: tar.TypeSymlink, Link: victim}}},
		{"a package database that is a pipe", []archivetest.Entry{{Name: "var/lib/dpkg/status", Type: tar.TypeFifo}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			entries := append(c.entries, archivetest.Entry{Name: "app/node_modules/left-pad/package.json", Body: `{"name":"left-pad","version":"1.3.0"}`})
			req := request(t, archivetest.Write(t, archivetest.Docker(t, archivetest.Gzip, archivetest.Layer(t, entries...))))
			_, d, _, err := list(t, req)
			require.NoError(t, err)
			require.Equal(t, []string{"pkg:npm/left-pad@1.3.0"}, d.purls())
			content, err := os.ReadFile(victim)
			require.NoError(t, err)
			require.Equal(t, "untouched", string(content))
			names, err := os.ReadDir(outside)
			require.NoError(t, err)
			require.Len(t, names, 1)
			requireClean(t, req)
		})
	}
}

func TestImagesThatCannotBeListed(t *testing.T) {
	good := archivetest.Layer(t, archivetest.Entry{Name: "etc/os-release", Body: debianRelease})
	whole, err := os.ReadFile(archivetest.Write(t, archivetest.Docker(t, archivetest.Gzip, good)))
	require.NoError(t, err)
	withLayer := func(layer []byte) string { return archivetest.Write(t, archivetest.Docker(t, archivetest.Gzip, layer)) }
	truncated := filepath.Join(t.TempDir(), "truncated.tar")
	require.NoError(t, os.WriteFile(truncated, whole[:600], 0o600))
	cases := []struct {
		name, tar string
		class     model.FailureClass
		reason    string
	}{
		{"a missing tar", "/no/such/image.tar", model.NotFound, "there is no image tar at"},
		{"a truncated tar", truncated, model.Invalid, "it ends in the middle; pull it again"},
		{"a layer cut off", withLayer(good[:600]), model.Invalid, "one of its layers ends in the middle; build and push it again"},
		{"a layer that is no tar", withLayer(bytes.Repeat([]byte("<html>"), 1000)), model.Invalid, "the image cannot be cataloged"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req := request(t, c.tar)
			_, _, _, err := list(t, req)
			requireFailure(t, err, c.class, c.reason)
			require.NoFileExists(t, req.SBOM)
			requireClean(t, req)
		})
	}
}

// TestAnUnreadablePackageListIsNoEmptyOne: an image whose packages are unknown must not come out as one without any.
func TestAnUnreadablePackageListIsNoEmptyOne(t *testing.T) {
	const removed = "Package: removed\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1.0\n"
	cases := []struct {
		name, path, body string
		fails            bool
	}{
		{"a dpkg list that is a page", "var/lib/dpkg/status", "<html>\n<body>\n", true},
		{"a dpkg list without an end of line", "var/lib/dpkg/status", string(bytes.Repeat([]byte("x"), 1<<20)), true},
		{"an RPM database that is none", "var/lib/rpm/rpmdb.sqlite", "SQLite format 4", true},
		{"an apk list that is a page", "lib/apk/db/installed", "<html>\n", true},
		{"an empty dpkg list", "var/lib/dpkg/status", "", false},
		{"a dpkg list of removed packages", "var/lib/dpkg/status", removed, false},
		{"a damaged file of an application", "app/app.jar", "no jar", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			layer := archivetest.Layer(t, archivetest.Entry{Name: c.path, Body: c.body})
			req := request(t, archivetest.Write(t, archivetest.Docker(t, archivetest.Gzip, layer)))
			result, _, _, err := list(t, req)
			if c.fails {
				requireFailure(t, err, model.Invalid, "the list of installed packages at /"+c.path+" in the image cannot be read")
				require.NoFileExists(t, req.SBOM)
			} else {
				require.NoError(t, err)
				require.Zero(t, result.Components)
			}
			requireClean(t, req)
		})
	}
}

func TestAnSBOMThatCannotBeWritten(t *testing.T) {
	req := request(t, archivetest.Random(t, 1))
	req.SBOM = filepath.Join(req.SBOM, "below", "a", "file")
	_, _, _, err := list(t, req)
	requireFailure(t, err, model.Invalid, "no such file or directory")
	requireClean(t, req)
}
