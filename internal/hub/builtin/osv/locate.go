package osv

import (
	"fmt"
	"strings"

	"github.com/google/osv-scalibr/semantic"
	"github.com/package-url/packageurl-go"

	"github.com/perceptor/perceptor/model"
)

// Key is what records are filed under: an ecosystem in OSV's words with one form of its release ("Ubuntu:22.04" for
// "Ubuntu:22.04:LTS" and "Ubuntu:Pro:22.04:LTS"), and a package name in the one spelling used for comparing.
type Key struct {
	Ecosystem string `json:"s"`
	Package   string `json:"p"`
}

// String is "ecosystem/package".
func (k Key) String() string { return k.Ecosystem + "/" + k.Package }

// newKey brings a package name into the spelling used for comparing. The ecosystem is a normalized one. Go's proxies tell
// case apart and package URLs do not; two modules that differ in nothing else are not known to exist.
func newKey(name, pkg string) Key {
	if fold := ecosystems[Base(name)].fold; fold != nil {
		pkg = fold(pkg)
	}
	return Key{Ecosystem: name, Package: pkg}
}

// Distribution is the Linux distribution of an image, as its os-release file says it. The zero value is an image without one.
type Distribution struct {
	// ID and VersionID are the fields of that name, such as "debian" and "12".
	ID        string `json:"id,omitempty"`
	VersionID string `json:"version,omitempty"`
	// Codename is VERSION_CODENAME, such as "bookworm".
	Codename string `json:"codename,omitempty"`
	// Pretty is PRETTY_NAME, such as "openEuler 22.03 (LTS-SP3)".
	Pretty string `json:"pretty,omitempty"`
	// CPE is CPE_NAME, such as "cpe:/o:redhat:enterprise_linux:9::baseos".
	CPE string `json:"cpe,omitempty"`
}

// Subject is an installed package as a document describes it.
type Subject struct {
	PURL string
	// Version is used where the package URL has none.
	Version string
	// Source and SourceVersion are the source package, where the package URL does not name it.
	Source, SourceVersion string
	// Modularity is the label of an RPM module, "name:stream:version:context".
	Modularity string
}

// maxPURLLength bounds what is parsed.
const maxPURLLength = 4096

// Package is an installed package as it is looked up.
type Package struct {
	// Ecosystem is where it belongs, with its release: "Debian:12", "npm". Empty when it belongs to none that is judged.
	Ecosystem string
	// GuessedGroup says that a Java archive names its artifact and not its group, so that the cataloger put the artifact's name
	// there. Only a record of that name shows that the guess is right.
	GuessedGroup bool
	// forms are the names it is looked up under, each with its version there.
	forms []installed
}

// Keys are all keys to look under.
func (p Package) Keys() []Key {
	keys := make([]Key, 0, len(p.forms))
	for _, each := range p.forms {
		keys = append(keys, each.Key)
	}
	return keys
}

// installed is one name of an installed package: where to look for it, and its version as text and in its order.
type installed struct {
	Key
	text  string
	order semantic.Version
	// bare is the order without the epoch; nil where records never leave epochs out.
	bare semantic.Version
	// modular says that it is of an RPM module, and module which: "nodejs:18", empty when that is not known.
	modular bool
	module  string
}

// Locate says where to look for an installed package. Where it cannot be looked up, reason says why, and detail what was
// wrong; the ecosystem may be known all the same. Text that is no package URL is a reason too, and never an error.
func Locate(s Subject, on Distribution) (p Package, reason model.NotAssessedReason, detail string) {
	if s.PURL == "" {
		return Package{}, model.NoData, "no package URL"
	}
	if len(s.PURL) > maxPURLLength {
		return Package{}, model.NoData, fmt.Sprintf("a package URL longer than %d bytes", maxPURLLength)
	}
	parsed, err := packageurl.FromString(s.PURL)
	if err != nil {
		return Package{}, model.NoData, fmt.Sprintf("package URL %.200q is not readable", s.PURL)
	}
	if parsed.Version == "" {
		parsed.Version = s.Version
	}
	place, problem := placeOf(parsed, s, on)
	p.Ecosystem = place.ecosystem
	p.GuessedGroup = isGuessedGroup(parsed)
	if problem != "" {
		return p, model.NoData, problem
	}
	for _, each := range place.names {
		form, err := installedAs(place.ecosystem, each, s.Modularity)
		if err != nil {
			return Package{Ecosystem: place.ecosystem}, model.VersionUnreadable, problemOf(err)
		}
		p.forms = append(p.forms, form)
		// Records without a release are about all of them.
		if base := Base(place.ecosystem); base != place.ecosystem {
			form.Key = newKey(base, each.name)
			p.forms = append(p.forms, form)
		}
	}
	for _, variant := range place.variants {
		form := p.forms[0]
		form.Key = newKey(variant, place.names[0].name)
		p.forms = append(p.forms, form)
	}
	return p, "", ""
}

// nameVersion is a package under one of its names.
type nameVersion struct{ name, version string }

