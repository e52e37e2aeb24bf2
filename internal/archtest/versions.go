package archtest

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// goLine is the line of a go.mod that names its version of Go.
var goLine = regexp.MustCompile(`(?m)^go (\S+)$`)

// oldOnPurpose are the modules that are the content of scanned images.
const oldOnPurpose = "cmd/perceptor-dev/samples/"

// CheckGoVersions wants one version of Go in all modules, so that all programs have one standard library.
func CheckGoVersions(files map[string]string) []string {
	var wrong []string
	by := map[string][]string{}
	for name, text := range files {
		if path.Base(name) != "go.mod" || strings.HasPrefix(name, oldOnPurpose) {
			continue
		}
		found := goLine.FindStringSubmatch(text)
		if found == nil {
			wrong = append(wrong, name+": names no version of Go")
			continue
		}
		by[found[1]] = append(by[found[1]], name)
	}
	if len(by) > 1 {
		for version, names := range by {
			slices.Sort(names)
			wrong = append(wrong, fmt.Sprintf("%s: Go %s, and other modules have another version", strings.Join(names, ", "), version))
		}
	}
	slices.Sort(wrong)
	return wrong
}
