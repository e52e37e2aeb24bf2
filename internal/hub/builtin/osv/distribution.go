package osv

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"
)

// placeDeb finds the source package: the records of Debian and Ubuntu are about sources, images hold binaries.
func placeDeb(p packageurl.PackageURL, s Subject, on Distribution) (place, string) {
	q := qualifiersOf(p)
	id := strings.ToLower(p.Namespace)
	base := map[string]string{"debian": ecosystemDebian, "ubuntu": ecosystemUbuntu}[id]
	if base == "" {
		return place{}, fmt.Sprintf("no data are published for packages of %.40q", p.Namespace)
	}
	found := place{ecosystem: withRelease(base, releaseText(q.distro, []string{id}, on)), names: []nameVersion{sourceOf(p, s, q)}}
	if found.ecosystem == "" {
		return place{ecosystem: base}, "the release of the distribution is not known"
	}
	for _, variant := range ubuntuVariants {
		if base == ecosystemUbuntu && strings.Contains(strings.ToLower(p.Name+p.Version), variant) {
			found.variants = append(found.variants, found.ecosystem+":"+variant)
		}
	}
	return found, ""
}

// sourceOf is the source package of a binary one, and its version where that differs.
func sourceOf(p packageurl.PackageURL, s Subject, q qualifiers) nameVersion {
	of := nameVersion{p.Name, p.Version}
	name, version, _ := strings.Cut(q.upstream, "@")
	if name == "" {
		name, version = s.Source, s.SourceVersion
	}
	if name != "" {
		of.name = name
	}
	if version != "" {
		of.version = version
	}
	return of
}

// apkDistributions are those whose packages are apk, by their ID.
var apkDistributions = map[string]string{
	"alpaquita": ecosystemAlpaquita, "alpine": ecosystemAlpine, "bellsoft-hardened-containers": ecosystemBellSoft,
	"chainguard": ecosystemChainguard, "minimos": ecosystemMinimOS, "wolfi": ecosystemWolfi,
}

func placeApk(p packageurl.PackageURL, s Subject, on Distribution) (place, string) {
	q := qualifiersOf(p)
	id := strings.ToLower(p.Namespace)
	base := apkDistributions[id]
	if base == "" {
		return place{}, fmt.Sprintf("no data are published for packages of %.40q", p.Namespace)
	}
	found := place{ecosystem: base, names: []nameVersion{sourceOf(p, s, q)}}
	if ecosystems[base].release != nil {
		if found.ecosystem = withRelease(base, releaseText(q.distro, []string{id}, on)); found.ecosystem == "" {
			return place{ecosystem: base}, "the release of the distribution is not known"
		}
	}
	if binary := (nameVersion{p.Name, p.Version}); ecosystems[base].both && !slices.Contains(found.names, binary) {
		found.names = append(found.names, binary)
	}
	return found, ""
}

// rpmDistributions are those whose packages are RPMs, by their ID and by what package URLs call them.
var rpmDistributions = map[string]string{
	"alma": ecosystemAlma, "almalinux": ecosystemAlma, "mageia": ecosystemMageia, "openeuler": ecosystemOpenEuler, "redhat": ecosystemRedHat, "rhel": ecosystemRedHat,
	"rocky": ecosystemRocky, "rocky-linux": ecosystemRocky, "sles": ecosystemSUSE, "sles_sap": ecosystemSUSE, "sled": ecosystemSUSE,
	"suse": ecosystemSUSE, "sle-micro": ecosystemSUSE, "sl-micro": ecosystemSUSE,
	"opensuse": ecosystemOpenSUSE, "opensuse-leap": ecosystemOpenSUSE, "opensuse-tumbleweed": ecosystemOpenSUSE,
}

func placeRPM(p packageurl.PackageURL, s Subject, on Distribution) (place, string) {
	q := qualifiersOf(p)
	base := rpmDistributions[strings.ToLower(p.Namespace)]
	if base == "" {
		return place{}, fmt.Sprintf("no data are published for packages of %.40q", p.Namespace)
	}
	found := place{ecosystem: rpmEcosystem(base, q.distro, on)}
	if found.ecosystem == "" {
		return place{ecosystem: base}, "the release of the distribution is not known"
	}
	binary := nameVersion{p.Name, withEpoch(q.epoch, p.Version)}
	e := ecosystems[base]
	if !e.source || e.both {
		found.names = append(found.names, binary)
	}
	if source, is := sourceRPM(q.upstream, q.epoch); e.source && is && source != binary {
		found.names = append(found.names, source)
	} else if e.source && !is && s.Source != "" && s.Source != p.Name {
		found.names = append(found.names, nameVersion{s.Source, binary.version})
	}
	return found, ""
}

// rpmEcosystem adds the release to the ecosystem; empty when it is not known.
func rpmEcosystem(base, distro string, on Distribution) string {
	var ids []string
	for id, ecosystem := range rpmDistributions {
		if ecosystem == base {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	slices.Reverse(ids) // the longer of two that begin alike comes first
	lower := strings.ToLower(distro + " " + on.ID)
	switch {
	case base == ecosystemOpenSUSE && strings.Contains(lower, "tumbleweed"):
		return ecosystemOpenSUSE + ":Tumbleweed"
	case base == ecosystemOpenEuler:
		return openEulerEcosystem(distro, on)
	}
	name := withRelease(base, releaseText(distro, ids, on))
	if base == ecosystemSUSE && name != "" && strings.Contains(lower, "micro") {
		return ecosystemSUSE + ":Micro " + strings.TrimPrefix(name, ecosystemSUSE+":")
	}
	if base == ecosystemOpenSUSE && name != "" && !strings.HasPrefix(name, ecosystemOpenSUSE+":Leap ") {
		return ""
	}
	return name
}

var openEulerForm = regexp.MustCompile(`(\d\d\.\d\d)[ -]*\(?(LTS(?:-SP\d+)?)?`)

// openEulerEcosystem needs the service pack, which only the long name has: VERSION_ID is "22.03" for all of them.
func openEulerEcosystem(distro string, on Distribution) string {
	var best string
	for _, text := range []string{distro, on.VersionID, on.Pretty, on.CPE} {
		if m := openEulerForm.FindStringSubmatch(strings.ToUpper(text)); m != nil && len(m[0]) > len(best) {
			best = m[1]
			if m[2] != "" {
				best += "-" + m[2]
			}
		}
	}
	if best == "" {
		return ""
	}
	return ecosystemOpenEuler + ":" + best
}

// withEpoch puts the epoch, which package URLs keep apart, before the version.
func withEpoch(epoch, version string) string {
	if _, has := withoutEpoch(version); has || epoch == "" || epoch == "0" || version == "" {
		return version
	}
	return epoch + ":" + version
}

// sourceRPM reads "openssl-3.0.7-27.el9.src.rpm". A source package has the epoch of its binary ones.
func sourceRPM(file, epoch string) (nameVersion, bool) {
	base, isSource := strings.CutSuffix(file, ".src.rpm")
	if !isSource {
		if base, isSource = strings.CutSuffix(file, ".nosrc.rpm"); !isSource {
			return nameVersion{}, false
		}
	}
	release := strings.LastIndexByte(base, '-')
	if release <= 0 {
		return nameVersion{}, false
	}
	version := strings.LastIndexByte(base[:release], '-')
	if version <= 0 {
		return nameVersion{}, false
	}
	return nameVersion{base[:version], withEpoch(epoch, base[version+1:])}, true
}
