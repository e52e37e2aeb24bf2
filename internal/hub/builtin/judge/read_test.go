package judge_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
)

func read(t testing.TB, text string) judge.Contents {
	t.Helper()
	var bom cyclonedx.BOM
	require.NoError(t, cyclonedx.NewBOMDecoder(strings.NewReader(text), cyclonedx.BOMFileFormatJSON).Decode(&bom))
	contents, err := judge.Read(&bom)
	require.NoError(t, err)
	return contents
}

// document is what perceptor-scan writes of an image, shortened.
const document = `{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"type":"container","name":"shop/web:1"}},"components":[
	{"type":"operating-system","name":"almalinux","version":"9.4","cpe":"cpe:2.3:o:almalinux:almalinux:9:*","description":"AlmaLinux 9.4",
	 "properties":[{"name":"syft:distro:id","value":"almalinux"},{"name":"syft:distro:versionID","value":"9.4"}]},
	{"type":"library","name":"nodejs","version":"1:18.20.4-1","publisher":"AlmaLinux","purl":"pkg:rpm/almalinux/nodejs@18.20.4-1?epoch=1",
	 "properties":[{"name":"syft:metadata:modularityLabel","value":"nodejs:18:9040020240101000000:rhel9"}]},
	{"type":"library","name":"example.org/shop","version":"(devel)","purl":"pkg:golang/example.org/shop@(devel)",
	 "properties":[{"name":"syft:metadata:mainModule","value":"example.org/shop"}]},
	{"type":"library","name":"golang.org/x/text","version":"v0.3.6","purl":"pkg:golang/golang.org/x/text@v0.3.6",
	 "properties":[{"name":"syft:metadata:mainModule","value":"example.org/shop"}]},
	{"type":"library","name":"shop","version":"1.0.0","purl":"pkg:npm/shop@1.0.0","properties":[{"name":"syft:location:0:path","value":"/app/package.json"}]},
	{"type":"library","name":"lodash","version":"4.17.4","purl":"pkg:npm/lodash@4.17.4",
	 "properties":[{"name":"syft:location:0:path","value":"/app/node_modules/lodash/package.json"}]},
	{"type":"library","name":"both","version":"1.0.0","purl":"pkg:npm/both@1.0.0","properties":[{"name":"syft:location:0:path","value":"/app/package.json"}]},
	{"type":"library","name":"both","version":"1.0.0","purl":"pkg:npm/both@1.0.0",
	 "properties":[{"name":"syft:location:0:path","value":"/app/node_modules/both/package.json"}]},
	{"type":"library","name":"twice","version":"1.0.0","purl":"pkg:npm/twice@1.0.0","properties":[{"name":"syft:location:0:path","value":"/app/package.json"},
	 {"name":"syft:location:1:path","value":"/app/node_modules/twice/package.json"}]},
	{"type":"library","group":"g","name":"a","version":"1","purl":"pkg:maven/g/a@1","components":[{"type":"library","name":"inner","version":"2"}]},
	{"type":"library","name":"gpg-pubkey","version":"b86b3716-61e69f29","purl":"pkg:rpm/almalinux/gpg-pubkey@b86b3716-61e69f29"},
	{"type":"library","name":"musl","version":"1.2.5-r10","publisher":"Timo <t@iki.fi>","purl":"pkg:apk/alpine/musl@1.2.5-r10",
	 "properties":[{"name":"syft:metadata:gitCommitOfApkPort","value":"1f4a"}]},
	{"type":"library","name":"web","version":"1","purl":"pkg:maven/web/web@1","properties":[{"name":"syft:metadata:virtualPath","value":"/app/web.jar"}]},
	{"type":"library","name":"lib","version":"1","purl":"pkg:maven/lib/lib@1","properties":[{"name":"syft:metadata:virtualPath","value":"/app/web.jar:lib/lib.jar"}]},
	{"type":"library","name":"alone","version":"1","purl":"pkg:maven/alone/alone@1","properties":[{"name":"syft:metadata:virtualPath","value":"/app/alone.jar"}]},
	{"type":"file","name":"/etc/passwd"},
	{"type":"file","name":"/srv/package.json","properties":[{"name":"perceptor:unread","value":"not JSON"}]},
	{"type":"library","name":"blurred","purl":"pkg:npm/blurred@1?x=y","properties":[{"name":"perceptor:unread","value":"version is a number"}]}]}`

