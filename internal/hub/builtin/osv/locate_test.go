package osv_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

// keys are package URLs and where records about them are filed; nowhere when they cannot be assessed.
var keys = []struct {
	name, purl string
	ecosystem  string
	pkg        string
}{
	{"debian", "pkg:deb/debian/openssl@3.0.11-1~deb12u2?arch=amd64&distro=debian-12", "Debian:12", "openssl"},
	{"debian source", "pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64&distro=debian-12&upstream=openssl", "Debian:12", "openssl"},
	{"debian source with version", "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4%2Bb1?distro=debian-12&upstream=glibc%402.36-9%2Bdeb12u4", "Debian:12", "glibc"},
	{"debian source with a plus in its name", "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?distro=debian-12&upstream=gtk%2B3.0", "Debian:12", "gtk+3.0"},
	{"debian plus not encoded", "pkg:deb/debian/libstdc++6@12.2.0-14+deb12u1?distro=debian-12&upstream=gcc-12", "Debian:12", "gcc-12"},
	{"debian point release", "pkg:deb/debian/p@1?distro=debian-12.11", "Debian:12", "p"},
	{"debian code name", "pkg:deb/debian/p@1?distro=bookworm", "Debian:12", "p"},
	{"debian long code name", "pkg:deb/debian/p@1?distro=debian-bullseye", "Debian:11", "p"},
	{"debian unstable", "pkg:deb/debian/p@1?distro=debian-sid", "", ""},
	{"debian no release", "pkg:deb/debian/p@1", "", ""},
	{"debian empty source", "pkg:deb/debian/p@1?distro=debian-12&upstream=", "Debian:12", "p"},
	{"debian source without a version after the sign", "pkg:deb/debian/p@1?distro=debian-12&upstream=q%40", "Debian:12", "q"},
	{"debian no version", "pkg:deb/debian/p?distro=debian-12", "", ""},
	{"debian version of words", "pkg:deb/debian/p@unknown?distro=debian-12", "", ""},
	{"ubuntu", "pkg:deb/ubuntu/p@1?distro=ubuntu-22.04", "Ubuntu:22.04", "p"},
	{"ubuntu's distro under debian's name", "pkg:deb/debian/p@1?distro=ubuntu-22.04", "", ""},

	{"go", "pkg:golang/golang.org/x/text@v0.3.6", "Go", "golang.org/x/text"},
	{"go package inside the module", "pkg:golang/golang.org/x/text@v0.3.6#language", "Go", "golang.org/x/text"},
	{"go upper case", "pkg:golang/github.com/BurntSushi/toml@v1.0.0", "Go", "github.com/burntsushi/toml"},
	{"go incompatible", "pkg:golang/github.com/docker/docker@v20.10.0%2Bincompatible", "Go", "github.com/docker/docker"},
	{"go standard library", "pkg:golang/stdlib@1.26.8", "Go", "stdlib"},
	{"go standard library as the go command says it", "pkg:golang/stdlib@go1.22rc1", "Go", "stdlib"},
	{"go toolchain", "pkg:golang/toolchain@1.21.0", "Go", "toolchain"},
	{"go built from a working copy", "pkg:golang/example.org/p@(devel)", "", ""},
	{"go no version", "pkg:golang/example.org/p", "", ""},

	{"npm", "pkg:npm/lodash@4.17.20", "npm", "lodash"},
	{"npm scope", "pkg:npm/%40babel/traverse@7.23.0", "npm", "@babel/traverse"},
	{"npm scope not encoded", "pkg:npm/@babel/traverse@7.23.0", "npm", "@babel/traverse"},
	{"npm case counts", "pkg:npm/JSONStream@1.0.0", "npm", "JSONStream"},
	{"npm dist tag", "pkg:npm/lodash@latest", "", ""},

	{"pypi", "pkg:pypi/requests@2.30.0", "PyPI", "requests"},
	{"pypi folded", "pkg:pypi/Foo.Bar__baz-.-x@1.0", "PyPI", "foo-bar-baz-x"},
	{"pypi legacy version", "pkg:pypi/pytz@2004d", "PyPI", "pytz"},
	{"pypi version of words", "pkg:pypi/pytz@unknown", "", ""},

	{"generic", "pkg:generic/openssl-fips@3.0", "", ""},
}

