package osv

import (
	"fmt"
	"strings"

	"github.com/google/osv-scalibr/semantic"
	"github.com/package-url/packageurl-go"

	"github.com/perceptor/perceptor/model"
)

// Key is what records are filed under: an ecosystem in OSV's words, Debian's with its release, and a package name in the
// one spelling used for comparing.
type Key struct {
	Ecosystem string `json:"s"`
	Package   string `json:"p"`
}

// String is "ecosystem/package".
func (k Key) String() string { return k.Ecosystem + "/" + k.Package }

// maxPURLLength bounds what is parsed.
const maxPURLLength = 4096

// installed is a package of an image: where to look for it, and its version as text and in its order.
type installed struct {
	Key
	text  string
	order semantic.Version
}

// KeyOf says where records about an installed package are filed. Known is false when it cannot be assessed: another
// ecosystem, no usable version, a Debian package of no known release. The error, of class invalid, is for text that is no
// package URL at all.
func KeyOf(purl string) (key Key, known bool, err error) {
	p, known, err := installedOf(purl)
	return p.Key, known, err
}

func installedOf(purl string) (installed, bool, error) {
	if len(purl) > maxPURLLength {
		return installed{}, false, &Error{
			Class: model.Invalid, Where: fmt.Sprintf("package URL %.60q and so on", purl),
			Problem: fmt.Sprintf("longer than %d bytes", maxPURLLength),
		}
	}
	parsed, err := packageurl.FromString(purl)
	if err != nil {
		return installed{}, false, &Error{Class: model.Invalid, Where: fmt.Sprintf("package URL %q", purl), Problem: "not readable", Err: err}
	}
	key, version := locate(parsed)
	if key.Ecosystem == "" || version == "" {
		return installed{}, false, nil
	}
	order, err := parseVersion(key.Ecosystem, version)
	if err != nil {
		// Not an error of the caller: scanners write words where they found no version.
		return installed{}, false, nil //nolint:nilerr // an unreadable version means "not assessed"
	}
	return installed{Key: key, text: plainVersion(key.Ecosystem, version), order: order}, true, nil
}

// locate finds ecosystem, package and version; an empty ecosystem means that it is not assessed.
func locate(p packageurl.PackageURL) (Key, string) {
	switch p.Type {
	case packageurl.TypeDebian:
		return locateDebian(p)
	case packageurl.TypeGolang:
		return newKey(ecosystemGo, joined(p)), p.Version
	case packageurl.TypeNPM:
		return newKey(ecosystemNPM, joined(p)), p.Version
	case packageurl.TypePyPi:
		return newKey(ecosystemPyPI, p.Name), p.Version
	}
	return Key{}, ""
}

func joined(p packageurl.PackageURL) string {
	if p.Namespace == "" {
		return p.Name
	}
	return p.Namespace + "/" + p.Name
}

// newKey brings a package name into the spelling used for comparing. Go's proxies tell case apart and package URLs do not;
// two modules that differ in nothing else are not known to exist. PyPI folds by PEP 503.
func newKey(ecosystem, name string) Key {
	switch {
	case ecosystem == ecosystemGo || strings.HasPrefix(ecosystem, ecosystemDebian+":"):
		name = strings.ToLower(name)
	case ecosystem == ecosystemPyPI:
		name = foldPyPI(name)
	}
	return Key{Ecosystem: ecosystem, Package: name}
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

// locateDebian finds the source package: Debian's records are about sources, images hold binaries.
func locateDebian(p packageurl.PackageURL) (Key, string) {
	if p.Namespace != "debian" {
		return Key{}, ""
	}
	name, version := p.Name, p.Version
	release := ""
	for _, q := range p.Qualifiers {
		switch q.Key {
		case "upstream":
			source, sourceVersion, found := strings.Cut(q.Value, "@")
			if source != "" {
				name = source
			}
			if found && sourceVersion != "" {
				version = sourceVersion
			}
		case "distro":
			release = debianRelease(q.Value)
		}
	}
	if release == "" {
		return Key{}, ""
	}
	return newKey(ecosystemDebian+":"+release, name), version
}

// debianCodeNames are the releases OSV has records of, from https://www.debian.org/releases/.
var debianCodeNames = map[string]string{
	"wheezy": "7", "jessie": "8", "stretch": "9", "buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14",
}

// debianRelease reads "debian-12", "debian-12.11", "12", "bookworm" or "debian-bookworm" as "12"; empty when it is none of them.
func debianRelease(distro string) string {
	name := strings.TrimPrefix(strings.ToLower(distro), "debian-")
	if number, known := debianCodeNames[name]; known {
		return number
	}
	major, _, _ := strings.Cut(name, ".")
	if major == "" || len(major) > 3 || strings.Trim(major, "0123456789") != "" {
		return ""
	}
	return major
}
