package catalog_test

import (
	"archive/tar"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/archivetest"
)

// odd is a file of which something cannot be read, and its repaired twin.
type odd struct {
	name, path, body string
	beside           []archivetest.Entry // what is good, in the same image
	listed           []string            // by name@version, of the odd form; version UNKNOWN is not assessed by hubs
	unread           bool                // the file itself is unread
	repaired         string              // empty where the odd form is listed in full
	want             []string            // what is listed of the repaired one
}

const site = "usr/lib/python3/site-packages/"

func oddFiles(t *testing.T) []odd {
	t.Helper()
	rpms := rpmdb(t, "AlmaLinux", "bash|5.1.8|9.el9|bash-5.1.8-9.el9.src.rpm")
	goodRPM := files(release, almaRelease, "var/lib/rpm/rpmdb.sqlite", rpms)
	inner := built(t, "g", "inner", "1.0")
	outer := func(inner string) string {
		return jar(t, map[string]string{
			manifest: "Manifest-Version: 1.0\r\n\r\n", "META-INF/maven/g/outer/pom.properties": "groupId=g\nartifactId=outer\nversion=2.0\n", "lib/inner.jar": inner,
		})
	}
	apk := apks("musl|1.2.5-r10|musl|N <n@alpinelinux.org>|"+aports, "zlib|1.3.1-r2|zlib|N <n@alpinelinux.org>|"+aports)
	top := func(inner string) string {
		return jar(t, map[string]string{
			manifest: "Manifest-Version: 1.0\r\n\r\n", "META-INF/maven/g/top/pom.properties": "groupId=g\nartifactId=top\nversion=3.0\n", "lib/outer.jar": inner,
		})
	}
	installed, a := files("app/node_modules/a/package.json", `{"name":"a","version":"1.0"}`), []string{"a@1.0"}
	const needy = "C:Q1x=\nP:zlib\nV:1.3.1-r2\nA:x86_64\nD:so:libc.musl-x86_64.so.1 /bin/tool !other>3\n\n" +
		"C:Q1y=\nP:musl\nV:1.2.5-r10\nA:x86_64\np:so:libc.musl-x86_64.so.1=1\nF:bin\nR:tool\n\n"
	return []odd{
		{"a broken jar in a jar", "app/outer.jar", outer(inner[:len(inner)/2]), nil, []string{"outer@2.0"}, true, outer(inner), []string{"inner@1.0", "outer@2.0"}},
		{"a jar in a jar that is none", "app/outer.jar", outer("no jar"), nil, []string{"outer@2.0"}, true, outer(inner), []string{"inner@1.0", "outer@2.0"}},
		{"a jar of code without a name", "app/a.jar", jar(t, map[string]string{"a/A.class": "\xca\xfe\xba\xbe"}), nil, nil, true, inner, []string{"inner@1.0"}},
		{
			"a damaged rpmdb.sqlite beside a good one", "usr/lib/sysimage/rpm/rpmdb.sqlite",
			"SQLite format 3\x00" + strings.Repeat("x", 8000),
			goodRPM,
			[]string{"bash@5.1.8-9.el9"},
			true, rpms,
			[]string{"bash@5.1.8-9.el9"},
		},
		{"a damaged NDB beside a good one", "usr/lib/sysimage/rpm/Packages.db", "RpmP" + strings.Repeat("\xff", 8000), goodRPM, []string{"bash@5.1.8-9.el9"}, true, "", nil},
		{"a damaged Berkeley DB beside a good one", "usr/lib/sysimage/rpm/Packages", strings.Repeat("\x00\xff", 8000), goodRPM, []string{"bash@5.1.8-9.el9"}, true, "", nil},
		{
			"an apk list cut off in a version", "lib/apk/db/installed",
			apk[:strings.Index(apk, "V:1.3.1")+4],
			nil,
			[]string{"musl@1.2.5-r10"},
			true, apk,
			[]string{"musl@1.2.5-r10", "zlib@1.3.1-r2"},
		},
		{
			"an apk list cut off between fields", "lib/apk/db/installed",
			apk[:strings.Index(apk, "V:1.3.1")],
			nil,
			[]string{"musl@1.2.5-r10", "zlib@UNKNOWN"},
			true, apk,
			[]string{"musl@1.2.5-r10", "zlib@1.3.1-r2"},
		},
		{
			"an apk list cut off after a line", "lib/apk/db/installed",
			apk[:len(apk)-1],
			nil,
			[]string{"musl@1.2.5-r10", "zlib@1.3.1-r2"},
			true, apk,
			[]string{"musl@1.2.5-r10", "zlib@1.3.1-r2"},
		},
		{
			"an apk list cut off at the end of an entry that another needs", "lib/apk/db/installed",
			needy[:strings.Index(needy, "P:musl")],
			nil,
			[]string{"zlib@1.3.1-r2"},
			true, needy,
			[]string{"musl@1.2.5-r10", "zlib@1.3.1-r2"},
		},
		{
			"an apk list cut off at the end of an entry that was asked for", "lib/apk/db/installed",
			apk[:strings.Index(apk, "\n\n")+2],
			files("etc/apk/world", "musl>1.2\nzlib@edge\n!gone\n"),
			[]string{"musl@1.2.5-r10"},
			true, apk,
			[]string{"musl@1.2.5-r10", "zlib@1.3.1-r2"},
		},
		{"a broken package-lock.json", "app/package-lock.json", `{"lockfileVersion":3,"packages":{`, installed, a, true, `{"lockfileVersion":3,"packages":{}}`, a},
		{"a package-lock.json that is a list", "app/package-lock.json", "[]", installed, a, true, "\xef\xbb\xbf{}", a},
		{"a broken composer.lock", "app/composer.lock", "<html>", installed, a, true, `{"packages":[]}`, a},
		{
			"a broken jar in a jar in a jar", "app/top.jar", top(outer(inner[:len(inner)/2])), nil,
			[]string{"outer@2.0", "top@3.0"},
			true,
			top(outer(inner)),
			[]string{"inner@1.0", "outer@2.0", "top@3.0"},
		},
		{
			"a jar without a name in a jar in a jar", "app/top.jar", top(outer(jar(t, map[string]string{"a/A.class": "\xca\xfe\xba\xbe"}))), nil,
			[]string{"outer@2.0", "top@3.0"},
			true, top(outer(inner)),
			[]string{"inner@1.0", "outer@2.0", "top@3.0"},
		},
		{
			"METADATA without a version", site + "a-1.0.dist-info/METADATA",
			"Metadata-Version: 2.1\nName: a\n",
			nil,
			[]string{"a@UNKNOWN"},
			false, "Metadata-Version: 2.1\nName: a\nVersion: 1.0\n",
			[]string{"a@1.0"},
		},
		{
			"METADATA without a name", site + "a-1.0.dist-info/METADATA",
			"Metadata-Version: 2.1\nVersion: 1.0\n",
			nil, nil, true, "Metadata-Version: 2.1\nName: a\nVersion: 1.0\n",
			[]string{"a@1.0"},
		},
		{"empty METADATA", site + "a-1.0.dist-info/METADATA", "", nil, nil, true, "Metadata-Version: 2.1\nName: a\nVersion: 1.0\n", []string{"a@1.0"}},
		{"METADATA with a byte order mark", site + "a-1.0.dist-info/METADATA", "\xef\xbb\xbfName: a\nVersion: 1.0\n", nil, []string{"a@1.0"}, false, "", nil},
		{"METADATA in UTF-16", site + "a-1.0.dist-info/METADATA", utf16le("Metadata-Version: 2.1\nName: a\nVersion: 1.0\n"), nil, []string{"a@1.0"}, false, "", nil},
		{
			"an egg-info without a version", site + "a.egg-info/PKG-INFO",
			"Metadata-Version: 1.0\nName: a\n",
			nil,
			[]string{"a@UNKNOWN"},
			false, "Metadata-Version: 1.0\nName: a\nVersion: 1.0\n",
			[]string{"a@1.0"},
		},
		{"an egg-info that is one file", site + "a-1.0.egg-info", "Metadata-Version: 1.0\nName: a\nVersion: 1.0\n", nil, []string{"a@1.0"}, false, "", nil},
		{
			"a gem whose version is a constant", "usr/lib/ruby/gems/3.3.0/specifications/a-1.0.gemspec",
			"Gem::Specification.new do |s|\n  s.name = \"a\"\n  s.version = A::VERSION\nend\n",
			nil,
			[]string{"a@UNKNOWN"},
			false, "Gem::Specification.new do |s|\n  s.name = \"a\".freeze\n  s.version = \"1.0\"\nend\n",
			[]string{"a@1.0"},
		},
		{
			"a broken list of conda", "opt/conda/conda-meta/a-1.0-0.json",
			`{"name":"a","version":`,
			nil, nil, true, `{"name":"a","version":"1.0","build":"0"}`,
			[]string{"a@1.0"},
		},
		{
			"an R package without a version", "usr/lib/R/library/a/DESCRIPTION",
			"Package: a\nTitle: of a test\n",
			nil, nil, true, "Package: a\nVersion: 1.0\nTitle: of a test\n",
			[]string{"a@1.0"},
		},
		{
			"a broken list of Composer", "app/vendor/composer/installed.json",
			`{"packages":[{"name":"v/a","version":"1.0`,
			nil, nil, true, `{"packages":[{"name":"v/a","version":"1.0"}]}`,
			[]string{"v/a@1.0"},
		},
		{
			"a list of Composer with a byte order mark", "app/vendor/composer/installed.json",
			"\xef\xbb\xbf" + `{"packages":[{"name":"v/a","version":"1.0"}]}`,
			nil, nil, true, `[{"name":"v/a","version":"1.0"}]`,
			[]string{"v/a@1.0"},
		},
		{"a Go program cut off", "app/program", goProgram(t)[:600_000], nil, nil, true, goProgram(t), nil},
	}
}

