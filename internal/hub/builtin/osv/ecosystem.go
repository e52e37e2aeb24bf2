package osv

import (
	"regexp"
	"slices"
	"strings"
)

// The ecosystems that are judged, in OSV's words, without a release.
const (
	ecosystemAlma       = "AlmaLinux"
	ecosystemAlpaquita  = "Alpaquita"
	ecosystemAlpine     = "Alpine"
	ecosystemBellSoft   = "BellSoft Hardened Containers"
	ecosystemBioc       = "Bioconductor"
	ecosystemBitnami    = "Bitnami"
	ecosystemChainguard = "Chainguard"
	ecosystemConan      = "ConanCenter"
	ecosystemCRAN       = "CRAN"
	ecosystemCrates     = "crates.io"
	ecosystemDebian     = "Debian"
	ecosystemDocker     = "Docker Hardened Images"
	ecosystemGHC        = "GHC"
	ecosystemGo         = "Go"
	ecosystemHackage    = "Hackage"
	ecosystemHex        = "Hex"
	ecosystemJulia      = "Julia"
	ecosystemMageia     = "Mageia"
	ecosystemMaven      = "Maven"
	ecosystemMinimOS    = "MinimOS"
	ecosystemNPM        = "npm"
	ecosystemNuGet      = "NuGet"
	ecosystemOpenEuler  = "openEuler"
	ecosystemOpenSUSE   = "openSUSE"
	ecosystemPackagist  = "Packagist"
	ecosystemPub        = "Pub"
	ecosystemPyPI       = "PyPI"
	ecosystemRedHat     = "Red Hat"
	ecosystemRocky      = "Rocky Linux"
	ecosystemRubyGems   = "RubyGems"
	ecosystemSUSE       = "SUSE"
	ecosystemSwift      = "SwiftURL"
	ecosystemUbuntu     = "Ubuntu"
	ecosystemWolfi      = "Wolfi"
)

// scheme is how versions of an ecosystem are written.
type scheme byte

// The schemes.
const (
	schemeOther scheme = iota // begins with a digit
	schemeSemver
	schemeDeb
	schemeApk
	schemeRPM
	schemeMaven
	schemePyPI
)

// ecosystem is what is particular about one.
type ecosystem struct {
	scheme scheme
	// release brings what OSV writes behind the colon into one form; nil for an ecosystem without releases.
	release func(suffix string) string
	// source says that records name source packages; both, that some name source packages and some binary ones.
	source, both bool
	// lenientEpoch says that records may leave an epoch out where the installed package has one.
	lenientEpoch bool
	// fold brings a package name into the one spelling used for comparing; nil where names differ by case.
	fold func(string) string
}

// ecosystems are all that osv-scalibr can order.
var ecosystems = map[string]ecosystem{
	ecosystemAlma:       {scheme: schemeRPM, release: major},
	ecosystemAlpaquita:  {scheme: schemeApk, release: asIs, source: true},
	ecosystemAlpine:     {scheme: schemeApk, release: alpineRelease, source: true},
	ecosystemBellSoft:   {scheme: schemeApk, release: asIs, source: true},
	ecosystemBioc:       {scheme: schemeSemver},
	ecosystemBitnami:    {scheme: schemeSemver, fold: strings.ToLower},
	ecosystemChainguard: {scheme: schemeApk, source: true, both: true},
	ecosystemConan:      {scheme: schemeSemver, fold: strings.ToLower},
	ecosystemCRAN:       {},
	ecosystemCrates:     {scheme: schemeSemver},
	ecosystemDebian:     {scheme: schemeDeb, release: debianRelease, source: true, fold: strings.ToLower},
	ecosystemDocker:     {scheme: schemeSemver},
	ecosystemGHC:        {scheme: schemeSemver},
	ecosystemGo:         {scheme: schemeSemver, fold: strings.ToLower},
	ecosystemHackage:    {},
	ecosystemHex:        {scheme: schemeSemver},
	ecosystemJulia:      {scheme: schemeSemver},
	ecosystemMageia:     {scheme: schemeRPM, release: major, source: true, both: true, lenientEpoch: true},
	ecosystemMaven:      {scheme: schemeMaven},
	ecosystemMinimOS:    {scheme: schemeApk, source: true, both: true},
	ecosystemNPM:        {scheme: schemeSemver},
	ecosystemNuGet:      {fold: strings.ToLower},
	ecosystemOpenEuler:  {scheme: schemeRPM, release: strings.ToUpper, source: true, both: true, lenientEpoch: true},
	ecosystemOpenSUSE:   {scheme: schemeRPM, release: openSUSERelease, source: true, both: true, lenientEpoch: true},
	ecosystemPackagist:  {fold: strings.ToLower},
	ecosystemPub:        {},
	ecosystemPyPI:       {scheme: schemePyPI, fold: foldPyPI},
	ecosystemRedHat:     {scheme: schemeRPM, release: redHatRelease, source: true, both: true},
	ecosystemRocky:      {scheme: schemeRPM, release: major, source: true, both: true},
	ecosystemRubyGems:   {},
	ecosystemSUSE:       {scheme: schemeRPM, release: suseRelease, source: true, both: true, lenientEpoch: true},
	ecosystemSwift:      {scheme: schemeSemver, fold: foldSwift},
	ecosystemUbuntu:     {scheme: schemeDeb, release: ubuntuRelease, source: true, fold: strings.ToLower},
	ecosystemWolfi:      {scheme: schemeApk, source: true, both: true},
}

