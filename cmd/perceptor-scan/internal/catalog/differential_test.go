package catalog_test

import (
	"archive/tar"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/archivetest"
	"github.com/perceptor/perceptor/cmd/perceptor-scan/internal/catalog"
)

// parts are the components and dependencies of an SBOM, and the rest without its time and number: what two runs over one image
// have in common.
func parts(t *testing.T, raw []byte) []string {
	t.Helper()
	var document map[string]any
	require.NoError(t, json.Unmarshal(raw, &document))
	delete(document, "serialNumber")
	if metadata, is := document["metadata"].(map[string]any); is {
		delete(metadata, "timestamp")
	}
	var all []string
	for _, list := range []string{"components", "dependencies"} {
		each, _ := document[list].([]any)
		for _, one := range each {
			// What Syft says of a file that it cannot read depends on which of its catalogers has said it.
			if component := one.(map[string]any); component["type"] == "file" {
				delete(component, "properties")
			}
			all = append(all, line(t, one))
		}
		delete(document, list)
	}
	all = append(all, line(t, document))
	slices.Sort(all)
	return all
}

func line(t *testing.T, value any) string {
	t.Helper()
	raw, err := json.Marshal(value)
	require.NoError(t, err)
	return string(raw)
}

// without is what one list has and the other has not.
func without(all, others []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(one string) bool { return slices.Contains(others, one) })
}

// oursIsRight are the images, by the name of the test, in which Syft's own reading misses something: files in a status folder for
// which the layer's tar has no entry.
var oursIsRight = map[string]bool{
	"TestHonestImagesAreGreen/distroless":                             true,
	"TestWhatIsOddIsListedOrUnread/status.d":                          true,
	"TestWhatIsOddIsListedOrUnread/status.d_with_the_sums_of_files":   true,
	"TestWhatIsOddIsListedOrUnread/a_damaged_entry_beside_a_good_one": true,
	"TestWhatIsOddIsListedOrUnread/an_empty_entry_beside_a_good_one":  true,
}

// sameAsSyft holds the SBOM of an image against the one that Syft makes by reading the image itself.
func sameAsSyft(t *testing.T, req catalog.Request) {
	t.Helper()
	req.Scratch = t.TempDir()
	t.Setenv("TMPDIR", req.Scratch)
	raw, _, err := catalog.WholeImage(t.Context(), req)
	var whole []string
	if err == nil {
		whole = parts(t, raw)
	}
	raw, readErr := os.ReadFile(req.SBOM)
	require.NoError(t, readErr)
	ours := parts(t, raw)
	if oursIsRight[t.Name()] {
		require.NotEqual(t, whole, ours, "Syft reads this image as we do; take it out of the list")
		return
	}
	require.NoError(t, err)
	require.Empty(t, without(whole, ours), "we lack")
	require.Empty(t, without(ours, whole), "Syft lacks")
	require.Len(t, ours, len(whole))
}

// TestTheCatalogersAreSyftsOwn fails when a new Syft runs others by itself.
func TestTheCatalogersAreSyftsOwn(t *testing.T) {
	_, used, err := catalog.WholeImage(t.Context(), request(t, archivetest.Random(t, 1)))
	require.NoError(t, err)
	require.Greater(t, len(used), 30)
	require.ElementsMatch(t, used, catalog.Catalogers())
}

// npm is the file of an installed package.
func npm(name, version string) archivetest.Entry {
	return archivetest.Entry{Name: "app/node_modules/" + name + "/package.json", Body: `{"name":"` + name + `","version":"` + version + `"}`}
}

func file(name, body string) archivetest.Entry { return archivetest.Entry{Name: name, Body: body} }

func folder(name string) archivetest.Entry { return archivetest.Entry{Name: name, Type: tar.TypeDir} }

func hard(name, target string) archivetest.Entry {
	return archivetest.Entry{Name: name, Type: tar.TypeLink, Link: target}
}

func soft(name, target string) archivetest.Entry {
	return archivetest.Entry{Name: name, Type: tar.TypeSymlink, Link: target}
}

const statusFile = "var/lib/dpkg/status"

func dpkg(name, version string) string {
	return "Package: " + name + "\nStatus: install ok installed\nArchitecture: amd64\nMaintainer: Debian\nVersion: " + version + "\n\n"
}