func TestKeyOf(t *testing.T) {
	for _, row := range keys {
		t.Run(row.name, func(t *testing.T) {
			key, known, err := osv.KeyOf(row.purl)
			require.NoError(t, err)
			require.Equal(t, osv.Key{Ecosystem: row.ecosystem, Package: row.pkg}, key)
			require.Equal(t, row.ecosystem != "", known)
		})
	}
}

// places are package URLs of every ecosystem with the release that records about them name, and the names to look under.
var places = []struct {
	name, purl string
	on         osv.Distribution
	record     string // the ecosystem as a published record names it
	keys       []string
}{
	{"debian", "pkg:deb/debian/libssl3@3.0.11-1?distro=debian-12&upstream=openssl", osv.Distribution{}, "Debian:12", []string{"openssl"}},
	{"debian by os-release", "pkg:deb/debian/openssl@3.0.11-1", osv.Distribution{ID: "debian", VersionID: "12"}, "Debian:12", []string{"openssl"}},
	{"debian before its release", "pkg:deb/debian/openssl@3.0.11-1?distro=debian", osv.Distribution{ID: "debian", Codename: "forky"}, "Debian:14", []string{"openssl"}},
	{"debian records of any release", "pkg:deb/debian/openssl@3.0.11-1?distro=debian-12", osv.Distribution{}, "Debian", []string{"openssl"}},
	{"ubuntu LTS", "pkg:deb/ubuntu/libssl3@3.0.2-0ubuntu1.10?distro=ubuntu-22.04&upstream=openssl", osv.Distribution{}, "Ubuntu:22.04:LTS", []string{"openssl"}},
	{"ubuntu Pro", "pkg:deb/ubuntu/openssl@3.0.2-0ubuntu1.10?distro=ubuntu-22.04", osv.Distribution{}, "Ubuntu:Pro:22.04:LTS", []string{"openssl"}},
	{"ubuntu in between", "pkg:deb/ubuntu/openssl@3.0.2-0ubuntu1.10?distro=ubuntu-25.10", osv.Distribution{}, "Ubuntu:25.10", []string{"openssl"}},
	{"ubuntu by code name", "pkg:deb/ubuntu/openssl@3.0.2-0ubuntu1.10?distro=noble", osv.Distribution{}, "Ubuntu:24.04:LTS", []string{"openssl"}},
	{"ubuntu FIPS", "pkg:deb/ubuntu/openssl@3.0.2-0ubuntu1.18%2BFips1?distro=ubuntu-22.04", osv.Distribution{}, "Ubuntu:Pro:FIPS-updates:22.04:LTS", []string{"openssl"}},
	{"alpine", "pkg:apk/alpine/libcrypto3@3.1.4-r1?distro=alpine-3.18.4&upstream=openssl", osv.Distribution{}, "Alpine:v3.18", []string{"openssl"}},
	{"alpine by os-release", "pkg:apk/alpine/musl@1.2.4-r1", osv.Distribution{ID: "alpine", VersionID: "3.18.4"}, "Alpine:v3.18", []string{"musl"}},
	{"alpine before its release", "pkg:apk/alpine/musl@1.2.4-r1?distro=alpine-3.23_alpha20250612", osv.Distribution{}, "Alpine:v3.23", []string{"musl"}},
	{"wolfi", "pkg:apk/wolfi/libcrypto3@3.1.4-r1?distro=wolfi-20230201&upstream=openssl", osv.Distribution{}, "Wolfi", []string{"openssl", "libcrypto3"}},
	{"chainguard", "pkg:apk/chainguard/glibc@2.38-r1?distro=chainguard-20230214", osv.Distribution{}, "Chainguard", []string{"glibc"}},
	{"minimos", "pkg:apk/minimos/glibc@2.38-r1", osv.Distribution{}, "MinimOS", []string{"glibc"}},
	{"alpaquita", "pkg:apk/alpaquita/musl@1.2.4-r1?distro=alpaquita-23", osv.Distribution{}, "Alpaquita:23", []string{"musl"}},
	{
		"bellsoft", "pkg:apk/bellsoft-hardened-containers/musl@1.2.4-r1?distro=bellsoft-hardened-containers-23",
		osv.Distribution{},
		"BellSoft Hardened Containers:23",
		[]string{"musl"},
	},
	{
		"almalinux has binary packages", "pkg:rpm/almalinux/openssl-libs@3.0.7-27.el9?distro=almalinux-9.4&epoch=1&upstream=openssl-3.0.7-27.el9.src.rpm",
		osv.Distribution{},
		"AlmaLinux:9",
		[]string{"openssl-libs"},
	},
	{
		"rocky has both", "pkg:rpm/rocky/openssl-libs@3.0.7-27.el9?distro=rocky-9.4&epoch=1&upstream=openssl-3.0.7-27.el9.src.rpm",
		osv.Distribution{},
		"Rocky Linux:9",
		[]string{"openssl-libs", "openssl"},
	},
	{"red hat baseos", "pkg:rpm/redhat/openssl@3.0.7-27.el9?distro=rhel-9.4&epoch=1", osv.Distribution{}, "Red Hat:enterprise_linux:9::baseos", []string{"openssl"}},
	{"red hat appstream", "pkg:rpm/redhat/openssl@3.0.7-27.el9?distro=redhat-9.4", osv.Distribution{}, "Red Hat:enterprise_linux:9::appstream", []string{"openssl"}},
	{"red hat with longer support", "pkg:rpm/redhat/openssl@3.0.7-27.el9?distro=rhel-9.4", osv.Distribution{}, "Red Hat:rhel_eus:9.2::appstream", []string{"openssl"}},
	{"red hat product upon it", "pkg:rpm/redhat/cri-o@1.27.1-8?distro=rhel-9.4", osv.Distribution{}, "Red Hat:openshift:4.14::el9", []string{"cri-o"}},
	{
		"sles", "pkg:rpm/sles/libopenssl3@3.0.8-1?distro=sles-15.5&upstream=openssl-3-3.0.8-1.src.rpm",
		osv.Distribution{},
		"SUSE:Linux Enterprise Server 15 SP5",
		[]string{"libopenssl3", "openssl-3"},
	},
	{"sles module", "pkg:rpm/suse/openssl-3@3.0.8-1?distro=sles-15.5", osv.Distribution{}, "SUSE:Linux Enterprise Module for Basesystem 15 SP5", []string{"openssl-3"}},
	{"sles with longer support", "pkg:rpm/suse/openssl-3@3.0.8-1?distro=sles-15.3", osv.Distribution{}, "SUSE:Linux Enterprise Server 15 SP3-LTSS", []string{"openssl-3"}},
	{
		"sle micro", "pkg:rpm/suse/openssl-3@3.0.8-1?distro=sle-micro-5.5",
		osv.Distribution{ID: "sle-micro", VersionID: "5.5"},
		"SUSE:Linux Enterprise Micro 5.5",
		[]string{"openssl-3"},
	},
	{"leap", "pkg:rpm/opensuse/openssl-3@3.0.8-1?distro=opensuse-leap-15.5", osv.Distribution{}, "openSUSE:Leap 15.5", []string{"openssl-3"}},
	{"tumbleweed", "pkg:rpm/opensuse/openssl-3@3.0.8-1?distro=opensuse-tumbleweed-20240101", osv.Distribution{}, "openSUSE:Tumbleweed", []string{"openssl-3"}},
	{"mageia", "pkg:rpm/mageia/openssl@3.0.12-1.mga9?distro=mageia-9", osv.Distribution{}, "Mageia:9", []string{"openssl"}},
	{
		"openEuler by its long name", "pkg:rpm/openeuler/openssl@1.1.1wa-1?distro=openeuler-22.03&epoch=1",
		osv.Distribution{ID: "openeuler", VersionID: "22.03", Pretty: "openEuler 22.03 (LTS-SP3)"},
		"openEuler:22.03-LTS-SP3",
		[]string{"openssl"},
	},

	{"bioconductor", "pkg:bioconductor/rhdf5@2.40.0", osv.Distribution{}, "Bioconductor", []string{"rhdf5"}},
	{"bitnami", "pkg:bitnami/nginx@1.25.3-0?arch=amd64&distro=debian-12", osv.Distribution{}, "Bitnami", []string{"nginx"}},
	{"upstream binary", "pkg:generic/node@20.9.0", osv.Distribution{}, "Bitnami", []string{"node"}},
	{"upstream binary under another name", "pkg:generic/httpd@2.4.57", osv.Distribution{}, "Bitnami", []string{"apache"}},
	{"conan", "pkg:conan/OpenSSL@3.0.3", osv.Distribution{}, "ConanCenter", []string{"openssl"}},
	{"cran", "pkg:cran/commonmark@1.7", osv.Distribution{}, "CRAN", []string{"commonmark"}},
	{"crates.io", "pkg:cargo/time@0.1.42", osv.Distribution{}, "crates.io", []string{"time"}},
	{"docker hardened images", "pkg:dhi/nginx@1.27.0", osv.Distribution{}, "Docker Hardened Images", []string{"nginx"}},
	{"go", "pkg:golang/golang.org/x/text@v0.3.6", osv.Distribution{}, "Go", []string{"golang.org/x/text"}},
	{"go major version in the subpath", "pkg:golang/github.com/cli/cli@v2.63.0#v2", osv.Distribution{}, "Go", []string{"github.com/cli/cli/v2"}},
	{"hackage", "pkg:hackage/tls@1.9.0", osv.Distribution{}, "Hackage", []string{"tls"}},
	{"hex", "pkg:hex/plug@1.14.0", osv.Distribution{}, "Hex", []string{"plug"}},
	{"julia", "pkg:julia/HTTP@1.10.1?uuid=cd3eb016-35fb-5094-929b-558a96fad6f3", osv.Distribution{}, "Julia", []string{"HTTP"}},
	{"maven", "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1", osv.Distribution{}, "Maven", []string{"org.apache.logging.log4j:log4j-core"}},
	{
		"maven of another repository", "pkg:maven/org.jenkins-ci.plugins/git@4.0",
		osv.Distribution{},
		"Maven:https://repo.jenkins-ci.org/releases/",
		[]string{"org.jenkins-ci.plugins:git"},
	},
	{"npm", "pkg:npm/%40babel/traverse@7.23.0", osv.Distribution{}, "npm", []string{"@babel/traverse"}},
	{"nuget case does not count", "pkg:nuget/Newtonsoft.Json@12.0.1", osv.Distribution{}, "NuGet", []string{"newtonsoft.json"}},
	{"packagist", "pkg:composer/Symfony/http-kernel@v5.4.0", osv.Distribution{}, "Packagist", []string{"symfony/http-kernel"}},
	{"packagist of Drupal", "pkg:composer/drupal/core@9.0.0", osv.Distribution{}, "Packagist:https://packages.drupal.org/8", []string{"drupal/core"}},
	{"pub", "pkg:pub/http@0.13.2", osv.Distribution{}, "Pub", []string{"http"}},
	{"pypi", "pkg:pypi/Foo.Bar@1.0", osv.Distribution{}, "PyPI", []string{"foo-bar"}},
	{"rubygems", "pkg:gem/rack@2.2.3?platform=ruby", osv.Distribution{}, "RubyGems", []string{"rack"}},
	{"swift", "pkg:swift/github.com/apple/swift-nio@2.40.0", osv.Distribution{}, "SwiftURL", []string{"github.com/apple/swift-nio"}},
}

