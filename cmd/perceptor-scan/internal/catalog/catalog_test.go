package catalog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/archivetest"
	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/catalog"
	"github.com/perceptor/perceptor/internal/scanclient/protocol"
	"github.com/perceptor/perceptor/model"
)

// SBOM is what the tests look at in an SBOM.
type cyclonedx struct {
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

func (d cyclonedx) purls() []string {
	var all []string
	for _, c := range d.Components {
		if c.PURL != "" {
			all = append(all, c.PURL)
		}
	}
	slices.Sort(all)
	return all
}

// request is an SBOM in a directory of its own. TMPDIR is put back after the test: the program sets it for itself.
func request(t *testing.T, tar string) catalog.Request {
	t.Helper()
	t.Setenv("TMPDIR", os.TempDir())
	dir := t.TempDir()
	return catalog.Request{
		Tar: tar, SBOM: filepath.Join(dir, "image.cdx.json"), Scratch: filepath.Join(dir, "scratch"),
		Name: "example.com/app", Version: "1.0", Tool: "test",
	}
}

func list(t *testing.T, req catalog.Request) (protocol.Result, cyclonedx, string, error) {
	t.Helper()
	var lines bytes.Buffer
	result, err := catalog.Run(context.Background(), req, protocol.NewWriter(&lines, time.Now))
	var d cyclonedx
	if err == nil {
		raw, readErr := os.ReadFile(req.SBOM)
		require.NoError(t, readErr)
		require.Equal(t, int64(len(raw)), result.SBOMBytes)
		require.NoError(t, json.Unmarshal(raw, &d))
		sameAsSyft(t, req)
	}
	return result, d, lines.String(), err
}

// quiet takes the lines that no test looks at.
func quiet() *protocol.Writer { return protocol.NewWriter(io.Discard, time.Now) }

// requireClean asserts that nothing stands in scratch any more, and nothing half done beside the SBOM.
func requireClean(t *testing.T, req catalog.Request) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(req.Scratch, "*"))
	require.NoError(t, err)
	require.Empty(t, left)
	require.NoFileExists(t, req.SBOM+".partial")
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
	packs := map[string]func(testing.TB, []byte) []byte{"plain": archivetest.Plain, "gzip": archivetest.Gzip, "zstd": archivetest.Zstd}
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
		{
			"Alpine", "lib/apk/db/installed", "C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\nS:1\nI:1\nT:libc\no:musl\nL:MIT\n\n",
			"pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.18.4",
		},
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

func requireFailure(t *testing.T, err error, class model.FailureClass, reason string) {
	t.Helper()
	var failure protocol.Failure
	require.ErrorAs(t, err, &failure)
	require.Equal(t, class, failure.Class, failure)
	require.Contains(t, failure.Message, reason)
}