// Ecosystems are the ecosystems that are judged, as OSV names the folders of their archives.
func Ecosystems() []string {
	names := make([]string, 0, len(ecosystems))
	for name := range ecosystems {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Base is the ecosystem without its release: "Debian" of "Debian:12".
func Base(ecosystem string) string {
	base, _, _ := strings.Cut(ecosystem, ":")
	return base
}

// normalized is an ecosystem in the one form that records are filed under, with one release. Judged is false for what
// cannot be ordered. What follows the colon in an ecosystem without releases is a repository, and is left out.
func normalized(written string) (name string, judged bool) {
	base, suffix, hasSuffix := strings.Cut(strings.TrimSpace(written), ":")
	e, known := ecosystems[base]
	if !known {
		return "", false
	}
	if !hasSuffix || e.release == nil {
		return base, true
	}
	return joinRelease(base, e.release(suffix)), true
}

// joinRelease adds a release; one that cannot be read leaves the base, under which every release looks.
func joinRelease(base, release string) string {
	if release == "" {
		return base
	}
	return base + ":" + release
}

func asIs(release string) string { return release }

// major is "9" of "9.4" and of "9"; empty when it is no number.
func major(release string) string {
	number, _, _ := strings.Cut(release, ".")
	if number == "" || len(number) > 4 || strings.Trim(number, "0123456789") != "" {
		return ""
	}
	return number
}

var alpineForm = regexp.MustCompile(`^v?(\d+\.\d+)(?:[._].*)?$`)

// alpineRelease is "v3.18" of "v3.18", "3.18.4" and "3.18_alpha20230329", and "edge".
func alpineRelease(release string) string {
	if release == "edge" {
		return release
	}
	if m := alpineForm.FindStringSubmatch(release); m != nil {
		return "v" + m[1]
	}
	return ""
}

// debianCodeNames are the releases by name, from https://www.debian.org/releases/.
var debianCodeNames = map[string]string{
	"etch": "4", "lenny": "5", "squeeze": "6", "wheezy": "7", "jessie": "8", "stretch": "9", "buster": "10", "bullseye": "11",
	"bookworm": "12", "trixie": "13", "forky": "14", "duke": "15",
}

// debianRelease is "12" of "12", "12.11" and "bookworm".
func debianRelease(release string) string {
	if number, known := debianCodeNames[strings.ToLower(release)]; known {
		return number
	}
	return major(release)
}

// ubuntuCodeNames are the releases by name, from https://wiki.ubuntu.com/Releases.
var ubuntuCodeNames = map[string]string{
	"precise": "12.04", "quantal": "12.10", "raring": "13.04", "saucy": "13.10", "trusty": "14.04", "utopic": "14.10", "vivid": "15.04",
	"wily": "15.10", "xenial": "16.04", "yakkety": "16.10", "zesty": "17.04", "artful": "17.10", "bionic": "18.04", "cosmic": "18.10",
	"disco": "19.04", "eoan": "19.10", "focal": "20.04", "groovy": "20.10", "hirsute": "21.04", "impish": "21.10", "jammy": "22.04",
	"kinetic": "22.10", "lunar": "23.04", "mantic": "23.10", "noble": "24.04", "oracular": "24.10", "plucky": "25.04", "questing": "25.10",
	"resolute": "26.04",
}

var ubuntuForm = regexp.MustCompile(`\b(\d\d\.\d\d)(?:\.\d+)?\b`)

// ubuntuRelease is "22.04" of "22.04", "22.04:LTS", "Pro:22.04:LTS" and "jammy". The records of Pro count for everyone: a
// hole that only Pro closes is a hole. Variants with packages of their own (FIPS, Realtime, Nvidia) keep their name, as
// "22.04:fips", and are asked for only by such packages.
func ubuntuRelease(release string) string {
	if number, known := ubuntuCodeNames[strings.ToLower(release)]; known {
		return number
	}
	m := ubuntuForm.FindStringSubmatch(release)
	if m == nil {
		return ""
	}
	lower := strings.ToLower(release)
	for _, variant := range ubuntuVariants {
		if strings.Contains(lower, variant) {
			return m[1] + ":" + variant
		}
	}
	return m[1]
}

var ubuntuVariants = []string{"fips", "realtime", "bluefield", "nvidia"}

var (
	redHatProduct = regexp.MustCompile(`^(?:enterprise_linux|rhel_[a-z0-9_]+):(\d+)`)
	redHatEdition = regexp.MustCompile(`::el(\d+)`)
)

// redHatRelease is "9" of the CPE forms "enterprise_linux:9::baseos", "rhel_eus:9.2::appstream" and "openshift:4.14::el9".
// The longer support of some customers counts for everyone: what is behind its fixes is behind.
func redHatRelease(product string) string {
	if m := redHatEdition.FindStringSubmatch(product); m != nil {
		return m[1]
	}
	if m := redHatProduct.FindStringSubmatch(product); m != nil {
		return m[1]
	}
	return major(product)
}

var suseForm = regexp.MustCompile(`(?:^|\s)(\d+)(?:\.(\d+))?(?:[ -]SP(\d+))?(?:[ -](?:LTSS|ESPOS|BCL|TERADATA|CORE|PUBCLOUD|EXTENDED)\b.*)?$`)

// suseRelease is "15.5" of "Linux Enterprise Server 15 SP5-LTSS", of "Linux Enterprise Module for Basesystem 15 SP5" and of
// "15.5". Other lines of products keep their name: "Micro 5.5".
func suseRelease(product string) string {
	m := suseForm.FindStringSubmatch(product)
	if m == nil {
		return product
	}
	version := m[1]
	switch {
	case m[3] != "":
		version += "." + m[3]
	case m[2] != "":
		version += "." + m[2]
	}
	switch {
	case strings.Contains(product, "Micro"):
		return "Micro " + version
	case strings.Contains(product, "Linux Enterprise"), product == m[0]:
		return version
	}
	return product
}

// openSUSERelease is "Leap 15.6" of "Leap 15.6" and "15.6", and "Tumbleweed".
func openSUSERelease(release string) string {
	if release != "" && strings.Trim(release, "0123456789.") == "" {
		return "Leap " + release
	}
	return release
}

// foldPyPI is the rule of PEP 503: lower case, and one hyphen for every run of hyphens, underscores and dots.
func foldPyPI(name string) string {
	var folded strings.Builder
	folded.Grow(len(name))
	separated := false
	for _, c := range strings.ToLower(name) {
		if c == '-' || c == '_' || c == '.' {
			separated = true
			continue
		}
		if separated {
			folded.WriteByte('-')
			separated = false
		}
		folded.WriteRune(c)
	}
	if separated {
		folded.WriteByte('-')
	}
	return folded.String()
}

// foldSwift is a repository's address without what may be left out.
func foldSwift(name string) string {
	name = strings.ToLower(name)
	name = strings.TrimPrefix(strings.TrimPrefix(name, "https://"), "http://")
	return strings.TrimSuffix(strings.TrimSuffix(name, "/"), ".git")
}