// TestEveryEcosystem asks for each way from a package URL to the record that a database publishes about it.
func TestEveryEcosystem(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range places {
		t.Run(row.name, func(t *testing.T) {
			p, reason, detail := osv.Locate(osv.Subject{PURL: row.purl}, row.on)
			require.Empty(t, reason, detail)
			seen[osv.Base(p.Ecosystem)] = true
			var names []string
			for _, key := range p.Keys() {
				if !slices.Contains(names, key.Package) {
					names = append(names, key.Package)
				}
			}
			require.Equal(t, row.keys, names)
			name, far := row.keys[len(row.keys)-1], "9999"
			if strings.Contains(row.purl, "epoch=1") {
				far = "1:9999"
			}
			found, unclear := p.Match([]osv.Record{record(t, "X-1", row.record, name, `[{"introduced":"0"},{"fixed":"`+far+`"}]`)})
			require.Empty(t, unclear)
			require.Len(t, found, 1)
			found, _ = p.Match([]osv.Record{record(t, "X-1", row.record, name, `[{"introduced":"0"},{"fixed":"0.0.1"}]`)})
			require.Empty(t, found)
		})
	}
	for _, ecosystem := range osv.Ecosystems() {
		if ecosystem != "GHC" { // its records are about a compiler that no package URL names
			require.True(t, seen[ecosystem], ecosystem)
		}
	}
}