// TestOddFiles: what cannot be read is unread, and its repaired twin is listed and nothing is unread.
func TestOddFiles(t *testing.T) {
	named := func(t *testing.T, c odd, body string) ([]string, map[string]string) {
		t.Helper()
		packages, unread := contents(t, append(files(c.path, body), c.beside...)...)
		var listed []string
		for _, each := range packages {
			full := each.Name
			if each.Group != "" && strings.HasPrefix(each.PackageURL, "pkg:composer/") {
				full = each.Group + "/" + each.Name
			}
			listed = append(listed, full+"@"+each.Version)
		}
		return listed, unread
	}
	for _, c := range oddFiles(t) {
		t.Run(c.name, func(t *testing.T) {
			listed, unread := named(t, c, c.body)
			if c.unread {
				require.Contains(t, unread, "/"+c.path, "listed: %v", listed)
			} else {
				require.Empty(t, unread)
			}
			for _, each := range c.listed {
				require.Contains(t, listed, each)
			}
			if c.repaired == "" {
				return
			}
			listed, unread = named(t, c, c.repaired)
			require.Empty(t, unread)
			if c.want != nil {
				require.Subset(t, listed, c.want)
			}
			require.NotEmpty(t, listed)
		})
	}
}

// TestHardLinksKeepWhatTheyHeld: a hard link holds the old content, also where a later layer replaces or removes its target.
func TestHardLinksKeepWhatTheyHeld(t *testing.T) {
	one, two := `{"name":"x","version":"1.0.0"}`, `{"name":"x","version":"2.0.0"}`
	at := func(app string) string { return app + "/node_modules/x/package.json" }
	link := archivetest.Entry{Name: at("b"), Type: tar.TypeLink, Link: at("a")}
	for name, c := range map[string]struct {
		layers [][]archivetest.Entry
		want   []string
	}{
		"in one layer, the target replaced above": {[][]archivetest.Entry{append(files(at("a"), one), link), files(at("a"), two)}, []string{"pkg:npm/x@1.0.0", "pkg:npm/x@2.0.0"}},
		"the target removed above": {
			[][]archivetest.Entry{append(files(at("a"), one), link), files("a/node_modules/x/.wh.package.json", "")},
			[]string{"pkg:npm/x@1.0.0"},
		},
		"repaired: nothing is replaced": {[][]archivetest.Entry{append(files(at("a"), one), link)}, []string{"pkg:npm/x@1.0.0", "pkg:npm/x@1.0.0"}},
	} {
		t.Run(name, func(t *testing.T) {
			var layers [][]byte
			for _, entries := range c.layers {
				layers = append(layers, archivetest.Layer(t, entries...))
			}
			_, d, _, err := list(t, request(t, archivetest.Write(t, archivetest.Docker(t, archivetest.Gzip, layers...))))
			require.NoError(t, err)
			require.Equal(t, c.want, d.purls())
		})
	}
}