func installedAs(name string, each nameVersion, modularity string) (installed, error) {
	if each.version == "" {
		return installed{}, invalid("version", "it has none")
	}
	order, err := parseVersion(name, each.version)
	if err != nil {
		return installed{}, err
	}
	form := installed{Key: newKey(name, each.name), text: plainVersion(name, each.version), order: order}
	e := ecosystems[Base(name)]
	if e.scheme == schemeRPM {
		form.module, form.modular = moduleStream(modularity), modularity != "" || isModular(each.version)
	}
	if e.lenientEpoch {
		if rest, has := withoutEpoch(each.version); has {
			if form.bare, err = parseVersion(name, rest); err != nil {
				return installed{}, err
			}
		}
	}
	return form, nil
}

// isModular reports whether an RPM version was built as part of a module: "1:20.20.0-1.module_el9.7.0+207+84573810".
func isModular(version string) bool {
	return strings.Contains(version, ".module+") || strings.Contains(version, ".module_")
}

// moduleStream is "nodejs:18" of "nodejs:18:8090020231019152822:rhel8".
func moduleStream(label string) string {
	parts := strings.SplitN(label, ":", 3)
	if len(parts) < 2 {
		return ""
	}
	return parts[0] + ":" + parts[1]
}

// place is where a package URL leads.
type place struct {
	ecosystem string
	names     []nameVersion
	// variants are further ecosystems to look under, by the first name.
	variants []string
}

func placeOf(p packageurl.PackageURL, s Subject, on Distribution) (place, string) {
	switch p.Type {
	case packageurl.TypeDebian:
		return placeDeb(p, s, on)
	case packageurl.TypeApk:
		return placeApk(p, s, on)
	case packageurl.TypeRPM:
		return placeRPM(p, s, on)
	case packageurl.TypeGeneric:
		if name := upstreamBinary(p); name != "" {
			return place{ecosystem: ecosystemBitnami, names: []nameVersion{{name, p.Version}}}, ""
		}
		return place{}, "no data are published for generic packages"
	}
	languages, known := languageTypes[p.Type]
	if !known {
		return place{}, fmt.Sprintf("no data are published for packages of type %.40q", p.Type)
	}
	name := p.Name
	if p.Namespace != "" {
		name = p.Namespace + languages.separator + p.Name
	}
	if p.Type == packageurl.TypeMaven && p.Namespace == "" {
		return place{ecosystem: languages.ecosystem}, "the group of the artifact is not known"
	}
	if group := groupOf(p.Name); p.Type == packageurl.TypeMaven && p.Namespace == p.Name && group != "" {
		name = group + ":" + p.Name
	}
	if p.Type == packageurl.TypeGolang {
		name += majorVersionIn(p.Subpath)
	}
	return place{ecosystem: languages.ecosystem, names: []nameVersion{{name, p.Version}}}, ""
}

// IsGuessedGroup is GuessedGroup of a package URL.
func IsGuessedGroup(purl string) bool {
	parsed, err := packageurl.FromString(purl)
	return err == nil && isGuessedGroup(parsed)
}

func isGuessedGroup(p packageurl.PackageURL) bool {
	return p.Type == packageurl.TypeMaven && p.Namespace == p.Name && !selfNamed[p.Name] && groupOf(p.Name) == ""
}

// selfNamed are the old artifacts of Maven Central that really are their own group, and that many images hold.
var selfNamed = setOf(`antlr aopalliance asm avalon-framework batik bsf bsh c3p0 cglib classworlds commons-beanutils commons-chain commons-cli
	commons-codec commons-collections commons-configuration commons-daemon commons-dbcp commons-dbutils commons-digester commons-discovery commons-el
	commons-email commons-fileupload commons-httpclient commons-io commons-jexl commons-jxpath commons-lang commons-logging commons-math commons-net
	commons-pool commons-validator dom4j freemarker hsqldb javassist jaxen jdom jline joda-time junit log4j logkit nekohtml ognl oro quartz regexp
	rhino stax struts velocity wsdl4j xalan xmlbeans xmlunit xom`)

// groups are those of artifacts that Gradle builds, so that the archive does not name them, by how the artifact's name begins.
var groups = []struct{ artifact, group string }{
	{"kotlinx-", "org.jetbrains.kotlinx"},
	{"kotlin-", "org.jetbrains.kotlin"},
	{"okhttp", "com.squareup.okhttp3"},
	{"okio", "com.squareup.okio"},
	{"reactor-netty", "io.projectreactor.netty"},
	{"reactor-core", "io.projectreactor"},
	{"lettuce-core", "io.lettuce"},
}

// groupOf is the group of a well-known artifact; empty for all others.
func groupOf(artifact string) string {
	for _, each := range groups {
		if strings.HasPrefix(artifact, each.artifact) {
			return each.group
		}
	}
	return ""
}

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}

// majorVersionIn is what some tools put into the subpath though it is part of the module's name: "/v2" of "#v2".
func majorVersionIn(subpath string) string {
	first, _, _ := strings.Cut(subpath, "/")
	if digits, is := strings.CutPrefix(first, "v"); is && digits != "" && strings.Trim(digits, "0123456789") == "" {
		return "/" + first
	}
	return ""
}