func TestAnotherRelease(t *testing.T) {
	for purl, ecosystem := range map[string]string{
		"pkg:deb/debian/p@1?distro=debian-12":         "Debian:11",
		"pkg:deb/ubuntu/p@1?distro=ubuntu-22.04":      "Ubuntu:24.04:LTS",
		"pkg:deb/ubuntu/p@1?distro=ubuntu-22.10":      "Ubuntu:Pro:FIPS:22.04:LTS",
		"pkg:apk/alpine/p@1-r0?distro=alpine-3.18.4":  "Alpine:v3.1",
		"pkg:rpm/almalinux/p@1-1?distro=almalinux-9":  "AlmaLinux:8",
		"pkg:rpm/redhat/p@1-1?distro=rhel-9.4":        "Red Hat:enterprise_linux:8::baseos",
		"pkg:rpm/sles/p@1-1?distro=sles-15.5":         "SUSE:Linux Enterprise Server 15 SP4",
		"pkg:rpm/opensuse/p@1-1?distro=opensuse-15.5": "openSUSE:Tumbleweed",
	} {
		p, reason, detail := osv.Locate(osv.Subject{PURL: purl}, osv.Distribution{})
		require.Empty(t, reason, detail)
		found, _ := p.Match([]osv.Record{record(t, "X-1", ecosystem, "p", `[{"introduced":"0"}]`)})
		require.Empty(t, found, purl)
	}
}