// baseOf is the lowest layer of the images below.
func baseOf(t *testing.T) []archivetest.Entry {
	t.Helper()
	return []archivetest.Entry{
		folder("etc"), file("etc/os-release", debianRelease), folder("var"), folder("var/lib"), folder("var/lib/dpkg"), file(statusFile, dpkg("base", "1")),
		folder("app"), folder("app/node_modules"), npm("a", "1.0.0"), npm("b", "1.0.0"), folder("usr"), folder("usr/bin"), file("usr/bin/tool", goProgram(t)),
		folder("usr/share"), folder("usr/share/doc"), folder("usr/share/doc/base"), file("usr/share/doc/base/copyright", "License: MIT\n"),
	}
}

// adversarial are the layers that come on top of the base, and the packages that must then be found, where Syft does not find them.
var adversarial = []struct {
	name   string
	layers func(t *testing.T) [][]archivetest.Entry
	// right are packages that a runtime's files hold and that Syft's own reading does not give; wrong are those that it gives besides.
	right string
}{
	{name: "nothing", layers: upper()},
	{name: "status replaced", layers: upper(file(statusFile, dpkg("base", "2")))},
	{name: "status added to", layers: upper(file(statusFile, dpkg("base", "1")+dpkg("more", "3")))},
	{name: "status whited out", layers: upper(file("var/lib/dpkg/.wh.status", ""))},
	{name: "status whited out and written in one layer", layers: upper(file("var/lib/dpkg/.wh.status", ""), file(statusFile, dpkg("again", "1")))},
	{name: "opaque folder over status", layers: upper(file("var/lib/dpkg/.wh..wh..opq", ""))},
	{name: "opaque folder over status with another", layers: upper(folder("var/lib/dpkg"), file("var/lib/dpkg/.wh..wh..opq", ""), file(statusFile, dpkg("new", "1")))},
	{name: "a folder replaced by a link", layers: upper(folder("data"), file("data/x/package.json", "{}"), soft("app", "data"))},
	{name: "a folder replaced by a file", layers: upper(file("app", "no folder"))},
	{name: "a file replaced by a folder", layers: upper(folder("usr/bin/tool"), file("usr/bin/tool/x", "x"))},
	{name: "copyright changed", layers: upper(file("usr/share/doc/base/copyright", "License: GPL-2\n"))},
	{name: "copyright opaque", layers: upper(file("usr/share/doc/.wh..wh..opq", ""))},
	{name: "os-release changed", layers: upper(file("etc/os-release", "ID=ubuntu\nVERSION_ID=24.04\n"))},
	{name: "os-release removed", layers: upper(file("etc/.wh.os-release", ""))},
	{name: "os-release a link in a circle", layers: upper(soft("etc/os-release", "other"), soft("etc/other", "os-release"))},
	{name: "os-release a link", layers: upper(soft("etc/os-release", "../usr/lib/os-release"), file("usr/lib/os-release", "ID=ubuntu\nVERSION_ID=24.04\n"))},
	{name: "npm added", layers: upper(npm("c", "1.0.0"))},
	{name: "npm removed", layers: upper(file("app/node_modules/.wh.a", ""))},
	{name: "npm opaque", layers: upper(file("app/node_modules/.wh..wh..opq", ""), npm("c", "2.0.0"))},
	{name: "npm replaced", layers: upper(npm("a", "9.0.0"))},
	{name: "a package hard linked in its layer", layers: upper(npm("c", "1.0.0"), hard("app/node_modules/d/package.json", "app/node_modules/c/package.json"))},
	{name: "a hard link before its file is replaced in the layer", layers: upper(
		npm("c", "1.0.0"), hard("app/node_modules/d/package.json", "app/node_modules/c/package.json"), npm("c", "2.0.0"))},
	{name: "a hard link to a hard link", layers: upper(
		npm("c", "1.0.0"), hard("app/node_modules/d/package.json", "app/node_modules/c/package.json"),
		hard("app/node_modules/e/package.json", "app/node_modules/d/package.json"))},
	{name: "a hard link without a file", layers: upper(hard("app/node_modules/d/package.json", "gone"))},
	{name: "a hard link to itself", layers: upper(hard("app/node_modules/d/package.json", "app/node_modules/d/package.json"))},
	{name: "a hard link to a folder", layers: upper(hard("app/x", "app/node_modules"))},
	{
		name: "a hard link to a lower layer whose file is replaced", layers: func(*testing.T) [][]archivetest.Entry {
			return [][]archivetest.Entry{{hard("opt/node_modules/kept/package.json", "app/node_modules/a/package.json")}, {npm("a", "9.0.0")}}
		},
		right: "pkg:npm/a@1.0.0",
	},
	{
		name: "a hard link to a lower layer whose file is removed", layers: func(*testing.T) [][]archivetest.Entry {
			return [][]archivetest.Entry{{hard("opt/node_modules/kept/package.json", "app/node_modules/a/package.json")}, {file("app/node_modules/.wh.a", "")}}
		},
		right: "pkg:npm/a@1.0.0",
	},
	{
		name: "a hard link to a hard link to a lower layer", layers: func(*testing.T) [][]archivetest.Entry {
			return [][]archivetest.Entry{
				{hard("one/package.json", "app/node_modules/a/package.json"), hard("opt/node_modules/two/package.json", "one/package.json")},
				{npm("a", "9.0.0"), file("one/.wh.package.json", "")},
			}
		},
		right: "pkg:npm/a@1.0.0",
	},
	{name: "a program added", layers: func(t *testing.T) [][]archivetest.Entry {
		return [][]archivetest.Entry{{file("usr/bin/other", goProgram(t, "-tags=x"))}}
	}},
	{name: "a program removed", layers: upper(file("usr/bin/.wh.tool", ""))},
	{name: "a program replaced", layers: upper(file("usr/bin/tool", "#!/bin/sh\n"))},
	{name: "a program that is cut off", layers: func(t *testing.T) [][]archivetest.Entry {
		whole := goProgram(t)
		return [][]archivetest.Entry{{file("usr/bin/tool", whole[:len(whole)/2])}}
	}},
	{name: "a program of zeros", layers: upper(file("usr/bin/other", "\x7fELF\x02\x01\x01"+string(make([]byte, 4096))))},
	{name: "a program with Go's mark in no section", layers: upper(file("usr/bin/other", "\x7fELF\x02\x01\x01"+string(make([]byte, 4096))+"\xff Go buildinf:"))},
	{name: "a program of Windows", layers: upper(file("usr/bin/other.exe", "MZ"+string(make([]byte, 4096))))},
	{name: "names with dots", layers: upper(file("./app/./node_modules/x/../d/package.json", `{"name":"d","version":"1.0.0"}`))},
	{name: "one path twice", layers: upper(npm("c", "1.0.0"), npm("c", "2.0.0"))},
	{name: "a folder twice", layers: upper(folder("app"), folder("app"), npm("c", "1.0.0"), folder("app/node_modules/c"))},
	{name: "paths through a link of the layer", layers: upper(folder("real"), soft("link", "real"), soft("real/status", "/"+statusFile))},
	{name: "a second database", layers: upper(file("lib/apk/db/installed", "C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\nT:libc\no:musl\nL:MIT\n\n"))},
	{name: "links in a circle", layers: upper(soft("loop/a", "b"), soft("loop/b", "a"), soft("self", "self"), soft("up", "../../../.."))},
	{
		name: "a status folder that is only implied", layers: upper(file("opt/var/lib/dpkg/status.d/tiny", dpkg("tiny", "1"))),
		right: "pkg:deb/debian/tiny@1",
	},
	{
		name: "a package below a link of its own layer", layers: upper(
			folder("real"), soft("link", "real"), file("link/node_modules/d/package.json", `{"name":"d","version":"1.0.0"}`)),
		right: "/real/node_modules/d/package.json",
	},
	{name: "a store of nix", layers: upper(
		folder("nix"), folder("nix/store"), folder("nix/store/8k3yxcz9mvyiqwzjdpz1hvkyqdrnjmhs-hello-2.12.1"), folder("nix/store/8k3yxcz9mvyiqwzjdpz1hvkyqdrnjmhs-hello-2.12.1/bin"),
		file("nix/store/8k3yxcz9mvyiqwzjdpz1hvkyqdrnjmhs-hello-2.12.1/bin/hello", "#!/bin/sh"))},
	{name: "a store of nix whose folders are only implied", right: "pkg:nix/hello@2.12.1", layers: upper(
		file("nix/store/8k3yxcz9mvyiqwzjdpz1hvkyqdrnjmhs-hello-2.12.1/bin/hello", "#!/bin/sh"), file("nix/store/8k3yxcz9mvyiqwzjdpz1hvkyqdrnjmhs-hello-2.12.1/share/x", ""))},
	{name: "devices", layers: upper(
		archivetest.Entry{Name: statusFile, Type: tar.TypeFifo}, archivetest.Entry{Name: "dev/null", Type: tar.TypeChar})},
}

