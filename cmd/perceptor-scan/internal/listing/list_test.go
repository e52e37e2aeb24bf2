package listing_test

import (
	"archive/tar"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/archivetest"
	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/listing"
	"github.com/perceptor/perceptor/internal/image"
	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/internal/scanclient/scratch"
)

// document is what the tests look at in a document.
type document struct {
	Format     string `json:"bomFormat"`
	Version    string `json:"specVersion"`
	Components []struct {
		Type string `json:"type"`
		PURL string `json:"purl"`
	} `json:"components"`
	Metadata struct {
		Component struct {
			Name    string `json:"name"`
			Version string `json:"version"`
		} `json:"component"`
	} `json:"metadata"`
}

func (d document) purls() []string {
	var all []string
	for _, c := range d.Components {
		if c.PURL != "" {
			all = append(all, c.PURL)
		}
	}
	slices.Sort(all)
	return all
}

// request is a listing in a directory of its own. TMPDIR is put back after the test: the program sets it for itself.
func request(t *testing.T, tar string) listing.Request {
	t.Helper()
	t.Setenv("TMPDIR", os.TempDir())
	dir := t.TempDir()
	return listing.Request{
		Tar: tar, Document: filepath.Join(dir, "image.cdx.json"), Scratch: filepath.Join(dir, "scratch"),
		Name: "example.com/app", Version: "1.0", Tool: "test",
	}
}

func list(t *testing.T, req listing.Request) (protocol.Result, document, string, error) {
	t.Helper()
	var lines bytes.Buffer
	result, err := listing.Run(context.Background(), req, protocol.NewWriter(&lines, time.Now))
	var d document
	if err == nil {
		raw, readErr := os.ReadFile(req.Document)
		require.NoError(t, readErr)
		require.Equal(t, int64(len(raw)), result.DocumentBytes)
		require.NoError(t, json.Unmarshal(raw, &d))
	}
	return result, d, lines.String(), err
}

// requireClean asserts that nothing stands in scratch any more, and nothing half done beside the document.
func requireClean(t *testing.T, req listing.Request) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(req.Scratch, "*"))
	require.NoError(t, err)
	require.Empty(t, left)
	require.NoFileExists(t, req.Document+".partial")
}

const debianRelease = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n"

const dpkgStatus = `Package: libssl3
Status: install ok installed
Architecture: amd64
Source: openssl
Version: 3.0.11-1~deb12u2

Package: vim-common
Status: install ok installed
Architecture: all
Source: vim (2:9.0.1378-2)
Version: 2:9.0.1378-2+b1

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0
`

func TestDebianPackagesKeepSourceAndRelease(t *testing.T) {
	base := archivetest.Layer(t,
		archivetest.Entry{Name: "etc/os-release", Body: debianRelease},
		archivetest.Entry{Name: "var/lib/dpkg/status", Body: "Package: old\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n"})
	upper := archivetest.Layer(t, archivetest.Entry{Name: "var/lib/dpkg/status", Body: dpkgStatus})
	packs := map[string]func(*testing.T, []byte) []byte{"plain": archivetest.Plain, "gzip": archivetest.Gzip, "zstd": archivetest.Zstd}
	for name, pack := range packs {
		t.Run(name, func(t *testing.T) {
			req := request(t, archivetest.Write(t, archivetest.Docker(t, pack, base, upper)))
			result, d, lines, err := list(t, req)
			require.NoError(t, err)
			require.Equal(t, 2, result.Components)
			require.Equal(t, "CycloneDX", d.Format)
			require.Equal(t, "1.6", d.Version)
			require.Equal(t, "example.com/app", d.Metadata.Component.Name)
			require.Equal(t, "1.0", d.Metadata.Component.Version)
			require.Equal(t, []string{
				"pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64&distro=debian-12&upstream=openssl",
				"pkg:deb/debian/vim-common@2%3A9.0.1378-2%2Bb1?arch=all&distro=debian-12&upstream=vim%402%3A9.0.1378-2",
			}, d.purls())
			for _, phase := range []string{"unpack", "catalogue", "write"} {
				require.Contains(t, lines, `{"phase":"`+phase+`"`)
			}
			requireClean(t, req)
		})
	}
}