func TestCannotBeLocated(t *testing.T) {
	for _, row := range []struct {
		name, purl, ecosystem string
		reason                model.NotAssessedReason
	}{
		{"nothing", "", "", model.NoData},
		{"no package URL", "openssl 3.0", "", model.NoData},
		{"no name", "pkg:npm/", "", model.NoData},
		{"broken encoding", "pkg:npm/p@%zz", "", model.NoData},
		{"too long", "pkg:npm/" + strings.Repeat("a", 5000) + "@1.0.0", "", model.NoData},
		{"another type", "pkg:cpan/p@1.0", "", model.NoData},
		{"another distribution", "pkg:rpm/fedora/p@1.0-1?distro=fedora-40", "", model.NoData},
		{"a relative of Debian", "pkg:deb/kali/p@1.0-1?distro=kali-2024.1", "", model.NoData},
		{"debian of no release", "pkg:deb/debian/p@1.0-1", "Debian", model.NoData},
		{"debian of the image's other distribution", "pkg:deb/debian/p@1.0-1?distro=ubuntu-22.04", "Debian", model.NoData},
		{"alpine of no release", "pkg:apk/alpine/p@1.0-r1", "Alpine", model.NoData},
		{"openEuler of no release", "pkg:rpm/openeuler/p@1.0-1", "openEuler", model.NoData},
		{"a jar of no group", "pkg:maven/log4j-core@2.14.1", "Maven", model.NoData},
		{"no version", "pkg:npm/p", "npm", model.VersionUnreadable},
		{"a version of words", "pkg:npm/p@latest", "npm", model.VersionUnreadable},
		{"a variable", "pkg:maven/g/a@$%7Bproject.version%7D", "Maven", model.VersionUnreadable},
		{"a branch", "pkg:composer/a/b@dev-master", "Packagist", model.VersionUnreadable},
		{"an apk of another grammar", "pkg:apk/alpine/p@1.0-rc1?distro=alpine-3.18.0", "Alpine:v3.18", model.VersionUnreadable},
		{"a working copy", "pkg:golang/example.org/p@(devel)", "Go", model.VersionUnreadable},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, reason, detail := osv.Locate(osv.Subject{PURL: row.purl}, osv.Distribution{})
			require.Equal(t, row.reason, reason)
			require.NotEmpty(t, detail)
			require.Less(t, len(detail), 400)
			require.Equal(t, row.ecosystem, p.Ecosystem, "known for loading its data")
			require.Empty(t, p.Keys())
		})
	}
	_, reason, _ := osv.Locate(osv.Subject{PURL: "pkg:npm/p", Version: "1.0.0"}, osv.Distribution{})
	require.Empty(t, reason, "the document's own version")
}