// upper is one layer.
func upper(entries ...archivetest.Entry) func(*testing.T) [][]archivetest.Entry {
	return func(*testing.T) [][]archivetest.Entry { return [][]archivetest.Entry{entries} }
}

// TestIndexAndMemoryGiveWhatSyftGives lists each image three times: alone, after its base, and again. Kept layers and remembered
// runs may change nothing.
func TestIndexAndMemoryGiveWhatSyftGives(t *testing.T) {
	base := archivetest.Layer(t, baseOf(t)...)
	for _, c := range adversarial {
		t.Run(c.name, func(t *testing.T) {
			all := [][]byte{base}
			for _, entries := range c.layers(t) {
				all = append(all, archivetest.Layer(t, entries...))
			}
			kept := t.TempDir()
			below := request(t, archivetest.Write(t, archivetest.Pulled(t, archivetest.Gzip, base)))
			below.Layers, below.LayersLimit = kept, 1<<30
			req := request(t, archivetest.Write(t, archivetest.Pulled(t, archivetest.Gzip, all...)))
			raw, _, err := catalog.WholeImage(t.Context(), req)
			require.NoError(t, err)
			want := parts(t, raw)

			var alone []string
			cataloger := catalog.New()
			for at, run := range []struct {
				of   *catalog.Cataloger
				what catalog.Request
			}{{catalog.New(), req}, {cataloger, below}, {cataloger, req}, {cataloger, req}, {catalog.New(), req}} {
				run.what.Layers, run.what.LayersLimit = kept, 1<<30
				if at == 0 {
					run.what.Layers = ""
				}
				_, err := run.of.Run(t.Context(), run.what, quiet())
				require.NoError(t, err)
				if run.what.Tar == below.Tar {
					continue
				}
				raw, err := os.ReadFile(run.what.SBOM)
				require.NoError(t, err)
				got := parts(t, raw)
				if at == 0 {
					alone = got
				}
				require.Equal(t, alone, got, "run %d", at)
				if c.right == "" {
					require.Empty(t, without(want, got), "we lack")
					require.Empty(t, without(got, want), "Syft lacks")
				}
			}
			require.Contains(t, strings.Join(alone, "\n"), c.right)
			if c.right != "" {
				require.NotContains(t, strings.Join(want, "\n"), c.right, "Syft finds it too now; hold the whole SBOM against its own")
			}
		})
	}
}

