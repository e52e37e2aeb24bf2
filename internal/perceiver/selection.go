package perceiver

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Selection says which namespaces and images are of interest; the zero Selection is all of them.
type Selection struct {
	// Namespaces are patterns of namespaces to watch; none means every one. In patterns "*" is any run of characters and
	// "?" any one.
	Namespaces []string
	// ExcludedNamespaces are patterns of namespaces to leave out, whatever Namespaces says.
	ExcludedNamespaces []string
	// IgnoredImages are patterns of images to leave out: of their repositories with the registry, or, with a colon in the
	// last part, with the tag too.
	IgnoredImages []string
}

// Filter is a Selection made ready.
type Filter struct {
	include, exclude patterns
	repositories     patterns
	tagged           patterns
}

// NewFilter refuses what is no pattern, all mistakes at once.
func NewFilter(s Selection) (*Filter, error) {
	var wrong []error
	compile := func(what string, globs []string) patterns {
		compiled, err := compileAll(globs)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", what, err))
		}
		return compiled
	}
	var repositories, tagged []string
	for _, glob := range s.IgnoredImages {
		if strings.LastIndexByte(glob, ':') > strings.LastIndexByte(glob, '/') {
			tagged = append(tagged, glob)
		} else {
			repositories = append(repositories, glob)
		}
	}
	f := &Filter{
		include: compile("namespaces", s.Namespaces), exclude: compile("excluded namespaces", s.ExcludedNamespaces),
		repositories: compile("ignored images", repositories), tagged: compile("ignored images", tagged),
	}
	return f, errors.Join(wrong...)
}

// Allows reports whether a namespace of this name may be of interest.
func (f *Filter) Allows(namespace string) bool {
	return (len(f.include) == 0 || f.include.match(namespace)) && !f.exclude.match(namespace)
}

// Ignores reports whether an image is to be left out, under its name as it stands or with Docker Hub's host.
func (f *Filter) Ignores(reference string) bool {
	if len(f.repositories) == 0 && len(f.tagged) == 0 {
		return false
	}
	repository, tag, _ := SplitReference(reference)
	for _, name := range []string{repository, WithHost(repository)} {
		if f.repositories.match(name) || f.tagged.match(JoinReference(name, tag)) {
			return true
		}
	}
	return false
}

// patterns are globs, any of which may match.
type patterns []*regexp.Regexp

// LongestPattern bounds what a configuration can ask of every pod.
const LongestPattern = 512

func compileAll(globs []string) (patterns, error) {
	var compiled patterns
	for _, glob := range globs {
		if glob == "" || len(glob) > LongestPattern {
			return nil, fmt.Errorf("pattern %.40q has %d characters; want 1 to %d", glob, len(glob), LongestPattern)
		}
		quoted := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(glob))
		expression, err := regexp.Compile(`\A(?s:` + quoted + `)\z`)
		if err != nil {
			return nil, fmt.Errorf("pattern %.40q: %w", glob, err)
		}
		compiled = append(compiled, expression)
	}
	return compiled, nil
}

func (p patterns) match(s string) bool {
	for _, each := range p {
		if each.MatchString(s) {
			return true
		}
	}
	return false
}
