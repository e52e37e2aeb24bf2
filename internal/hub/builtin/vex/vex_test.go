package vex_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/vex"
	"github.com/perceptor/perceptor/model"
)

var (
	hexA    = strings.Repeat("a", 64)
	digestA = model.Digest("sha256:" + hexA)
)

// openVEX is a document with one statement about some products.
func openVEX(status, products string) string {
	return fmt.Sprintf(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://openvex.dev/docs/x/vex-1","author":"Olga","timestamp":"2026-01-01T00:00:00Z","version":1,
		"statements":[{"vulnerability":{"name":"CVE-1","aliases":["GHSA-1"]},"products":%s,"status":%q,"justification":"vulnerable_code_not_present"}]}`, products, status)
}

// cycloneDX is a document with one analysis.
func cycloneDX(more, state, ref string) string {
	return fmt.Sprintf(`{"bomFormat":"CycloneDX","specVersion":"1.6","serialNumber":"urn:uuid:11111111-1111-4111-8111-111111111111","version":1%s,
		"vulnerabilities":[{"id":"CVE-1","references":[{"id":"GHSA-1"}],"analysis":{"state":%q,"justification":"code_not_reachable","detail":"never called"},
		"affects":[{"ref":%q}]}]}`, more, state, ref)
}

const (
	lodash     = `,"components":[{"type":"library","bom-ref":"c1","name":"lodash","version":"4.0.0","purl":"pkg:npm/lodash@4.0.0"},{"type":"library","bom-ref":"c2","name":"x"}]`
	ociPackage = `pkg:oci/web@sha256%3Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa?repository_url=registry.example/shop/web&arch=amd64`
)

// said is what is compared of an exception.
type said struct {
	id, pkg, component, repository string
	stance                         judge.Stance
	image                          judge.ImageProduct
}

func summary(d vex.Document) []said {
	var all []said
	for _, e := range d.Exceptions {
		all = append(all, said{e.Vulnerability, e.Package, e.Component, e.Repository, e.Stance, e.Image})
	}
	return all
}

func TestDocuments(t *testing.T) {
	oci := judge.ImageProduct{Digest: digestA, Repository: "registry.example/shop/web", Name: "web"}
	for name, row := range map[string]struct {
		text    string
		want    said
		format  vex.Format
		ignored int
	}{
		"simple": {
			"exceptions: [{id: CVE-1, purl: 'pkg:npm/lodash@4.*', repository: 'shop/*', reason: not reachable, author: ada, expiry: 2026-12-01}]",
			said{id: "CVE-1", component: "pkg:npm/lodash@4.*", repository: "shop/*", stance: judge.Accepted},
			vex.Simple, 0,
		},
		"simple, by the policy's names": {
			"exceptions: [{vulnerability: CVE-1, component: lodash, reason: r, until: 2026-12-01T00:00:00Z}]",
			said{id: "CVE-1", component: "lodash", stance: judge.Accepted},
			vex.Simple, 0,
		},
		"simple, in JSON": {
			`{"exceptions": [{"id": "CVE-1", "purl": "pkg:npm/lodash", "reason": "r"}]}`, said{id: "CVE-1", component: "pkg:npm/lodash", stance: judge.Accepted}, vex.Simple, 0,
		},
		"OpenVEX, a package": {openVEX("not_affected", `[{"@id":"pkg:npm/lodash"}]`), said{id: "CVE-1", pkg: "pkg:npm/lodash", stance: judge.NotAffected}, vex.OpenVEX, 0},
		"OpenVEX, fixed":     {openVEX("fixed", `[{"@id":"pkg:npm/lodash@4.0.0"}]`), said{id: "CVE-1", pkg: "pkg:npm/lodash@4.0.0", stance: judge.Fixed}, vex.OpenVEX, 0},
		"OpenVEX, affected":  {openVEX("affected", `[{"@id":"pkg:npm/lodash"}]`), said{id: "CVE-1", pkg: "pkg:npm/lodash", stance: judge.Affected}, vex.OpenVEX, 0},
		"OpenVEX, not yet":   {openVEX("under_investigation", `[{"@id":"pkg:npm/a"}]`), said{id: "CVE-1", pkg: "pkg:npm/a", stance: judge.UnderInvestigation}, vex.OpenVEX, 0},
		"OpenVEX, identifiers": {
			openVEX("fixed", `[{"@id":"https://x.example/a","identifiers":{"purl":"pkg:npm/a"}}]`), said{id: "CVE-1", pkg: "pkg:npm/a", stance: judge.Fixed}, vex.OpenVEX, 0,
		},
		"OpenVEX, an image": {openVEX("fixed", `[{"@id":"`+ociPackage+`"}]`), said{id: "CVE-1", stance: judge.Fixed, image: oci}, vex.OpenVEX, 0},
		"OpenVEX, an image by its hash": {
			openVEX("fixed", `[{"@id":"https://x.example/image","hashes":{"sha-256":"`+strings.ToUpper(hexA)+`"}}]`),
			said{id: "CVE-1", stance: judge.Fixed, image: judge.ImageProduct{Digest: digestA}},
			vex.OpenVEX, 0,
		},
		"OpenVEX, a package in an image": {
			openVEX("fixed", `[{"@id":"`+ociPackage+`","subcomponents":[{"@id":"pkg:npm/a"}]}]`), said{id: "CVE-1", pkg: "pkg:npm/a", stance: judge.Fixed, image: oci}, vex.OpenVEX, 0,
		},
		"OpenVEX, an image of any version": {
			openVEX("fixed", `[{"@id":"pkg:oci/web?repository_url=registry.example/shop/web"}]`),
			said{id: "CVE-1", stance: judge.Fixed, image: judge.ImageProduct{Repository: "registry.example/shop/web", Name: "web"}},
			vex.OpenVEX, 0,
		},
		"OpenVEX, one of two": {openVEX("fixed", `[{"@id":"registry.example/web:1"},{"@id":"pkg:npm/a"}]`), said{id: "CVE-1", pkg: "pkg:npm/a", stance: judge.Fixed}, vex.OpenVEX, 1},
		"OpenVEX, a draft": {
			`{"@context":"https://openvex.dev/ns","author":"Olga","statements":[{"vulnerability":"CVE-1","products":["pkg:npm/a"],"status":"fixed"}]}`,
			said{id: "CVE-1", pkg: "pkg:npm/a", stance: judge.Fixed},
			vex.OpenVEX, 0,
		},
		"CycloneDX, a component":   {cycloneDX(lodash, "not_affected", "c1"), said{id: "CVE-1", pkg: "pkg:npm/lodash@4.0.0", stance: judge.NotAffected}, vex.CycloneDX, 0},
		"CycloneDX, a package URL": {cycloneDX("", "false_positive", "pkg:npm/lodash"), said{id: "CVE-1", pkg: "pkg:npm/lodash", stance: judge.NotAffected}, vex.CycloneDX, 0},
		"CycloneDX, resolved":      {cycloneDX(lodash, "resolved", "c1"), said{id: "CVE-1", pkg: "pkg:npm/lodash@4.0.0", stance: judge.Fixed}, vex.CycloneDX, 0},
		"CycloneDX, exploitable":   {cycloneDX(lodash, "exploitable", "c1"), said{id: "CVE-1", pkg: "pkg:npm/lodash@4.0.0", stance: judge.Affected}, vex.CycloneDX, 0},
		"CycloneDX, in an image": {
			cycloneDX(lodash+`,"metadata":{"component":{"type":"container","bom-ref":"i","name":"web","purl":"`+ociPackage+`"}}`, "not_affected", "c1"),
			said{id: "CVE-1", pkg: "pkg:npm/lodash@4.0.0", stance: judge.NotAffected, image: oci},
			vex.CycloneDX, 0,
		},
		"CycloneDX, the image": {
			cycloneDX(lodash+`,"metadata":{"component":{"type":"container","bom-ref":"i","name":"web","version":"`+string(digestA)+`"}}`, "not_affected", "i"),
			said{id: "CVE-1", stance: judge.NotAffected, image: judge.ImageProduct{Digest: digestA}},
			vex.CycloneDX, 0,
		},
		"CycloneDX, an image by its name": {
			cycloneDX(lodash+`,"metadata":{"component":{"type":"container","bom-ref":"i","name":"Registry.example:5000/shop/web:1"}}`, "not_affected", "c1"),
			said{id: "CVE-1", pkg: "pkg:npm/lodash@4.0.0", stance: judge.NotAffected, image: judge.ImageProduct{Name: "registry.example:5000/shop/web"}},
			vex.CycloneDX, 0,
		},
		"CycloneDX, a link into another document": {
			cycloneDX("", "not_affected", "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#pkg:golang/example.org/a@1.0.0"),
			said{
				id: "CVE-1", pkg: "pkg:golang/example.org/a@1.0.0", stance: judge.NotAffected,
				image: judge.ImageProduct{Serial: "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79"},
			},
			vex.CycloneDX, 0,
		},
		"CycloneDX, a link into itself": {
			cycloneDX(lodash, "not_affected", "urn:cdx:11111111-1111-4111-8111-111111111111/1#c1"),
			said{id: "CVE-1", pkg: "pkg:npm/lodash@4.0.0", stance: judge.NotAffected},
			vex.CycloneDX, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := vex.Parse([]byte(row.text), vex.Options{Origin: "file"})
			require.NoError(t, err)
			require.Equal(t, row.format, d.Format)
			require.Equal(t, row.ignored, d.Ignored, d.Reasons)
			require.Equal(t, []said{row.want}, summary(d))
			require.Equal(t, "file", d.Exceptions[0].Origin)
			_, err = judge.NewRegister(d.Exceptions)
			require.NoError(t, err)
		})
	}
}

// TestDocumentsThatSayNothing are refused as a whole. None of them may end as an exception of everything.
func TestDocumentsThatSayNothing(t *testing.T) {
	for word, text := range map[string]string{
		"empty":                            " \n",
		"names no vulnerability":           "exceptions: []",
		"it names no product":              openVEX("not_affected", `[]`),
		"a product names nothing":          openVEX("not_affected", `[{}]`),
		"no package URL":                   openVEX("not_affected", `[{"@id":"registry.example/web:1"}]`),
		"is none of not_affected":          openVEX("harmless", `[{"@id":"pkg:npm/a"}]`),
		"product \"pkg:\"":                 openVEX("not_affected", `[{"@id":"pkg:"}]`),
		"within another package":           openVEX("not_affected", `[{"@id":"pkg:golang/a.example/b","subcomponents":[{"@id":"pkg:npm/a"}]}]`),
		"an image within an image":         openVEX("not_affected", `[{"@id":"pkg:oci/a","subcomponents":[{"@id":"pkg:oci/b"}]}]`),
		"known by its digest":              openVEX("not_affected", `[{"@id":"pkg:oci/a@1.2"}]`),
		"cannot be compared":               openVEX("not_affected", `[{"@id":"pkg:oci/a?tag=1.2"}]`),
		"needs a justification":            strings.ReplaceAll(openVEX("not_affected", `[{"@id":"pkg:npm/a"}]`), `"justification"`, `"other"`),
		"vulnerability is a pattern":       strings.ReplaceAll(openVEX("not_affected", `[{"@id":"pkg:npm/a"}]`), `CVE-1`, `*`),
		"timestamp":                        strings.ReplaceAll(openVEX("not_affected", `[{"@id":"pkg:npm/a"}]`), `2026-01-01T00:00:00Z`, `yesterday`),
		"read OpenVEX":                     strings.ReplaceAll(openVEX("not_affected", `[{"@id":"pkg:npm/a"}]`), `"products":[`, `"products":[3,`),
		"it names no component":            strings.ReplaceAll(cycloneDX(lodash, "not_affected", "c1"), `"affects":[{"ref":"c1"}]`, `"affects":[]`),
		"affects without a reference":      cycloneDX(lodash, "not_affected", ""),
		"\"c2\" has no package URL":        cycloneDX(lodash, "not_affected", "c2"),
		"product \"c3\" is no package URL": cycloneDX(lodash, "not_affected", "c3"),
		"analysis state \"fine\"":          cycloneDX(lodash, "fine", "c1"),
		"it has no analysis":               strings.ReplaceAll(cycloneDX(lodash, "x", "c1"), `"analysis"`, `"analyses"`),
		"is no link of the form":           cycloneDX(lodash, "not_affected", "urn:cdx:1"),
		"\"c1\" has no package URL":        strings.ReplaceAll(cycloneDX(lodash, "not_affected", "c1"), `"pkg:npm/lodash@4.0.0"`, `""`),
		"which is no image":                cycloneDX(lodash+`,"metadata":{"component":{"type":"application","name":"web"}}`, "not_affected", "c1"),
		"neither OpenVEX":                  `{"statements":[]}`,
		"begins like JSON and is not":      `{"@context": "https://openvex.dev/ns/v0.2.0"`,
		"read exceptions":                  "exceptions: [",
		"field severity not found":         "exceptions: [{id: CVE-1, purl: a, reason: r, severity: low}]",
		"id is missing":                    "exceptions: [{purl: a, reason: r}]",
		"purl is missing":                  "exceptions: [{id: CVE-1, reason: r}]",
		"id is given twice":                "exceptions: [{id: CVE-1, vulnerability: CVE-2, purl: a, reason: r}]",
		"reason is missing":                "exceptions: [{id: CVE-1, purl: a, reason: r}, {id: CVE-2, purl: a}]",
		"a second document":                "exceptions: [{id: CVE-1, purl: a, reason: r}]\n---\nexceptions: []",
		"parsing time \"next week\"":       "exceptions: [{id: CVE-1, purl: a, reason: r, expiry: next week}]",
		"bytes; 8388608 is the most":       strings.Repeat(" ", vex.MaxSize+1),
		"more than 20000 pairs":            openVEX("fixed", "["+strings.Repeat(`"pkg:npm/a",`, vex.MaxExceptions)+`"pkg:npm/b"]`),
	} {
		t.Run(word, func(t *testing.T) {
			d, err := vex.Parse([]byte(text), vex.Options{Origin: "file"})
			require.ErrorContains(t, err, word)
			require.Empty(t, d.Exceptions)
		})
	}
}

// TestOptions complete a document, and never widen it but where the operator names the repositories.
func TestOptions(t *testing.T) {
	end := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	o := vex.Options{Origin: "o", Author: "operator", Until: end, Repository: "shop/*"}
	d, err := vex.Parse([]byte("exceptions: [{id: CVE-1, purl: a, reason: r}, {id: CVE-2, purl: a, reason: r, author: ada, expiry: 2026-01-01}]"), o)
	require.NoError(t, err)
	require.Equal(t, []string{"operator", "ada"}, []string{d.Exceptions[0].Author, d.Exceptions[1].Author})
	require.Equal(t, end, d.Exceptions[0].Until)
	require.Equal(t, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), d.Exceptions[1].Until, "the earlier end holds")

	const application = `,"metadata":{"component":{"type":"application","name":"web"}},"components":[{"type":"library","bom-ref":"c1","name":"a","purl":"pkg:npm/a"}]`
	d, err = vex.Parse([]byte(cycloneDX(application, "not_affected", "c1")), o)
	require.NoError(t, err)
	require.Equal(t, []said{{id: "CVE-1", pkg: "pkg:npm/a", repository: "shop/*", stance: judge.NotAffected}}, summary(d))
	require.Equal(t, "not_affected: code_not_reachable: never called", d.Exceptions[0].Reason)
	require.Equal(t, []string{"GHSA-1"}, d.Exceptions[0].Aliases)

	d, err = vex.Parse([]byte(openVEX("not_affected", `[{"@id":"pkg:npm/a"}]`)), vex.Options{Author: "operator"})
	require.NoError(t, err)
	require.Equal(t, "Olga", d.Exceptions[0].Author, "the document's own")
	require.Equal(t, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), d.Exceptions[0].At)
}

// requireUsable checks what every understood document must be.
func requireUsable(t *testing.T, raw []byte, want vex.Format) {
	t.Helper()
	d, err := vex.Parse(raw, vex.Options{Origin: "fuzz"})
	if err != nil {
		require.NotEmpty(t, err.Error())
		return
	}
	require.NotEmpty(t, d.Exceptions)
	require.LessOrEqual(t, len(d.Exceptions), vex.MaxExceptions)
	for _, e := range d.Exceptions {
		require.NotEmpty(t, e.Vulnerability)
		require.NotEmpty(t, e.Reason)
		require.False(t, e.Component == "" && e.Package == "" && e.Image == (judge.ImageProduct{}), "it names no product")
	}
	_, err = judge.NewRegister(d.Exceptions)
	require.NoError(t, err, want)
}

func FuzzSimple(f *testing.F) {
	f.Add([]byte("exceptions: [{id: CVE-1, purl: 'pkg:npm/*', repository: 'a/*', reason: r, author: a, expiry: 2026-01-01}]"))
	f.Add([]byte("exceptions: &a [*a]"))
	f.Fuzz(func(t *testing.T, raw []byte) { requireUsable(t, raw, vex.Simple) })
}

func FuzzOpenVEX(f *testing.F) {
	f.Add([]byte(openVEX("not_affected", `[{"@id":"`+ociPackage+`","subcomponents":[{"@id":"pkg:npm/a"}]}]`)))
	f.Add([]byte(openVEX("fixed", `["pkg:npm/a"]`)))
	f.Fuzz(func(t *testing.T, raw []byte) { requireUsable(t, raw, vex.OpenVEX) })
}

func FuzzCycloneDX(f *testing.F) {
	f.Add([]byte(cycloneDX(lodash, "not_affected", "c1")))
	f.Add([]byte(cycloneDX(lodash+`,"metadata":{"component":{"type":"container","bom-ref":"i","name":"web"}}`, "resolved", "i")))
	f.Fuzz(func(t *testing.T, raw []byte) { requireUsable(t, raw, vex.CycloneDX) })
}
