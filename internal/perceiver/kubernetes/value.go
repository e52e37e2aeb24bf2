package kubernetes

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/perceptor/perceptor/internal/perceiver"
)

// labelValue makes a text valid as the value of a label: characters that may not stand there become dashes, what is too
// long is cut, and it begins and ends with a letter or digit.
func labelValue(text string) string {
	mapped := strings.Map(func(r rune) rune {
		if alphanumeric(r) || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, text)
	illegalEnd := func(r rune) bool { return !alphanumeric(r) }
	mapped = strings.TrimLeftFunc(mapped, illegalEnd)
	if len(mapped) > validation.LabelValueMaxLength {
		mapped = mapped[:validation.LabelValueMaxLength]
	}
	return strings.TrimRightFunc(mapped, illegalEnd)
}

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// shortName is a repository without its registry and with dots for slashes, as a label shows it.
func shortName(repository string) string {
	if perceiver.HasHost(repository) {
		_, repository, _ = strings.Cut(repository, "/")
	}
	return labelValue(strings.ReplaceAll(repository, "/", "."))
}

// The longest name and link that are written. Real ones are far shorter; together they keep within what an object may hold.
const (
	longestName = 255
	longestLink = 1024
)

// dottedName is a repository with dots for slashes, as an annotation shows it.
func dottedName(repository string) string {
	return clip(strings.ReplaceAll(repository, "/", "."), longestName)
}

// link is a URL, or nothing where it is too long: half of it leads nowhere.
func link(url string) string {
	if len(url) > longestLink {
		return ""
	}
	return url
}

// repositoryOf is the repository a reference names, or the reference itself where it names none.
func repositoryOf(reference string) string {
	if repository, _, _ := perceiver.SplitReference(reference); repository != "" {
		return repository
	}
	return reference
}

// clip cuts a text to so many bytes at the most.
func clip(text string, longest int) string { return perceiver.Clip(text, longest) }
