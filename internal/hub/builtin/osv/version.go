package osv

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// maxVersionLength bounds what is compared: the longest versions published are Go pseudo-versions of some 60 bytes and
// Debian snapshots of some 80.
const maxVersionLength = 256

// parseVersion reads a version in the order of its ecosystem. It refuses what is no version there: the order of something
// like "(devel)" would be arbitrary.
func parseVersion(name, text string) (semantic.Version, error) {
	if len(text) > maxVersionLength {
		return nil, invalid("version", fmt.Sprintf("%.40q and so on is longer than %d bytes", text, maxVersionLength))
	}
	base := Base(name)
	if base == ecosystemGo {
		text = goVersion(text)
	}
	if !looksLikeVersion(ecosystems[base].scheme, text) {
		return nil, invalid("version", fmt.Sprintf("%q is not a version of %s", text, base))
	}
	version, err := semantic.Parse(orderedForm(base, text), base)
	if err == nil {
		switch version.(type) {
		case semantic.DebianVersion, semantic.MavenVersion:
			// These orders find out only while comparing that something is no version.
			_, err = version.Compare(version)
		}
	}
	if err != nil {
		return nil, invalid("version", fmt.Sprintf("%q is not a version of %s (%v)", text, base, err))
	}
	return version, nil
}

// orderedForm is a version in the spelling in which the library orders it as the ecosystem's own tools do.
func orderedForm(base, text string) string {
	switch base {
	case ecosystemRubyGems:
		return gemVersion(text)
	case ecosystemMaven:
		return mavenVersion(text)
	}
	return text
}

var (
	// mavenQualifier is a dot before a word. Maven takes it for a hyphen since 3.8.7, and the library does not.
	mavenQualifier = regexp.MustCompile(`\.([^0-9.-])`)
	// mavenForm are numbers, then words and numbers with one separator at most between two of them.
	mavenForm = regexp.MustCompile(`^([^0-9.-]+[.-]?)?(\d+(\.\d+)*)?([.-]?[^0-9.-]+([.-]?\d+(\.\d+)*)?)*(-\d+(\.\d+)*)*$`)
	// mavenOdd finds the words after which Maven's order and its own description differ: one behind a dot that is followed by
	// anything but its number, one that means nothing and is followed by more, and a zero behind a word.
	mavenOdd = regexp.MustCompile(`(?i)\.[^0-9.-]+(\d+[^0-9]|[.-])|(^|[0-9.-])(final|ga|release)[0-9.-]|redhat|[^0-9.]0+[^0-9]|^[^0-9]+0+([^0-9]|$)`)
	// mavenRebuilt is what a vendor makes of a version of someone else: "1.2.3.Final-redhat-00001".
	mavenRebuilt = regexp.MustCompile(`(?i)^\d+(\.\d+)*(\.(final|ga|release))?[.-]redhat-\d+$`)
)

func mavenVersion(text string) string { return mavenQualifier.ReplaceAllString(text, "-$1") }

// looksLikeMaven reports whether the order of a version is beyond doubt. Maven orders everything, and what it does with odd
// forms is neither described nor the same in each of its releases.
func looksLikeMaven(text string) bool {
	return mavenRebuilt.MatchString(text) || strings.ContainsAny(text, "0123456789") && mavenForm.MatchString(text) && !mavenOdd.MatchString(text)
}

var (
	gemPart = regexp.MustCompile(`[0-9]+|[A-Za-z]+`)
	// gemPlatform is what a lock file writes behind the version of a gem that was built for one platform.
	gemPlatform = regexp.MustCompile(`-(x86|x64|i[3-6]86|amd64|aarch64|arm|ppc|powerpc|s390x|riscv|universal|java|jruby|mswin|mingw)[-_0-9A-Za-z.]*$`)
)

// gemVersion is the version as RubyGems takes it apart: numbers without leading zeros and words. A hyphen stands for ".pre.".
func gemVersion(text string) string {
	text = gemPlatform.ReplaceAllString(text, "")
	parts := gemPart.FindAllString(strings.ReplaceAll(text, "-", ".pre."), -1)
	for i, part := range parts {
		if short := strings.TrimLeft(part, "0"); short != "" {
			parts[i] = short
		} else {
			parts[i] = "0"
		}
	}
	return strings.Join(parts, ".")
}

// apkForm is the grammar of apk-tools, as doc/apk-package.5.scd there has it; the hash was added later.
var apkForm = regexp.MustCompile(`^\d+(\.\d+)*[a-z]?(_(alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*(~[0-9a-f]+)?(-r\d+)?$`)

// negativeIdentifier finds "-1" among the parts of a prerelease, which is a word, and which the library takes for a number.
var negativeIdentifier = regexp.MustCompile(`-([^+]*\.)?-\d+(\.|\+|$)`)

// looksLikeVersion asks for the digit that versions begin with. Python's legacy versions, Maven's and those of RPMs may
// begin with anything, and have an order all the same; what has no digit at all is a word.
func looksLikeVersion(s scheme, text string) bool {
	if strings.ContainsAny(text, "${}") {
		return false // a variable of a build that was not filled in
	}
	switch s {
	case schemeRPM:
		// Neither a version nor a release has a hyphen.
		return strings.ContainsAny(text, "0123456789") && strings.Count(text, "-") <= 1
	case schemeMaven:
		return looksLikeMaven(text)
	case schemePyPI:
		return strings.ContainsAny(text, "0123456789")
	case schemeApk:
		return apkForm.MatchString(text)
	case schemeDeb:
		if strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return false
		}
	case schemeSemver:
		if negativeIdentifier.MatchString(text) {
			return false
		}
		text = strings.TrimPrefix(strings.TrimPrefix(text, "v"), "V")
	default:
		text = strings.TrimPrefix(strings.TrimPrefix(text, "v"), "V")
	}
	return text != "" && text[0] >= '0' && text[0] <= '9'
}

// goVersion turns the go command's own versions into the semantic ones of the records: go1.22rc1 is 1.22.0-rc.1. The
// experiments that a toolchain was built with ("1.26.8-X:boringcrypto") are no part of its version.
func goVersion(text string) string {
	text, _, _ = strings.Cut(text, " ")
	text, _, _ = strings.Cut(text, "-X:")
	release, found := strings.CutPrefix(text, "go")
	if !found {
		return text
	}
	for _, stage := range []string{"rc", "beta"} {
		number, pre, isPre := strings.Cut(release, stage)
		if !isPre || pre == "" || strings.HasSuffix(number, "-") {
			continue
		}
		for strings.Count(number, ".") < 2 {
			number += ".0"
		}
		return number + "-" + stage + "." + pre
	}
	return release
}

// plainVersion is the form in which listed and installed versions are compared as text.
func plainVersion(name, text string) string {
	switch Base(name) {
	case ecosystemGo:
		text, _, _ = strings.Cut(strings.TrimPrefix(goVersion(text), "v"), "+")
	case ecosystemNPM:
		text = strings.TrimPrefix(text, "v")
	}
	return text
}

// compareVersions orders two versions of one ecosystem. Both were parsed by parseVersion, so the only error the library
// has left, two different ecosystems, cannot happen; equal is the harmless answer should it.
func compareVersions(a, b semantic.Version) int {
	order, err := a.Compare(b)
	if err != nil {
		return 0
	}
	return order
}

// withoutEpoch cuts "1:" off, and reports whether there was one.
func withoutEpoch(text string) (string, bool) {
	epoch, rest, found := strings.Cut(text, ":")
	if !found || epoch == "" || strings.Trim(epoch, "0123456789") != "" {
		return text, false
	}
	return rest, true
}