func TestRead(t *testing.T) {
	contents := read(t, document)
	require.Equal(t, "shop/web:1", contents.Subject)
	require.Equal(t, osv.Distribution{ID: "almalinux", VersionID: "9.4", Pretty: "AlmaLinux 9.4", CPE: "cpe:2.3:o:almalinux:almalinux:9:*"}, contents.Distribution)
	require.Equal(t, []judge.UnreadFile{{Path: "/srv/package.json", Reason: "not JSON"}}, contents.Unread)
	byName := map[string]judge.Component{}
	for _, c := range contents.Components {
		byName[c.Name] = c
	}
	require.Equal(t, "1f4a", byName["musl"].Commit)
	require.NotContains(t, byName, "gpg-pubkey", "a key is no package")
	require.True(t, byName["web"].Own, "an archive with the libraries of others is the application")
	require.False(t, byName["lib"].Own)
	require.False(t, byName["alone"].Own)
	require.Len(t, contents.Components, 14, "files and the operating system are no packages, and each is there once")
	require.Equal(t, "AlmaLinux", byName["nodejs"].Vendor)
	require.Equal(t, "nodejs:18:9040020240101000000:rhel9", byName["nodejs"].Modularity)
	require.True(t, byName["example.org/shop"].Own)
	require.False(t, byName["golang.org/x/text"].Own, "it is in the program and not the program")
	require.True(t, byName["shop"].Own)
	require.False(t, byName["lodash"].Own)
	require.False(t, byName["both"].Own, "it is a dependency too")
	require.False(t, byName["twice"].Own, "it is a dependency too")
	require.Equal(t, "pkg:npm/blurred?x=y", byName["blurred"].PURL, "its version is not believed")
	require.Contains(t, byName, "g/a")
	require.Contains(t, byName, "inner")

	require.Equal(t, contents, judge.Combine(contents, contents))
	require.Equal(t, contents, judge.Combine(judge.Contents{}, contents))

	var bom cyclonedx.BOM
	nameless := strings.NewReader(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":""}]}`)
	require.NoError(t, cyclonedx.NewBOMDecoder(nameless, cyclonedx.BOMFileFormatJSON).Decode(&bom))
	_, err := judge.Read(&bom)
	require.ErrorContains(t, err, "has no name")
}

// trivyDocument is what trivy writes of an image, shortened: two Go programs, an application with a dependency, and Debian packages.
const trivyDocument = `{"bomFormat":"CycloneDX","specVersion":"1.7","components":[
	{"bom-ref":"p1","type":"application","name":"usr/bin/shop",
	 "properties":[{"name":"aquasecurity:trivy:Class","value":"lang-pkgs"},{"name":"aquasecurity:trivy:Type","value":"gobinary"}]},
	{"bom-ref":"p2","type":"application","name":"usr/bin/old",
	 "properties":[{"name":"aquasecurity:trivy:Class","value":"lang-pkgs"},{"name":"aquasecurity:trivy:Type","value":"gobinary"}]},
	{"bom-ref":"pkg:golang/example.org/shop","type":"library","name":"example.org/shop","purl":"pkg:golang/example.org/shop"},
	{"bom-ref":"pkg:golang/example.org/a@v1.0.0","type":"library","name":"example.org/a","version":"v1.0.0","purl":"pkg:golang/example.org/a@v1.0.0"},
	{"bom-ref":"pkg:golang/example.org/b@v1.0.0","type":"library","name":"example.org/b","version":"v1.0.0","purl":"pkg:golang/example.org/b@v1.0.0"},
	{"bom-ref":"n1","type":"library","name":"web","version":"1.0.0","purl":"pkg:npm/web@1.0.0","properties":[{"name":"aquasecurity:trivy:FilePath","value":"srv/package.json"}]},
	{"bom-ref":"n2","type":"library","name":"lodash","version":"4.17.4","purl":"pkg:npm/lodash@4.17.4",
	 "properties":[{"name":"aquasecurity:trivy:FilePath","value":"srv/node_modules/lodash/package.json"}]},
	{"bom-ref":"n3","type":"library","name":"both","version":"1.0.0","purl":"pkg:npm/both@1.0.0","properties":[{"name":"aquasecurity:trivy:FilePath","value":"srv/package.json"}]},
	{"bom-ref":"n4","type":"library","name":"both","version":"1.0.0","purl":"pkg:npm/both@1.0.0",
	 "properties":[{"name":"aquasecurity:trivy:FilePath","value":"srv/node_modules/both/package.json"}]},
	{"bom-ref":"d1","type":"library","supplier":{"name":"Debian Perl Group <pkg-perl@lists.alioth.debian.org>"},"name":"libx","version":"2.0-1+b1",
	 "purl":"pkg:deb/debian/libx@2.0-1%2Bb1?distro=debian-12.5",
	 "properties":[{"name":"aquasecurity:trivy:SrcName","value":"x"},{"name":"aquasecurity:trivy:SrcEpoch","value":"1"},
	  {"name":"aquasecurity:trivy:SrcVersion","value":"2.0"},{"name":"aquasecurity:trivy:SrcRelease","value":"1"}]}],
	"dependencies":[{"ref":"p1","dependsOn":["pkg:golang/example.org/shop"]},{"ref":"pkg:golang/example.org/shop","dependsOn":["pkg:golang/example.org/a@v1.0.0"]},
	 {"ref":"p2","dependsOn":["pkg:golang/example.org/a@v1.0.0","pkg:golang/example.org/b@v1.0.0"]},{"ref":"n1","dependsOn":["n2"]}]}`

func TestReadTrivy(t *testing.T) {
	contents, err := judge.Parse([]byte(trivyDocument))
	require.NoError(t, err)
	byName := map[string]judge.Component{}
	for _, c := range contents.Components {
		byName[c.Name] = c
	}
	require.Len(t, contents.Components, 7, "a file that packages stand in is no package")
	for name, own := range map[string]bool{"example.org/shop": true, "example.org/a": false, "example.org/b": false, "web": true, "lodash": false, "both": false} {
		require.Equal(t, own, byName[name].Own, name)
	}
	require.Equal(t, []string{"x", "1:2.0-1", "Debian Perl Group <pkg-perl@lists.alioth.debian.org>"},
		[]string{byName["libx"].Source, byName["libx"].SourceVersion, byName["libx"].Vendor})
}

// FuzzRead judges whatever a document says: nothing in it may stop the hub, and what is not assessed is never green.
func FuzzRead(f *testing.F) {
	f.Add([]byte(document))
	f.Add([]byte(trivyDocument))
	f.Add([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.4","components":[{"type":"library","name":"x","purl":"pkg:rpm/opensuse/x@1?upstream=-.src.rpm"}]}`))
	f.Add([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.4","components":[{"type":"operating-system","name":"openEuler"},` +
		`{"type":"library","name":"x","purl":"pkg:rpm/openeuler/x@1-1"}]}`))
	s := newShelf().add(f, record("GHSA-1", "npm", "lodash", fixedIn2, critical)).complete("npm")
	f.Fuzz(func(t *testing.T, text []byte) {
		var bom cyclonedx.BOM
		if cyclonedx.NewBOMDecoder(bytes.NewReader(text), cyclonedx.BOMFileFormatJSON).Decode(&bom) != nil {
			return
		}
		contents, err := judge.Read(&bom)
		if err != nil {
			return
		}
		result, err := judge.Judge(judge.Input{Contents: contents, Assessor: judge.Over(s), Now: now})
		require.NoError(t, err)
		for _, c := range result.Components {
			if !c.Assessed && !c.Own && !c.Permitted {
				require.NotEqual(t, "NOT_IN_VIOLATION", string(result.Status), c.PURL)
			}
		}
	})
}
