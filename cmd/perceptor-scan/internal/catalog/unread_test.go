package catalog_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
	"unicode/utf16"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/archivetest"
)

// contents is what a hub reads of an image of one layer: the packages, and the files that are unread, with the reason.
func contents(t *testing.T, entries ...archivetest.Entry) (packages []cdx.Component, unread map[string]string) {
	t.Helper()
	req := request(t, archivetest.Write(t, archivetest.Docker(t, archivetest.Gzip, archivetest.Layer(t, entries...))))
	_, _, _, err := list(t, req)
	require.NoError(t, err)
	raw, err := os.ReadFile(req.SBOM)
	require.NoError(t, err)
	bom := new(cdx.BOM)
	require.NoError(t, cdx.NewBOMDecoder(bytes.NewReader(raw), cdx.BOMFileFormatJSON).Decode(bom))
	unread = map[string]string{}
	if bom.Components == nil {
		bom.Components = &[]cdx.Component{}
	}
	for _, each := range *bom.Components {
		switch each.Type {
		case cdx.ComponentTypeOS:
		case cdx.ComponentTypeFile:
			require.Len(t, *each.Properties, 1)
			require.Equal(t, "perceptor:unread", (*each.Properties)[0].Name)
			unread[each.Name] = (*each.Properties)[0].Value
		default:
			packages = append(packages, each)
		}
	}
	requireClean(t, req)
	return packages, unread
}

// utf16le is a text as some editors write it.
func utf16le(text string) string {
	var out bytes.Buffer
	out.WriteString("\xff\xfe")
	for _, unit := range utf16.Encode([]rune(text)) {
		_ = binary.Write(&out, binary.LittleEndian, unit)
	}
	return out.String()
}

const (
	bash    = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nMaintainer: Matthias Klose <doko@debian.org>\nVersion: 5.2.15-2\n"
	openssl = "Package: openssl\nArchitecture: amd64\nVersion: 3.0.9-1\n"
	app     = "app/node_modules/lodash/package.json"
	release = "etc/os-release"
	status  = "var/lib/dpkg/status"
)