// TestOnlyWhatChangedRunsAgain counts the catalogers that run for an image on a known base.
func TestOnlyWhatChangedRunsAgain(t *testing.T) {
	base := archivetest.Layer(t, baseOf(t)...)
	cataloger := catalog.New()
	run := func(layers ...[]byte) []string {
		t.Helper()
		cataloger.StartCounting()
		_, err := cataloger.Run(t.Context(), request(t, archivetest.Write(t, archivetest.Pulled(t, archivetest.Gzip, layers...))), quiet())
		require.NoError(t, err)
		return cataloger.Ran()
	}
	require.ElementsMatch(t, catalog.Catalogers(), run(base))
	require.Empty(t, run(base))
	require.Equal(t, []string{"javascript-package-cataloger"}, run(base, archivetest.Layer(t, npm("c", "1.0.0"))))
	require.Equal(t, []string{"dpkg-db-cataloger"}, run(base, archivetest.Layer(t, file(statusFile, dpkg("base", "2")))))
	other := strings.NewReplacer("\xff Go buildinf:", "\x00 No buildinf:", ".go.buildinfo", ".no.buildinfo").Replace(goProgram(t))
	require.Empty(t, run(base, archivetest.Layer(t, file("usr/bin/c", other))), "what is no Go program concerns none")
	require.Empty(t, run(base), "two images ago")
}
