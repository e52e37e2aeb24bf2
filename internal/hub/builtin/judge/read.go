package judge

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
)

// PropertyUnread is the property by which a document says that something in the image could not be read, with the reason
// as its value: on a component of type file, that the file of that name lists packages and was not understood; on any
// other component, that its version was not.
const PropertyUnread = "perceptor:unread"

// Read takes out of a CycloneDX document what judging needs. Components that are files or the operating system itself are
// no packages. The same package found at several places is one component; it is the owner's software only where it is so at
// every place.
func Read(bom *cyclonedx.BOM) (Contents, error) {
	r := reader{found: map[string]Component{}, unread: map[string]string{}, archives: map[string]string{}, holders: map[string]bool{}}
	var contents Contents
	if bom.SerialNumber != "" {
		contents.Serials = []string{bom.SerialNumber}
	}
	if bom.Metadata != nil && bom.Metadata.Component != nil {
		contents.Subject = bom.Metadata.Component.Name
	}
	r.mains = mainModulesOf(bom)
	if err := r.components(bom.Components); err != nil {
		return Contents{}, err
	}
	r.claimArchives()
	if err := r.scannerWords(bom); err != nil {
		return Contents{}, err
	}
	contents.Distribution, contents.Words = r.distribution, r.words
	contents.Components, contents.Unread = r.sorted()
	return contents, nil
}

// Combine puts two contents of one image together.
func Combine(a, b Contents) Contents {
	r := reader{found: map[string]Component{}, unread: map[string]string{}}
	for _, each := range []Contents{a, b} {
		for _, c := range each.Components {
			r.add(c)
		}
		for _, u := range each.Unread {
			r.unread[u.Path] = u.Reason
		}
	}
	a.Words = maps.Clone(a.Words)
	if a.Distribution.ID == "" {
		a.Distribution = b.Distribution
	}
	if a.Subject == "" {
		a.Subject = b.Subject
	}
	for key, word := range b.Words {
		if a.Words == nil {
			a.Words = map[string]Word{}
		}
		if known, both := a.Words[key]; both {
			word = known.and(word)
		}
		a.Words[key] = word
	}
	a.Serials = append(slices.Clone(a.Serials), b.Serials...)
	a.Components, a.Unread = r.sorted()
	return a
}

// reader gathers what a document says.
type reader struct {
	found        map[string]Component
	unread       map[string]string
	distribution osv.Distribution
	// mains are the references of components that trivy names as what a Go program was built from.
	mains map[string]bool
	// words are nil where no other scanner judged.
	words map[string]Word
	// archives are the Java archives that name no group, by their paths; holders are the paths of those that hold others.
	archives map[string]string
	holders  map[string]bool
}

// noteArchive remembers where a Java archive stands in the image, or in which other one.
func (r *reader) noteArchive(c Component, where string) {
	if where == "" || !strings.HasPrefix(c.PURL, "pkg:maven/") {
		return
	}
	outer, _, nested := strings.Cut(where, ":")
	switch {
	case nested:
		r.holders[outer] = true
	case osv.IsGuessedGroup(c.PURL):
		r.archives[where] = c.Key()
	}
}

// claimArchives marks the owner's applications: archives that hold the libraries of others, and name no group themselves.
func (r *reader) claimArchives() {
	for where, key := range r.archives {
		if c, known := r.found[key]; known && r.holders[where] {
			c.Own = true
			r.found[key] = c
		}
	}
}

func (r *reader) sorted() ([]Component, []UnreadFile) {
	components := slices.SortedFunc(maps.Values(r.found), func(a, b Component) int {
		return strings.Compare(a.Name+"\x00"+a.Version+"\x00"+a.PURL, b.Name+"\x00"+b.Version+"\x00"+b.PURL)
	})
	var unread []UnreadFile
	for _, path := range slices.Sorted(maps.Keys(r.unread)) {
		unread = append(unread, UnreadFile{Path: path, Reason: r.unread[path]})
	}
	return components, unread
}

func (r *reader) components(list *[]cyclonedx.Component) error {
	if list == nil {
		return nil
	}
	for i := range *list {
		each := &(*list)[i]
		if err := r.components(each.Components); err != nil {
			return err
		}
		p := propertiesOf(each)
		switch {
		case each.Type == cyclonedx.ComponentTypeOS:
			r.distribution = distributionOf(each, p)
		case each.Type == cyclonedx.ComponentTypeFile:
			if reason, is := p[PropertyUnread]; is {
				r.unread[each.Name] = reason
			}
		case isKey(each), isPlace(each, p):
		case each.Name == "":
			return fmt.Errorf("component %.80q has no name", each.BOMRef)
		default:
			c := componentOf(each, p)
			c.Own = c.Own || r.mains[each.BOMRef]
			r.add(c)
			r.noteArchive(c, p["syft:metadata:virtualPath"])
		}
	}
	return nil
}

// isKey reports whether a component is a key that rpm trusts. It stands in rpm's list like a package, and is none.
func isKey(c *cyclonedx.Component) bool {
	return c.Name == "gpg-pubkey" && strings.HasPrefix(c.PackageURL, "pkg:rpm/")
}

// isPlace reports whether a component is only the file that trivy found packages in, such as a Go program or a lock file.
func isPlace(c *cyclonedx.Component, p properties) bool {
	return c.Type == cyclonedx.ComponentTypeApplication && c.PackageURL == "" && p[trivyClass] == "lang-pkgs"
}

// The properties of trivy that say what kind of place or package a component is.
const (
	trivyClass = "aquasecurity:trivy:Class"
	trivyType  = "aquasecurity:trivy:Type"
)

