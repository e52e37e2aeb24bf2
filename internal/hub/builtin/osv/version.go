package osv

import (
	"fmt"
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// The ecosystems that are judged, in OSV's words. Debian's carry their release: "Debian:12".
const (
	ecosystemDebian = "Debian"
	ecosystemGo     = "Go"
	ecosystemNPM    = "npm"
	ecosystemPyPI   = "PyPI"
)

// maxVersionLength bounds what is compared: the longest versions published are Go pseudo-versions of some 60 bytes and
// Debian snapshots of some 80.
const maxVersionLength = 256

// Ecosystems are the ecosystems that are judged, as OSV names the folders of their archives.
func Ecosystems() []string {
	return []string{ecosystemDebian, ecosystemGo, ecosystemNPM, ecosystemPyPI}
}

// judged reports whether records of this ecosystem can match. Debian's do so only with a release.
func judged(ecosystem string) bool {
	switch ecosystem {
	case ecosystemGo, ecosystemNPM, ecosystemPyPI:
		return true
	}
	release, found := strings.CutPrefix(ecosystem, ecosystemDebian+":")
	return found && release != ""
}

// parseVersion reads a version in the order of its ecosystem. It refuses what is no version there: the order of something
// like "(devel)" would be arbitrary.
func parseVersion(ecosystem, text string) (semantic.Version, error) {
	if len(text) > maxVersionLength {
		return nil, invalid("version", fmt.Sprintf("%.40q and so on is longer than %d bytes", text, maxVersionLength))
	}
	name, _, _ := strings.Cut(ecosystem, ":")
	if name == ecosystemGo {
		text = goVersion(text)
	}
	if !looksLikeVersion(name, text) {
		return nil, invalid("version", fmt.Sprintf("%q is not a version of %s", text, name))
	}
	version, err := semantic.Parse(text, name)
	if err != nil {
		return nil, invalid("version", fmt.Sprintf("%q is not a version of %s (%v)", text, name, err))
	}
	return version, nil
}

// looksLikeVersion asks for the digit that every version of these ecosystems begins with. Python's legacy versions, which
// may begin with anything, have an order of their own.
func looksLikeVersion(name, text string) bool {
	switch name {
	case ecosystemGo, ecosystemNPM:
		text = strings.TrimPrefix(text, "v")
	case ecosystemPyPI:
		return strings.ContainsAny(text, "0123456789")
	}
	return text != "" && text[0] >= '0' && text[0] <= '9'
}

// goVersion turns the go command's own versions into the semantic ones of the records: go1.22rc1 is 1.22.0-rc.1.
func goVersion(text string) string {
	release, found := strings.CutPrefix(text, "go")
	if !found {
		return text
	}
	// What follows a space is the list of experiments the toolchain was built with.
	release, _, _ = strings.Cut(release, " ")
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

// compareVersions orders two versions of one ecosystem. Both were parsed by parseVersion, so the only error the library
// has left, two different ecosystems, cannot happen; equal is the harmless answer should it.
func compareVersions(a, b semantic.Version) int {
	order, err := a.Compare(b)
	if err != nil {
		return 0
	}
	return order
}