func TestDebianJudgesTheSourceVersion(t *testing.T) {
	// The binary's own version is far above the source's, as in gcc-defaults; only the source's counts.
	r := record(t, "CVE-1", "Debian:12", "src", `[{"introduced":"0"},{"fixed":"1.5-1"}]`)
	require.Len(t, match(t, "pkg:deb/debian/bin@4%3A12.2.0-3?distro=debian-12&upstream=src%401.4-1", r), 1)
	require.Empty(t, match(t, "pkg:deb/debian/bin@0.1-1?distro=debian-12&upstream=src%401.5-1", r))
	require.Empty(t, match(t, "pkg:deb/debian/src@1.4-1?distro=debian-12&upstream=other", r), "another source of the same binary name")
}

func TestGoStandardLibrary(t *testing.T) {
	r := record(t, "GO-1", "Go", "stdlib", `[{"introduced":"0"},{"fixed":"1.21.9"},{"introduced":"1.22.0-0"},{"fixed":"1.22.2"}]`)
	for version, affected := range map[string]bool{
		"1.21.8": true, "go1.21.8": true, "1.21.9": false, "1.22.0": true, "go1.22rc1": true, "1.22rc2": true, "go1.22.1": true,
		"1.22.2": false, "1.26.8": false, "go1.26.8": false, "go1.22.1 X:boringcrypto": true,
		"1.26.8-X:boringcrypto": false, "go1.22.1-X:boringcrypto": true,
	} {
		t.Run(version, func(t *testing.T) {
			require.Equal(t, affected, len(match(t, "pkg:golang/stdlib@"+version, r)) == 1)
		})
	}
	candidates := record(t, "GO-2", "Go", "stdlib", `[{"introduced":"1.22.0-rc.2"},{"fixed":"1.22.0"}]`)
	require.Empty(t, match(t, "pkg:golang/stdlib@go1.22rc1", candidates))
	require.Len(t, match(t, "pkg:golang/stdlib@go1.22rc2", candidates), 1)
	require.Len(t, match(t, "pkg:golang/stdlib@go1.22rc10", candidates), 1)
}

func FuzzKeyOf(f *testing.F) {
	for _, purl := range []string{
		"pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?distro=debian-12&upstream=glibc%402.36-9", "pkg:golang/stdlib@go1.22rc1", "pkg:npm/%40a/b@1",
		"pkg:rpm/almalinux/a@1?distro=almalinux-9&epoch=1&upstream=a-1-1.src.rpm", "pkg:apk/wolfi/a@1-r0", "pkg:maven/g/a@1", "pkg:rpm/sles/a@1?distro=sles-15.5",
		"pkg:pypi/a_b@1!1.0.post1", "pkg:deb/debian/a@:~-+?distro=12", "pkg:/", "pkg:npm/a@" + "9999999999999999999999", "",
	} {
		f.Add(purl)
	}
	all, err := osv.Sample()
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, purl string) {
		key, known, err := osv.KeyOf(purl)
		if known && (err != nil || key.Ecosystem == "" || key.Package == "") {
			t.Fatalf("%q: known, but %v %v", purl, key, err)
		}
		if !known && key != (osv.Key{}) {
			t.Fatalf("%q: not known, but %v", purl, key)
		}
		if _, err := osv.Match(purl, all); (err == nil) != known {
			t.Fatalf("%q: known %t, but match says %v", purl, known, err)
		}
	})
}