func TestOtherEcosystemsAreListed(t *testing.T) {
	cases := []struct {
		name, path, body, purl string
	}{
		{"npm", "app/node_modules/left-pad/package.json", `{"name":"left-pad","version":"1.3.0"}`, "pkg:npm/left-pad@1.3.0"},
		{
			"Python", "usr/lib/python3/site-packages/requests-2.31.0.dist-info/METADATA",
			"Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\n", "pkg:pypi/requests@2.31.0",
		},
		{"Alpine", "lib/apk/db/installed", "C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\nS:1\nI:1\nT:libc\no:musl\nL:MIT\n\n", "pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.18.4"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			layer := archivetest.Layer(t,
				archivetest.Entry{Name: "etc/os-release", Body: "ID=alpine\nVERSION_ID=3.18.4\n"},
				archivetest.Entry{Name: c.path, Body: c.body})
			_, d, _, err := list(t, request(t, archivetest.Write(t, archivetest.Docker(t, archivetest.Gzip, layer))))
			require.NoError(t, err)
			require.Equal(t, []string{c.purl}, d.purls())
		})
	}
}

// TestTheDriverOfRPMDatabasesIsThere stands for an RPM image: without the driver such an image would look empty.
func TestTheDriverOfRPMDatabasesIsThere(t *testing.T) {
	require.Contains(t, sql.Drivers(), "sqlite")
}

func TestAnImageWithoutPackagesIsListed(t *testing.T) {
	cases := map[string]string{
		"random files": archivetest.Random(t, 3),
		"no layers":    archivetest.Write(t, archivetest.Docker(t, archivetest.Gzip)),
	}
	for name, tar := range cases {
		t.Run(name, func(t *testing.T) {
			req := request(t, tar)
			result, d, _, err := list(t, req)
			require.NoError(t, err)
			require.Zero(t, result.Components)
			require.Equal(t, "CycloneDX", d.Format)
			requireClean(t, req)
		})
	}
}

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
	requireFailure(t, err, image.Invalid, "the image unpacks to more than 8388608 bytes")
	require.Zero(t, most, "the scratch directory grew beyond its quota")
	require.NoFileExists(t, req.Document)
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
		{"through a symbolic link", []archivetest.Entry{{Name: "out", Type: tar.TypeSymlink, Link: outside}, {Name: "out/evil", Body: "evil"}, {Name: "out/victim", Body: "evil"}}},
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
	truncated := filepath.Join(t.TempDir(), "truncated.tar")
	require.NoError(t, os.WriteFile(truncated, whole[:600], 0o600))
	cases := []struct {
		name, tar string
		class     image.FailureClass
		reason    string
	}{
		{"a missing tar", "/no/such/image.tar", image.NotFound, "there is no image tar at"},
		{"a truncated tar", truncated, image.Invalid, "it ends in the middle; pull it again"},
		{"a layer cut off", archivetest.Write(t, archivetest.Docker(t, archivetest.Plain, good[:600])), image.Invalid, "the image cannot be listed"},
		{"a layer that is no tar", archivetest.Write(t, archivetest.Docker(t, archivetest.Gzip, bytes.Repeat([]byte("<html>"), 1000))), image.Invalid, "the image cannot be listed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			req := request(t, c.tar)
			_, _, _, err := list(t, req)
			requireFailure(t, err, c.class, c.reason)
			require.NoFileExists(t, req.Document)
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
				requireFailure(t, err, image.Invalid, "the list of installed packages at /"+c.path+" in the image cannot be read")
				require.NoFileExists(t, req.Document)
			} else {
				require.NoError(t, err)
				require.Zero(t, result.Components)
			}
			requireClean(t, req)
		})
	}
}

func TestADocumentThatCannotBeWritten(t *testing.T) {
	req := request(t, archivetest.Random(t, 1))
	req.Document = filepath.Join(req.Document, "below", "a", "file")
	_, _, _, err := list(t, req)
	requireFailure(t, err, image.Invalid, "no such file or directory")
	requireClean(t, req)
}

func requireFailure(t *testing.T, err error, class image.FailureClass, reason string) {
	t.Helper()
	var failure protocol.Failure
	require.ErrorAs(t, err, &failure)
	require.Equal(t, class, failure.Class, failure)
	require.Contains(t, failure.Message, reason)
}
