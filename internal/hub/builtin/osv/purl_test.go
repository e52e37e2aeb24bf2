package osv_test

import (
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
	{"ubuntu", "pkg:deb/ubuntu/p@1?distro=ubuntu-22.04", "", ""},
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

	{"maven", "pkg:maven/org.apache/log4j@2.0", "", ""},
	{"rpm", "pkg:rpm/redhat/openssl@3.0?distro=rhel-9", "", ""},
	{"generic", "pkg:generic/openssl@3.0", "", ""},
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

func TestKeyOfRefuses(t *testing.T) {
	long := make([]byte, 5000)
	for i := range long {
		long[i] = 'a'
	}
	for _, row := range []struct{ name, purl, says string }{
		{"nothing", "", "not readable"},
		{"no package URL", "openssl 3.0", "not readable"},
		{"no name", "pkg:npm/", "not readable"},
		{"broken encoding", "pkg:npm/p@%zz", "not readable"},
		{"too long", "pkg:npm/" + string(long) + "@1.0.0", "longer than 4096 bytes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, known, err := osv.KeyOf(row.purl)
			require.False(t, known)
			var typed *osv.Error
			require.ErrorAs(t, err, &typed)
			require.Equal(t, model.Invalid, typed.FailureClass())
			require.ErrorContains(t, err, row.says)
			require.Zero(t, typed.RetryAfter())
			require.Less(t, len(err.Error()), 300)
		})
	}
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
