package judge

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"
)

// patterns are texts with * for any characters and ? for one, compared without regard to case.
type patterns []*regexp.Regexp

func compilePatterns(texts ...string) (patterns, error) {
	var all patterns
	for _, text := range texts {
		if strings.TrimSpace(text) == "" {
			return nil, errors.New("an empty pattern matches nothing: leave it out")
		}
		if len(text) > maxPattern {
			return nil, fmt.Errorf("a pattern of %d bytes; %d is the most", len(text), maxPattern)
		}
		quoted := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(text))
		compiled, err := regexp.Compile("(?is)^" + quoted + "$")
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", text, err)
		}
		all = append(all, compiled)
	}
	return all, nil
}

// match reports whether one of the patterns matches one of the texts.
func (p patterns) match(texts ...string) bool {
	for _, pattern := range p {
		if slices.ContainsFunc(texts, func(text string) bool { return text != "" && pattern.MatchString(text) }) {
			return true
		}
	}
	return false
}

// allows is match, where no pattern at all allows everything.
func (p patterns) allows(texts ...string) bool { return len(p) == 0 || p.match(texts...) }

// purlForms are the ways in which a person may write a package URL: whole, without what follows the version, and without a
// version, each also with its escapes resolved.
func purlForms(purl string) []string {
	short, _, _ := strings.Cut(purl, "?")
	short, _, _ = strings.Cut(short, "#")
	forms := []string{purl, short, withoutVersion(short)}
	for _, form := range forms[:3] {
		if plain, err := url.PathUnescape(form); err == nil && plain != form {
			forms = append(forms, plain)
		}
	}
	return forms
}

func purlType(purl string) string {
	kind, _, _ := strings.Cut(strings.TrimPrefix(purl, "pkg:"), "/")
	return kind
}

func withoutVersion(purl string) string {
	path, rest, _ := strings.Cut(purl, "?")
	if at := strings.LastIndexByte(path, '@'); at > strings.LastIndexByte(path, '/') {
		path = path[:at]
	}
	if rest != "" {
		path += "?" + rest
	}
	return path
}

// packageURL is a package URL that components are compared with.
type packageURL struct{ packageurl.PackageURL }

func parsePackageURL(text string) (*packageURL, error) {
	p, err := packageurl.FromString(text)
	if err != nil {
		return nil, fmt.Errorf("package URL %.120q: %w", text, err)
	}
	return &packageURL{p}, nil
}

// match reports whether a component is meant: type, namespace and name are the same, and so is everything else that p says.
func (p *packageURL) match(purl string) bool {
	c, err := packageurl.FromString(purl)
	if err != nil || !strings.EqualFold(p.Type, c.Type) || p.Namespace != c.Namespace || p.Name != c.Name {
		return false
	}
	if p.Version != "" && p.Version != c.Version || p.Subpath != "" && p.Subpath != c.Subpath {
		return false
	}
	has := c.Qualifiers.Map()
	for _, q := range p.Qualifiers {
		if has[q.Key] != q.Value {
			return false
		}
	}
	return true
}
