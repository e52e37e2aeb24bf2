package catalog_test

import (
	"archive/zip"
	"bytes"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/archivetest"
	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

// generated are data that are complete and fresh for each ecosystem. They hold one record: all versions of one package.
type generated struct {
	vulnerable osv.Key
	now        time.Time
}

func (g generated) Source(string) (model.DataSource, bool, error) {
	return model.DataSource{Source: "generated", AsOf: g.now.Add(-time.Hour), Complete: true}, true, nil
}

func (g generated) Records(key osv.Key) ([]osv.Record, error) {
	if key != g.vulnerable {
		return nil, nil
	}
	record, err := osv.Parse(fmt.Appendf(nil, `{"id":"TEST-1","modified":"2026-11-01T00:00:00Z",
		"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
		"affected":[{"package":{"ecosystem":%q,"name":%q},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}`, key.Ecosystem, key.Package))
	return []osv.Record{record}, err
}

func (g generated) Severity(string) (model.Severity, float64, error) { return "", 0, nil }

// judged is the verdict of the default policy on an image of one layer.
func judged(t *testing.T, vulnerable osv.Key, entries []archivetest.Entry) judge.Result {
	t.Helper()
	req := request(t, archivetest.Write(t, archivetest.Docker(t, archivetest.Gzip, archivetest.Layer(t, entries...))))
	_, _, _, err := list(t, req)
	require.NoError(t, err)
	raw, err := os.ReadFile(req.SBOM)
	require.NoError(t, err)
	bom := new(cdx.BOM)
	require.NoError(t, cdx.NewBOMDecoder(bytes.NewReader(raw), cdx.BOMFileFormatJSON).Decode(bom))
	contents, err := judge.Read(bom)
	require.NoError(t, err)
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	result, err := judge.Judge(judge.Input{Contents: contents, Assessor: judge.Over(generated{vulnerable, now}), Now: now})
	require.NoError(t, err)
	return result
}

// jar is a Java archive of these files.
func jar(t *testing.T, files map[string]string) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		require.NoError(t, err)
		_, err = f.Write([]byte(files[name]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.String()
}

const manifest = "META-INF/MANIFEST.MF"

// built is a jar as Maven makes it, and gradled as most Gradle builds do: without the coordinates.
func built(t *testing.T, group, artifact, version string) string {
	t.Helper()
	return jar(t, map[string]string{
		manifest: "Manifest-Version: 1.0\r\nCreated-By: Apache Maven 3.9.6\r\nImplementation-Title: " + artifact + "\r\nImplementation-Version: " + version + "\r\n\r\n",
		"META-INF/maven/" + group + "/" + artifact + "/pom.properties": "groupId=" + group + "\nartifactId=" + artifact + "\nversion=" + version + "\n",
		"a/A.class": "\xca\xfe\xba\xbe",
	})
}

func gradled(t *testing.T, more ...string) string {
	t.Helper()
	return jar(t, map[string]string{manifest: "Manifest-Version: 1.0\r\n" + strings.Join(more, "\r\n") + "\r\n\r\n", "a/A.class": "\xca\xfe\xba\xbe"})
}

// goProgram is a small program as the go command of today builds it, with more build settings.
func goProgram(t *testing.T, settings ...string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.org/shop\n\ngo 1.21\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() { println(1) }\n"), 0o600))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", "program", ".")
	build.Dir, build.Env = dir, append(os.Environ(), append([]string{"GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0", "GOOS=linux"}, settings...)...)
	said, err := build.CombinedOutput()
	require.NoError(t, err, string(said))
	program, err := os.ReadFile(filepath.Join(dir, "program"))
	require.NoError(t, err)
	return string(program)
}

// files are entries from pairs of name and content.
func files(pairs ...string) []archivetest.Entry {
	var entries []archivetest.Entry
	for i := 0; i < len(pairs); i += 2 {
		entries = append(entries, archivetest.Entry{Name: pairs[i], Body: pairs[i+1]})
	}
	return entries
}

func debs(lines ...string) string {
	var out strings.Builder
	for _, line := range lines {
		f := strings.Split(line, "|")
		fmt.Fprintf(&out, "Package: %s\nStatus: install ok installed\nPriority: required\nInstalled-Size: 100\nMaintainer: %s\nArchitecture: amd64\n", f[0], f[2])
		if len(f) > 3 {
			out.WriteString("Source: " + f[3] + "\n")
		}
		fmt.Fprintf(&out, "Version: %s\nDescription: of a test\n more of it\n\n", f[1])
	}
	return out.String()
}

func apks(lines ...string) string {
	var out strings.Builder
	for i, line := range lines {
		f := strings.Split(line, "|")
		fmt.Fprintf(&out, "C:Q1%026dw=\nP:%s\nV:%s\nA:x86_64\nS:1\nI:1\nT:of a test\nU:https://example.org\nL:MIT\no:%s\n", i, f[0], f[1], f[2])
		if f[3] != "" {
			out.WriteString("m:" + f[3] + "\n")
		}
		out.WriteString("t:1747000000\n")
		if f[4] != "" {
			out.WriteString("c:" + f[4] + "\n")
		}
		out.WriteString("F:usr\nR:a\n\n")
	}
	return out.String()
}

// rpmdb is a database of packages as RHEL 9 and its relatives keep it.
func rpmdb(t *testing.T, vendor string, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rpmdb.sqlite")
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.Exec("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
	require.NoError(t, err)
	for _, line := range lines {
		f := strings.Split(line, "|")
		order := []uint32{tagName, tagVersion, tagRelease, tagVendor, tagArch, tagSourceRPM}
		if f[3] == "" {
			order = order[:3] // a key that rpm trusts is kept like a package, and no one built it
		}
		header := rpmHeader(t, map[uint32]string{tagName: f[0], tagVersion: f[1], tagRelease: f[2], tagVendor: vendor, tagArch: "x86_64", tagSourceRPM: f[3]}, order...)
		_, err = db.Exec("INSERT INTO Packages (blob) VALUES (?)", header)
		require.NoError(t, err)
	}
	require.NoError(t, db.Close())
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(raw)
}

const (
	alpineRelease = "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.22.2\nPRETTY_NAME=\"Alpine Linux v3.22\"\n"
	almaRelease   = "NAME=\"AlmaLinux\"\nVERSION=\"9.6 (Sage Margay)\"\nID=\"almalinux\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.6\"\n"
	aports        = "1f4ae2ab7d8e2a1cbd5ea7ae3c2a0a0e4cc9f6a1"
)

// debianBase is a part of a base image, with maintainers of each kind: lists, members, and people with an address elsewhere.
var debianBase = debs(
	"base-files|12.4+deb12u12|Santiago Vila <sanvila@debian.org>", "bash|5.2.15-2+b8|Matthias Klose <doko@debian.org>|bash (5.2.15-2)",
	"e2fsprogs|1.47.0-2+b2|Theodore Y. Ts'o <tytso@mit.edu>|e2fsprogs (1.47.0-2)", "libc6|2.36-9+deb12u13|GNU Libc Maintainers <debian-glibc@lists.debian.org>|glibc",
	"libssl3|3.0.17-1~deb12u2|Debian OpenSSL Team <pkg-openssl-devel@alioth-lists.debian.net>|openssl", "mawk|1.3.4.20200120-3.1|Boyuan Yang <byang@debian.org>",
	"libsystemd0|252.39-1~deb12u1|Debian systemd Maintainers <pkg-systemd-maintainers@lists.alioth.debian.org>|systemd",
	"libxxhash0|0.8.1-1|Josue Ortega <josue@debian.org>|xxhash", "libstdc++6|12.2.0-14+deb12u1|Debian GCC Maintainers <debian-gcc@lists.debian.org>|gcc-12",
	"tzdata|2025b-0+deb12u2|GNU Libc Maintainers <debian-glibc@lists.debian.org>", "usr-is-merged|37~deb12u1|Md <md@linux.it>|usrmerge",
)

// alpineBase is a base image's list. Most maintainers of Alpine have an address of their own; some packages have none.
func alpineBase(more ...string) string {
	return apks(append([]string{
		"alpine-baselayout|3.7.0-r0|alpine-baselayout|Natanael Copa <ncopa@alpinelinux.org>|" + aports, "musl|1.2.5-r10|musl|Timo Teräs <timo.teras@iki.fi>|" + aports,
		"busybox|1.37.0-r19|busybox|Sören Tempel <soeren+alpine@soeren-tempel.net>|" + aports, "libcrypto3|3.5.4-r0|openssl|Ariadne Conill <ariadne@dereferenced.org>|" + aports,
		"zlib|1.3.1-r2|zlib|Natanael Copa <ncopa@alpinelinux.org>|" + aports, "jq|1.8.0-r0|jq|Johannes Matheis <jomat+alpinebuild@jmt.gr>|" + aports,
		"libgcc|14.2.0-r6|gcc||" + aports, "ripgrep|14.1.1-r0|ripgrep|Someone Unknown Here <me@blog.example>|" + aports,
	}, more...)...)
}

// image is a realistic image and the answer it must get with complete data.
type image struct {
	name    string
	entries func(t *testing.T) []archivetest.Entry
	// green is expected without a finding; otherwise reason is a part of why not.
	green  bool
	reason string
	// compared is a package of it that is really looked up: with a record about it the image is in violation.
	compared osv.Key
}

var images = []image{
	{
		"debian", func(*testing.T) []archivetest.Entry { return files(release, debianRelease, status, debianBase) },
		true, "",
		osv.Key{Ecosystem: "Debian:12", Package: "glibc"},
	},
	{
		"alpine", func(*testing.T) []archivetest.Entry {
			return files(release, alpineRelease, "lib/apk/db/installed", alpineBase())
		},
		true, "",
		osv.Key{Ecosystem: "Alpine:v3.22", Package: "openssl"},
	},
	{
		"distroless", func(*testing.T) []archivetest.Entry {
			return files(release, debianRelease, status+".d/libssl3", debs("libssl3|3.0.17-1~deb12u2|Debian OpenSSL Team <pkg-openssl-devel@alioth-lists.debian.net>|openssl"),
				status+".d/libssl3.md5sums", "00 a\n", status+".d/tzdata", debs("tzdata|2025b-0+deb12u2|GNU Libc Maintainers <debian-glibc@lists.debian.org>"))
		},
		true, "",
		osv.Key{Ecosystem: "Debian:12", Package: "openssl"},
	},
	{
		"node", func(*testing.T) []archivetest.Entry {
			return files(release, debianRelease, status, debianBase,
				"usr/src/app/package.json", `{"name":"shop","version":"1.0.0","private":true,"dependencies":{"express":"^4"}}`,
				"usr/src/app/package-lock.json", `{"name":"shop","version":"1.0.0","lockfileVersion":3,"packages":{"node_modules/express":{"version":"4.21.2"}}}`,
				"usr/src/app/node_modules/express/package.json", `{"name":"express","version":"4.21.2"}`,
				"usr/src/app/node_modules/express/node_modules/debug/package.json", `{"name":"debug","version":"2.6.9"}`,
				"usr/src/app/node_modules/debug/src/package.json", `{"type":"commonjs"}`,
				"usr/local/lib/node_modules/npm/package.json", `{"name":"npm","version":"10.9.3"}`,
				"usr/local/lib/node_modules/npm/node_modules/tar/package.json", `{"name":"tar","version":"6.2.1"}`,
				"usr/local/include/node/node_version.h", "#define NODE_MAJOR_VERSION 22\n#define NODE_MINOR_VERSION 16\n#define NODE_PATCH_VERSION 0\n")
		},
		true, "",
		osv.Key{Ecosystem: "npm", Package: "express"},
	},
	{
		"python", func(*testing.T) []archivetest.Entry {
			site := "usr/local/lib/python3.12/site-packages/"
			return files(release, debianRelease, status, debianBase,
				site+"requests-2.32.4.dist-info/METADATA", "Metadata-Version: 2.1\nName: requests\nVersion: 2.32.4\n", site+"requests-2.32.4.dist-info/RECORD", "requests/__init__.py,,\n",
				site+"setuptools-78.1.1.dist-info/METADATA", "Metadata-Version: 2.4\nName: setuptools\nVersion: 78.1.1\n",
				site+"setuptools/_vendor/wheel-0.45.1.dist-info/METADATA", "Metadata-Version: 2.3\nName: wheel\nVersion: 0.45.1\n",
				site+"PyYAML-6.0.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: PyYAML\nVersion: 6.0.2\n")
		},
		true, "",
		osv.Key{Ecosystem: "PyPI", Package: "pyyaml"},
	},
	{
		"java", func(t *testing.T) []archivetest.Entry {
			app := jar(t, map[string]string{
				manifest:                     "Manifest-Version: 1.0\r\nStart-Class: example.Shop\r\nImplementation-Title: shop\r\nImplementation-Version: 1.0.0\r\n\r\n",
				"BOOT-INF/classes/a/A.class": "\xca\xfe\xba\xbe",
				"BOOT-INF/lib/jackson-databind-2.18.4.jar":   built(t, "com.fasterxml.jackson.core", "jackson-databind", "2.18.4"),
				"BOOT-INF/lib/kotlin-stdlib-2.1.21.jar":      gradled(t, "Implementation-Title: kotlin-stdlib", "Implementation-Vendor: JetBrains", "Implementation-Version: 2.1.21"),
				"BOOT-INF/lib/snakeyaml-2.3.jar":             built(t, "org.yaml", "snakeyaml", "2.3"),
				"BOOT-INF/lib/netty-codec-4.1.121.Final.jar": built(t, "io.netty", "netty-codec", "4.1.121.Final"),
				"BOOT-INF/lib/spring-core-6.2.8.jar":         gradled(t, "Implementation-Title: spring-core", "Implementation-Version: 6.2.8", "Automatic-Module-Name: spring.core"),
				"BOOT-INF/lib/tomcat-embed-core-10.1.42.jar": gradled(t, "Implementation-Title: Apache Tomcat",
					"Implementation-Version: 10.1.42", "Bundle-SymbolicName: org.apache.tomcat-embed-core", "Bundle-Version: 10.1.42", "Bundle-Name: tomcat-embed-core"),
				"BOOT-INF/lib/micrometer-core-1.15.1.jar": gradled(t, "Automatic-Module-Name: micrometer.core", "Implementation-Title: io.micrometer#micrometer-core;1.15.1",
					"Implementation-Version: 1.15.1"),
			})
			return files(release, debianRelease, status, debianBase, "app/app.jar", app,
				"app/lib/messages.jar", jar(t, map[string]string{"messages_de.properties": "a=b\n"}),
				"app/lib/icons.jar", jar(t, map[string]string{manifest: "Manifest-Version: 1.0\r\n\r\n", "icons/a.png": "png"}),
				"app/lib/jquery-3.7.1.jar", jar(t, map[string]string{
					manifest: "Manifest-Version: 1.0\r\n\r\n", "META-INF/maven/org.webjars/jquery/pom.properties": "groupId=org.webjars\nartifactId=jquery\nversion=3.7.1\n",
					"META-INF/resources/webjars/jquery/3.7.1/jquery.js": "//",
				}))
		},
		true, "",
		osv.Key{Ecosystem: "Maven", Package: "io.netty:netty-codec"},
	},
	{
		"go", func(t *testing.T) []archivetest.Entry {
			return files("app", goProgram(t), "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
		},
		true, "",
		osv.Key{Ecosystem: "Go", Package: "stdlib"},
	},
	{
		"nginx.org", func(*testing.T) []archivetest.Entry {
			return files(release, debianRelease, status, debianBase+debs("nginx|1.28.0-1~bookworm|NGINX Packaging <nginx-packaging@f5.com>"))
		},
		false, "package of another vendor",
		osv.Key{Ecosystem: "Debian:12", Package: "nginx"},
	},
	{
		"alma", func(t *testing.T) []archivetest.Entry {
			return files(release, almaRelease, "var/lib/rpm/rpmdb.sqlite", rpmdb(t, "AlmaLinux",
				"openssl-libs|3.2.2|6.el9_5.1|openssl-3.2.2-6.el9_5.1.src.rpm", "bash|5.1.8|9.el9|bash-5.1.8-9.el9.src.rpm", "tzdata|2025b|1.el9|tzdata-2025b-1.el9.src.rpm",
				"almalinux-release|9.6|1.el9|almalinux-release-9.6-1.el9.src.rpm", "gpg-pubkey|b86b3716|61e69f29|"))
		},
		true, "",
		osv.Key{Ecosystem: "AlmaLinux:9", Package: "openssl-libs"},
	},
	{
		"static binary", func(*testing.T) []archivetest.Entry {
			return files("app", "\x7fELF\x02\x01\x01"+strings.Repeat("\x00", 4096))
		},
		false, "nothing recognised",
		osv.Key{},
	},
}

// maxUnknown is the share of honest images without an answer at which people stop believing the word UNKNOWN.
const maxUnknown = 10 // percent

// TestHonestImagesAreGreen: with complete data, an image of which all is known gets an answer. Only what cannot be known is
// UNKNOWN: packages of another vendor, and programs that say nothing of what they were built from.
func TestHonestImagesAreGreen(t *testing.T) {
	honest, unknown := 0, 0
	for _, each := range images {
		t.Run(each.name, func(t *testing.T) {
			entries := each.entries(t)
			result := judged(t, osv.Key{}, entries)
			t.Logf("%s: %d components, %s", result.Status, result.Coverage.Components, result.Coverage.Reason)
			for _, c := range result.Components {
				if !c.Assessed && !c.Own {
					t.Logf("not assessed: %s (%s): %s, %s", c.Name, c.PURL, c.Reason, c.Detail)
				}
			}
			if each.green {
				honest++
				if result.Status == model.OverallUnknown {
					unknown++
				}
				require.Equal(t, model.NotInViolation, result.Status, result.Unread)
			} else {
				require.Equal(t, model.OverallUnknown, result.Status)
				require.Contains(t, result.Coverage.Reason, each.reason)
			}
			if each.compared.Package != "" {
				require.Equal(t, model.InViolation, judged(t, each.compared, entries).Status, "%s was not looked up", each.compared)
			}
		})
	}
	t.Logf("%d of %d honest images are UNKNOWN", unknown, honest)
	require.LessOrEqual(t, unknown*100, honest*maxUnknown)
}