// mainModulesOf finds the main modules of Go programs in a document of trivy. Trivy does not call them so: the program is a
// component that depends on its main module alone, and that on all others.
func mainModulesOf(bom *cyclonedx.BOM) map[string]bool {
	if bom.Components == nil || bom.Dependencies == nil {
		return nil
	}
	programs := map[string]bool{}
	for i := range *bom.Components {
		if each := &(*bom.Components)[i]; each.BOMRef != "" && isPlace(each, propertiesOf(each)) && propertiesOf(each)[trivyType] == "gobinary" {
			programs[each.BOMRef] = true
		}
	}
	mains := map[string]bool{}
	for _, each := range *bom.Dependencies {
		if programs[each.Ref] && each.Dependencies != nil && len(*each.Dependencies) == 1 && strings.HasPrefix((*each.Dependencies)[0], "pkg:golang/") {
			mains[(*each.Dependencies)[0]] = true
		}
	}
	return mains
}

func (r *reader) add(c Component) {
	if before, known := r.found[c.Key()]; known {
		c.Own = c.Own && before.Own
		if before.Vendor != "" {
			c.Vendor = before.Vendor
		}
	}
	r.found[c.Key()] = c
}

type properties map[string]string

func propertiesOf(c *cyclonedx.Component) properties {
	p := properties{}
	if c.Properties != nil {
		for _, each := range *c.Properties {
			if _, twice := p[each.Name]; !twice {
				p[each.Name] = each.Value
			}
		}
	}
	return p
}

// distributionOf reads the operating-system component. Syft writes the fields of os-release as properties; other tools
// write name and version only.
func distributionOf(c *cyclonedx.Component, p properties) osv.Distribution {
	first := func(texts ...string) string {
		for _, text := range texts {
			if text != "" {
				return text
			}
		}
		return ""
	}
	return osv.Distribution{
		ID:        strings.ToLower(first(p["syft:distro:id"], c.Name)),
		VersionID: first(p["syft:distro:versionID"], c.Version),
		Codename:  p["syft:distro:versionCodename"],
		Pretty:    first(p["syft:distro:prettyName"], c.Description),
		CPE:       c.CPE,
	}
}

func componentOf(c *cyclonedx.Component, p properties) Component {
	one := Component{Name: c.Name, Version: c.Version, PURL: c.PackageURL, Vendor: c.Publisher}
	if c.Group != "" {
		one.Name = c.Group + "/" + c.Name
	}
	if one.Vendor == "" && c.Supplier != nil {
		one.Vendor = c.Supplier.Name
	}
	first := func(names ...string) string {
		for _, name := range names {
			if p[name] != "" {
				return p[name]
			}
		}
		return ""
	}
	one.Source = first("syft:metadata:source", "syft:metadata:originPackage", "aquasecurity:trivy:SrcName")
	if one.SourceVersion = p["syft:metadata:sourceVersion"]; one.SourceVersion == "" {
		one.SourceVersion = trivySourceVersion(p)
	}
	one.Commit = p["syft:metadata:gitCommitOfApkPort"]
	one.Modularity = first("syft:metadata:modularityLabel", "aquasecurity:trivy:Modularitylabel")
	one.Own = isOwn(c, p)
	if _, is := p[PropertyUnread]; is && one.Version == "" {
		one.PURL = withoutVersion(one.PURL)
	}
	return one
}

// trivySourceVersion is the version of a source package, which trivy writes in parts: "1:2.3-4" for the epoch 1, the version 2.3
// and the release 4.
func trivySourceVersion(p properties) string {
	const prefix = "aquasecurity:trivy:Src"
	version := p[prefix+"Version"]
	if release := p[prefix+"Release"]; version != "" && release != "" {
		version += "-" + release
	}
	if epoch := p[prefix+"Epoch"]; version != "" && epoch != "" && epoch != "0" {
		version = epoch + ":" + version
	}
	return version
}

// isOwn reports whether a component is the software of the image's owner, by what the cataloger says of it: the main module
// of a Go program, or the root package of a Node.js application.
func isOwn(c *cyclonedx.Component, p properties) bool {
	switch {
	case strings.HasPrefix(c.PackageURL, "pkg:golang/"):
		main := p["syft:metadata:mainModule"]
		return main != "" && main == c.Name && c.Name != "stdlib"
	case strings.HasPrefix(c.PackageURL, "pkg:npm/"):
		return p.isRootPackage()
	}
	return false
}

// isRootPackage reports whether each place that the component was found at is a package.json outside all folders of
// dependencies.
func (p properties) isRootPackage() bool {
	if path, has := p["aquasecurity:trivy:FilePath"]; has {
		return path != "" && !inDependencyFolder(path) && (path == "package.json" || strings.HasSuffix(path, "/package.json"))
	}
	for i := 0; ; i++ {
		path, has := p[fmt.Sprintf("syft:location:%d:path", i)]
		if !has {
			return i > 0
		}
		if !strings.HasSuffix(path, "/package.json") || inDependencyFolder(path) {
			return false
		}
	}
}

// dependencyFolders hold what others wrote.
var dependencyFolders = []string{
	"node_modules", "bower_components", "jspm_packages", "vendor", "third_party", "site-packages", "dist-packages", "gems", ".yarn", ".pnpm",
	"nodejs", "javascript", "plugins", "extensions", "deps", "externals",
}

func inDependencyFolder(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if slices.Contains(dependencyFolders, part) {
			return true
		}
	}
	return false
}
