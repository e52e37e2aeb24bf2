package kubernetes

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
)

// OptOut is the annotation by which a pod, or a namespace for all its pods, asks to be left alone: "true".
const OptOut = "perceptor/ignore"

// DefaultIgnored are images that hold nothing but a program that sleeps.
var DefaultIgnored = []string{"pause", "*/pause", "*/mirrored-pause"}

// Selection says which pods and images are of interest; the zero Selection is all of them.
type Selection struct {
	// Namespaces are patterns of namespaces to watch; none means every one. In patterns "*" is any run of characters and
	// "?" any one.
	Namespaces []string
	// ExcludedNamespaces are patterns of namespaces to leave out, whatever Namespaces says.
	ExcludedNamespaces []string
	// NamespaceSelector is a selector over the labels of namespaces, as kubectl takes it.
	NamespaceSelector string
	// IgnoredImages are patterns of images to leave out: of their repositories with the registry, or, with a colon in the
	// last part, with the tag too.
	IgnoredImages []string
}

// Filter is a Selection made ready.
type Filter struct {
	include, exclude patterns
	selector         labels.Selector
	repositories     patterns
	tagged           patterns
}

// NewFilter refuses what is no pattern or selector, all mistakes at once.
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
	selector, err := labels.Parse(s.NamespaceSelector)
	if err != nil {
		wrong = append(wrong, fmt.Errorf("namespace selector %q: %w", s.NamespaceSelector, err))
	}
	if s.NamespaceSelector != "" {
		f.selector = selector
	}
	return f, errors.Join(wrong...)
}

// allows reports whether a namespace of this name may be of interest.
func (f *Filter) allows(namespace string) bool {
	return (len(f.include) == 0 || f.include.match(namespace)) && !f.exclude.match(namespace)
}

// selects reports whether a namespace with these labels is of interest.
func (f *Filter) selects(namespace map[string]string) bool {
	return f.selector == nil || f.selector.Matches(labels.Set(namespace))
}

// ignores reports whether an image is to be left out, under its name as it stands or with Docker Hub's host.
func (f *Filter) ignores(reference string) bool {
	if len(f.repositories) == 0 && len(f.tagged) == 0 {
		return false
	}
	repository, tag, _ := splitReference(reference)
	for _, name := range []string{repository, withHost(repository)} {
		if f.repositories.match(name) || f.tagged.match(joinReference(name, tag)) {
			return true
		}
	}
	return false
}

// withHost is a repository's whole name: Docker Hub is meant where none is named.
func withHost(repository string) string {
	const hub, official = "docker.io/", "library/"
	name := repository
	if hasHost(repository) {
		rest, found := strings.CutPrefix(repository, hub)
		if !found {
			return repository
		}
		name = rest
	}
	if !strings.Contains(name, "/") {
		name = official + name
	}
	return hub + name
}

// optedOut reports whether annotations ask for being left alone.
func optedOut(annotations map[string]string) bool {
	asked, err := strconv.ParseBool(annotations[OptOut])
	return err == nil && asked
}

// patterns are globs, any of which may match.
type patterns []*regexp.Regexp

// longestPattern bounds what a configuration can ask of every pod.
const longestPattern = 512

func compileAll(globs []string) (patterns, error) {
	var compiled patterns
	for _, glob := range globs {
		if glob == "" || len(glob) > longestPattern {
			return nil, fmt.Errorf("pattern %.40q has %d characters; want 1 to %d", glob, len(glob), longestPattern)
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
