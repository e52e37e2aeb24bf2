package osv

import (
	"crypto/sha256"
	_ "embed" // the lists of maintainers
	"encoding/hex"
	"regexp"
	"strings"
	"sync"
)

// OwnBuild reports whether a package of a distribution was built by the distribution itself, so that its records cover
// it. Vendor is the maintainer (deb, apk) or the vendor (rpm) as the package says it; commit is the commit of the
// distribution's own repository that it says it was built from (apk), empty where it says none. Packages of ecosystems that
// are no distribution are always covered.
func OwnBuild(ecosystem, vendor, version, commit string) bool {
	base := Base(ecosystem)
	vendor = strings.ToLower(strings.TrimSpace(vendor))
	switch ecosystems[base].scheme {
	case schemeRPM:
		return containsAny(vendor, rpmVendors[base])
	case schemeApk:
		return ownApk(base, vendor, commit)
	case schemeDeb:
		return !foreignDeb.MatchString(version) && ownDeb(base, vendor)
	}
	return true
}

// OwnByName is OwnBuild for documents that have no commits of apk packages: there a package of Alpine with a person's name as its
// maintainer counts as Alpine's.
func OwnByName(ecosystem, vendor, version string) bool {
	if Base(ecosystem) == ecosystemAlpine {
		vendor = strings.ToLower(strings.TrimSpace(vendor))
		return ownApk(ecosystemAlpine, vendor, "") || vendor != "" && !apkRole.MatchString(vendor)
	}
	return OwnBuild(ecosystem, vendor, version, "")
}

// rpmVendors are parts of the vendors' names, in lower case.
var rpmVendors = map[string][]string{
	ecosystemAlma:      {"almalinux"},
	ecosystemMageia:    {"mageia"},
	ecosystemOpenEuler: {"openeuler"},
	ecosystemOpenSUSE:  {"opensuse", "suse llc", "suse linux"},
	ecosystemRedHat:    {"red hat, inc", "red hat inc"},
	ecosystemRocky:     {"rocky enterprise software foundation", "rocky linux", "resf"},
	ecosystemSUSE:      {"suse llc", "suse linux"},
}

func containsAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// foreignDeb finds what other archives put into versions so that these do not collide with Debian's and Ubuntu's: Debian's
// backports, PostgreSQL's and PHP's archives, NodeSource, Docker, nginx.org, Launchpad's PPAs.
var foreignDeb = regexp.MustCompile(`(?i)~bpo|\.pgdg\d|nodesource|~ppa\d*|\+0~20\d{6}|deb\.sury|[~+.-](debian|ubuntu)\.?\d+\.?\d*~|` +
	`~(jessie|stretch|buster|bullseye|bookworm|trixie|xenial|bionic|focal|jammy|noble)\b|-1debian\d\d$|1ubuntu\d\d\.\d\d$`)

// domainOf is the domain of the address in "Name <address@domain>"; empty when there is none.
func domainOf(maintainer string) string {
	address := maintainer
	if _, rest, found := strings.Cut(maintainer, "<"); found {
		address, _, _ = strings.Cut(rest, ">")
	}
	_, domain, found := strings.Cut(strings.TrimSpace(address), "@")
	if !found {
		return ""
	}
	return strings.TrimSpace(domain)
}

func addressOf(maintainer string) string {
	if _, rest, found := strings.Cut(maintainer, "<"); found {
		maintainer, _, _ = strings.Cut(rest, ">")
	}
	return strings.TrimSpace(maintainer)
}

// below reports whether the domain is one of these or below one.
func below(domain string, zones []string) bool {
	for _, zone := range zones {
		if domain == zone || strings.HasSuffix(domain, "."+zone) {
			return true
		}
	}
	return false
}

// debZones are the domains of the distributions' own lists and people.
var debZones = map[string][]string{
	ecosystemDebian: {"debian.org", "debian.net", "alioth-lists.debian.net", "debian.or.jp", "debian.community"},
	ecosystemUbuntu: {"ubuntu.com", "canonical.com"},
}

// ownDeb goes by the maintainer's address: a list or a member of the distribution. Debian also has maintainers with an
// address elsewhere; those of its releases are known.
func ownDeb(base, maintainer string) bool {
	return below(domainOf(maintainer), debZones[base]) || knownMaintainer(base, addressOf(maintainer))
}

// apkZones are the domains of the distributions' own people.
var apkZones = map[string][]string{
	ecosystemAlpaquita:  {"bell-sw.com", "alpinelinux.org"},
	ecosystemAlpine:     {"alpinelinux.org"},
	ecosystemBellSoft:   {"bell-sw.com", "alpinelinux.org"},
	ecosystemChainguard: {"chainguard.dev", "wolfi.dev"},
	ecosystemMinimOS:    {"minimus.io"},
	ecosystemWolfi:      {"chainguard.dev", "wolfi.dev"},
}

// apkCommit is what Alpine's build server writes into each package: the commit of aports that it was built from. Other
// vendors build outside a repository, or in a copy that was changed ("-dirty").
var apkCommit = regexp.MustCompile(`^[0-9a-f]{40}$`)

// apkRole finds maintainers that are no person. Each package of Alpine is maintained by a person; vendors give a role.
var apkRole = regexp.MustCompile(`\b(packag\w*|pkgs?|teams?|releases?|builds?|builders?|support|info|admin|contact|security|noreply|no-reply|maintainers|developers|devs?|` +
	`inc|ltd|llc|gmbh|corp|corporation|project|foundation|packagers?)\b|@([a-z0-9-]+\.)*(nginx|f5|amazon|azul|docker|elastic|hashicorp|grafana|microsoft|oracle|redhat|` +
	`eclipse|adoptium|sgerrand|mongodb|percona|datadoghq|newrelic)\.(com|org|io|net)\b`)

// ownApk goes by the maintainer's address too. Alpine's maintainers are some hundred people with addresses of their own, and
// they change with each release: an unknown person's package is Alpine's if it names its commit, and so is one without a
// maintainer. The other distributions write no maintainer, and then it is theirs.
func ownApk(base, maintainer, commit string) bool {
	if below(domainOf(maintainer), apkZones[base]) || knownMaintainer(base, addressOf(maintainer)) {
		return true
	}
	if base == ecosystemAlpine {
		return apkCommit.MatchString(commit) && !apkRole.MatchString(maintainer)
	}
	switch base {
	case ecosystemChainguard, ecosystemMinimOS, ecosystemWolfi:
		return maintainer == ""
	}
	return false
}

var (
	//go:embed maintainers/debian.txt
	debianMaintainers string
	//go:embed maintainers/alpine.txt
	alpineMaintainers string
)

// maintainers are the lists as sets, made at the first use. See maintainers/README.md.
var maintainers = sync.OnceValue(func() map[string]map[string]bool {
	sets := map[string]map[string]bool{}
	for base, list := range map[string]string{ecosystemDebian: debianMaintainers, ecosystemAlpine: alpineMaintainers} {
		sets[base] = map[string]bool{}
		for line := range strings.FieldsSeq(list) {
			sets[base][line] = true
		}
	}
	return sets
})

// maintainerDigits is how much of an address's hash the lists hold.
const maintainerDigits = 12

// knownMaintainer reports whether the address is of a maintainer of the distribution.
func knownMaintainer(base, address string) bool {
	sum := sha256.Sum256([]byte(address))
	return maintainers()[base][hex.EncodeToString(sum[:])[:maintainerDigits]]
}