// TestWhatIsOddIsListedOrUnread: what an image holds is listed, or the file that lists it is unread, never neither.
func TestWhatIsOddIsListedOrUnread(t *testing.T) {
	program, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	cases := []struct {
		name   string
		files  map[string]string
		listed []string          // by name@version
		unread map[string]string // by path, a part of the reason
	}{
		{"a whole package.json", map[string]string{app: `{"name":"lodash","version":"4.17.4"}`}, []string{"lodash@4.17.4"}, nil},
		{"a byte order mark", map[string]string{app: "\xef\xbb\xbf" + `{"name":"lodash","version":"4.17.4"}`}, []string{"lodash@4.17.4"}, nil},
		{"UTF-16", map[string]string{app: utf16le(`{"name":"lodash","version":"4.17.4"}`)}, []string{"lodash@4.17.4"}, nil},
		{"UTF-16 without a mark", map[string]string{app: utf16le(`{"name":"lodash","version":"4.17.4"}`)[2:]}, []string{"lodash@4.17.4"}, nil},
		{
			"fields of other types", map[string]string{app: `{"name":"lodash","version":"4.17.4","author":7,"contributors":[7],"private":"yes","repository":[],` +
				`"dependencies":[],"latest":1,"description":{},"homepage":[]}`}, []string{"lodash@4.17.4"}, nil,
		},
		{"a version that is a number", map[string]string{app: `{"name":"lodash","version":4}`}, []string{"lodash@4"}, nil},
		{"a name that is a number", map[string]string{app: `{"name":7,"version":"1"}`}, nil, map[string]string{"/" + app: "its name is no text"}},
		{"an installed package without a name", map[string]string{app: `{"version":"1"}`}, nil, map[string]string{"/" + app: "it has no name"}},
		{"a package.json that is cut off", map[string]string{app: `{"name":"lodash","version":"4.17.4",`}, nil, map[string]string{"/" + app: "no JSON object"}},
		{"an empty package.json", map[string]string{app: ""}, nil, map[string]string{"/" + app: "no JSON object"}},
		{
			"a broken example inside a package",
			map[string]string{app: `{"name":"lodash","version":"4.17.4"}`, "app/node_modules/lodash/test/bad/package.json": "{"},
			[]string{"lodash@4.17.4"},
			nil,
		},
		{
			"a mark for a folder",
			map[string]string{app: `{"name":"lodash","version":"4.17.4"}`, "app/node_modules/lodash/esm/package.json": `{"type":"module"}`},
			[]string{"lodash@4.17.4"},
			nil,
		},
		{"a broken jar", map[string]string{"app/app.jar": "PK\x03\x04 and then nothing"}, nil, map[string]string{"/app/app.jar": ""}},
		{"a jar that is none", map[string]string{"app/app.jar": "no jar"}, nil, map[string]string{"/app/app.jar": ""}},
		{"a broken example of the Go distribution", map[string]string{"usr/local/go/src/archive/zip/testdata/cut.zip": "PK", "usr/local/go/src/a/testdata/a.jar": "PK"}, nil, nil},
		{"a program cut off", map[string]string{"app/program": string(program[:len(program)/3])}, nil, map[string]string{"/app/program": "cut off"}},
		{"a program cut off in its header", map[string]string{"app/program": string(program[:40])}, nil, map[string]string{"/app/program": "cut off"}},

		{"status.d", map[string]string{release: debianRelease, status + ".d/openssl": openssl}, []string{"openssl@3.0.9-1"}, nil},
		{
			"status.d with the sums of files",
			map[string]string{release: debianRelease, status + ".d/openssl": openssl, status + ".d/openssl.md5sums": "00  a\n"},
			[]string{"openssl@3.0.9-1"},
			nil,
		},
		{
			"a damaged entry beside a good one",
			map[string]string{release: debianRelease, status + ".d/bash": bash, status + ".d/openssl": "\x00\x01 damaged \xff\xfe"},
			[]string{"bash@5.2.15-2"},
			map[string]string{"/" + status + ".d/openssl": "1 of its 1 entries cannot be read"},
		},
		{
			"an empty entry beside a good one",
			map[string]string{release: debianRelease, status + ".d/bash": bash, status + ".d/openssl": ""},
			[]string{"bash@5.2.15-2"},
			map[string]string{"/" + status + ".d/openssl": "it is empty"},
		},
		{
			"a good list with a foreign line",
			map[string]string{release: debianRelease, status: bash + "\n<html>\n\n" + openssl},
			[]string{"bash@5.2.15-2", "openssl@3.0.9-1"},
			map[string]string{"/" + status: "1 of its 3 entries cannot be read"},
		},
		{
			"a field twice",
			map[string]string{release: debianRelease, status: bash + "\n" + openssl + "Version: 9\n more\n"},
			[]string{"bash@5.2.15-2", "openssl@3.0.9-1"},
			map[string]string{"/" + status: "1 of its 2 entries cannot be read"},
		},
		{
			"an entry without a version",
			map[string]string{release: debianRelease, status: bash + "\nPackage: openssl\n"},
			[]string{"bash@5.2.15-2", "openssl@UNKNOWN"},
			map[string]string{"/" + status: "1 of its 2 entries cannot be read"},
		},
		{
			"a list that is cut off",
			map[string]string{release: debianRelease, status: bash + "\n" + strings.TrimSpace(openssl)},
			[]string{"bash@5.2.15-2", "openssl@3.0.9-1"},
			map[string]string{"/" + status: "it ends in the middle of a line"},
		},
		{
			"deselected and still installed",
			map[string]string{release: debianRelease, status: bash + "\n" + openssl + "Status: deinstall ok installed\n"},
			[]string{"bash@5.2.15-2", "openssl@3.0.9-1"},
			nil,
		},
		{
			"removed, with configuration left",
			map[string]string{release: debianRelease, status: bash + "\n" + openssl + "Status: deinstall ok config-files\n"},
			[]string{"bash@5.2.15-2"},
			nil,
		},
		{
			"wanted and not installed",
			map[string]string{release: debianRelease, status: bash + "\n" + openssl + "Status: install ok not-installed\n"},
			[]string{"bash@5.2.15-2"},
			nil,
		},
		{
			"a distribution without a package",
			map[string]string{release: debianRelease, app: `{"name":"lodash","version":"4.17.4"}`},
			[]string{"lodash@4.17.4"},
			map[string]string{"/" + release: "it names the distribution debian 12"},
		},
		{
			"an empty list",
			map[string]string{release: debianRelease, status: ""},
			nil,
			map[string]string{"/" + release: "no package of a distribution", "/" + status: "no package was found in it"},
		},
		{"an empty list of Alpine", map[string]string{"lib/apk/db/installed": ""}, nil, map[string]string{"/lib/apk/db/installed": "no package was found in it"}},
		{"an empty list beside a good one", map[string]string{release: debianRelease, status: bash, "lib/apk/db/installed": ""}, []string{"bash@5.2.15-2"}, nil},
		{"nothing", map[string]string{"hello.txt": "hi"}, nil, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var entries []archivetest.Entry
			for name, body := range c.files {
				entries = append(entries, archivetest.Entry{Name: name, Body: body})
			}
			packages, unread := contents(t, entries...)
			var listed []string
			for _, each := range packages {
				listed = append(listed, each.Name+"@"+each.Version)
			}
			require.ElementsMatch(t, c.listed, listed)
			require.Len(t, unread, len(c.unread), unread)
			for path, reason := range c.unread {
				require.Contains(t, unread, path)
				require.NotEmpty(t, unread[path])
				require.Contains(t, unread[path], reason)
			}
		})
	}
}

// TestAWholeProgramIsListed is the twin of the one that is cut off.
func TestAWholeProgramIsListed(t *testing.T) {
	program, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	packages, unread := contents(t, archivetest.Entry{Name: "app/program", Body: string(program)})
	require.Empty(t, unread)
	require.NotEmpty(t, packages)
}

// TestPackagesNameWhoBuiltThem: hubs assess a package of a distribution only where its builder is known.
func TestPackagesNameWhoBuiltThem(t *testing.T) {
	cases := []struct{ name, path, body, publisher string }{
		{"Debian", status, bash, "Matthias Klose <doko@debian.org>"},
		{"Alpine", "lib/apk/db/installed", "C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\nS:1\nI:1\nT:libc\no:musl\nm:Timo <timo@alpinelinux.org>\nL:MIT\n\n", "Timo <timo@alpinelinux.org>"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			packages, unread := contents(t, archivetest.Entry{Name: release, Body: debianRelease}, archivetest.Entry{Name: c.path, Body: c.body})
			require.Empty(t, unread)
			require.Len(t, packages, 1)
			require.Equal(t, c.publisher, packages[0].Publisher)
		})
	}
}