// languageTypes are the package URL types whose packages have one name and no release.
var languageTypes = map[string]struct{ ecosystem, separator string }{
	"bioconductor":          {ecosystemBioc, "/"},
	"bitnami":               {ecosystemBitnami, "/"},
	packageurl.TypeCargo:    {ecosystemCrates, "/"},
	packageurl.TypeComposer: {ecosystemPackagist, "/"},
	packageurl.TypeConan:    {ecosystemConan, "/"},
	packageurl.TypeCran:     {ecosystemCRAN, "/"},
	"dhi":                   {ecosystemDocker, "/"},
	packageurl.TypeGem:      {ecosystemRubyGems, "/"},
	packageurl.TypeGolang:   {ecosystemGo, "/"},
	packageurl.TypeHackage:  {ecosystemHackage, "/"},
	packageurl.TypeHex:      {ecosystemHex, "/"},
	packageurl.TypeJulia:    {ecosystemJulia, "/"},
	packageurl.TypeMaven:    {ecosystemMaven, ":"},
	packageurl.TypeNPM:      {ecosystemNPM, "/"},
	packageurl.TypeNuget:    {ecosystemNuGet, "/"},
	packageurl.TypePub:      {ecosystemPub, "/"},
	packageurl.TypePyPi:     {ecosystemPyPI, "/"},
	packageurl.TypeSwift:    {ecosystemSwift, "/"},
}

// upstreamBinaries are programs that are recognized without a package manager, under the name that Bitnami's records have.
var upstreamBinaries = map[string]string{
	"apache": "apache", "httpd": "apache", "argocd": "argo-cd", "consul": "consul", "envoy": "envoy", "etcd": "etcd", "fluent-bit": "fluent-bit",
	"ghost": "ghost", "go": "golang", "golang": "golang", "gradle": "gradle", "grafana": "grafana", "haproxy": "haproxy", "helm": "helm",
	"influxdb": "influxdb", "java": "java", "jdk": "java", "openjdk": "java", "jre": "jre", "kafka": "kafka", "mariadb": "mariadb", "maven": "maven",
	"memcached": "memcached", "mongodb": "mongodb", "mysql": "mysql", "nats-server": "nats", "nginx": "nginx", "node": "node", "nodejs": "node",
	"openresty": "openresty", "php": "php", "php-cli": "php", "php-fpm": "php", "libphp": "libphp", "postgresql": "postgresql", "prometheus": "prometheus",
	"python": "python", "rabbitmq": "rabbitmq", "redis": "redis", "ruby": "ruby", "sqlite": "sqlite", "sqlcipher": "sqlite", "tomcat": "tomcat", "traefik": "traefik",
	"valkey": "valkey", "varnish": "varnish", "vault": "vault", "wp-cli": "wp-cli", "wordpress-cli": "wp-cli", "zookeeper": "zookeeper",
}

// upstreamBinary is the name in Bitnami's records; empty for what they do not cover. A Java runtime is named with its maker; the
// records are the same for all of them.
func upstreamBinary(p packageurl.PackageURL) string {
	name := upstreamBinaries[strings.ToLower(p.Name)]
	if p.Namespace != "" && name != "java" && name != "jre" {
		return ""
	}
	return name
}

// IsUpstreamBinary reports whether a package URL is of a known program that was recognized without a package manager.
func IsUpstreamBinary(purl string) bool {
	parsed, err := packageurl.FromString(purl)
	return err == nil && parsed.Type == packageurl.TypeGeneric && upstreamBinary(parsed) != ""
}

// qualifiers are those that say what a package of a distribution was built from.
type qualifiers struct{ upstream, distro, epoch, module string }

func qualifiersOf(p packageurl.PackageURL) (q qualifiers) {
	for _, each := range p.Qualifiers {
		switch each.Key {
		case "upstream":
			q.upstream = each.Value
		case "distro":
			q.distro = each.Value
		case "epoch":
			q.epoch = each.Value
		case "rpmmod":
			q.module = each.Value
		}
	}
	return q
}

// releaseText is what a package says of its distribution's release, or what the image says where that is the same one.
func releaseText(distro string, ids []string, on Distribution) []string {
	var texts []string
	for _, id := range ids {
		if rest, found := strings.CutPrefix(strings.ToLower(distro), id+"-"); found {
			texts = append(texts, rest)
		}
	}
	if len(texts) == 0 && distro != "" && !strings.EqualFold(distro, on.ID) {
		texts = append(texts, distro)
	}
	for _, id := range ids {
		if strings.EqualFold(on.ID, id) {
			texts = append(texts, on.VersionID, on.Codename)
		}
	}
	return texts
}

// withRelease is the ecosystem with the first text that is a release of it; empty when none is.
func withRelease(base string, texts []string) string {
	for _, text := range texts {
		if release := ecosystems[base].release(text); text != "" && release != "" {
			return joinRelease(base, release)
		}
	}
	return ""
}
