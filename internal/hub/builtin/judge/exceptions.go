package judge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
)

// Exception takes a vulnerability of some components out of every rule, because a person decided so. The finding stays
// visible.
type Exception struct {
	// Vulnerability is its id or another name of it.
	Vulnerability string `yaml:"vulnerability" json:"vulnerability"`
	// Component is a pattern with * and ? of a package URL or a name.
	Component string `yaml:"component" json:"component"`
	// Repository is a pattern; empty means all.
	Repository string `yaml:"repository" json:"repository,omitempty"`
	Reason     string `yaml:"reason" json:"reason"`
	Author     string `yaml:"author" json:"author,omitempty"`
	// Until is the first moment at which it no longer holds; left out, it holds for ever.
	Until time.Time `yaml:"until" json:"until,omitzero"`
	// Origin is where it was loaded from.
	Origin string `yaml:"-" json:"origin,omitempty"`

	component, repository patterns
}

// Exceptions are all that hold for a hub. Those that were read from storage are compiled by Compile.
type Exceptions []Exception

// ParseExceptions reads exceptions in the simple YAML form: a list under "exceptions", with the fields of Exception. Origin
// names the document.
func ParseExceptions(raw []byte, origin string) (Exceptions, error) {
	var document struct {
		Exceptions Exceptions `yaml:"exceptions"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(&document); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read exceptions: %w", err)
	}
	for i := range document.Exceptions {
		document.Exceptions[i].Origin = origin
	}
	return document.Exceptions, document.Exceptions.Compile()
}

// Compile checks exceptions and prepares their patterns. Judge needs it.
func (e Exceptions) Compile() error {
	for i := range e {
		if err := e[i].compile(); err != nil {
			return fmt.Errorf("exception number %d (vulnerability %.80q): %w", i+1, e[i].Vulnerability, err)
		}
	}
	return nil
}

func (e *Exception) compile() error {
	for _, each := range []struct{ name, value string }{{"component", e.Component}, {"vulnerability", e.Vulnerability}, {"reason", e.Reason}} {
		if strings.TrimSpace(each.value) == "" {
			return fmt.Errorf("%s is missing", each.name)
		}
	}
	var err error
	if e.component, err = compilePatterns(e.Component); err != nil {
		return fmt.Errorf("component: %w", err)
	}
	if e.Repository != "" {
		e.repository, err = compilePatterns(e.Repository)
	}
	return err
}

// active reports whether the exception holds at a time.
func (e *Exception) active(now time.Time) bool { return e.Until.IsZero() || now.Before(e.Until) }

// accepts finds the exception for a finding; nil when no one accepted it.
func (e Exceptions) accepts(c *Judged, f *osv.Finding, repository string, now time.Time) *Acceptance {
	for i := range e {
		each := &e[i]
		named := func(id string) bool { return strings.EqualFold(id, each.Vulnerability) }
		if !each.active(now) || !named(f.ID) && !slices.ContainsFunc(f.Aliases, named) {
			continue
		}
		if each.component.match(c.PURL, c.Name) && (len(each.repository) == 0 || each.repository.match(repository)) {
			return &Acceptance{Reason: each.Reason, Author: each.Author, Until: each.Until, Origin: each.Origin}
		}
	}
	return nil
}

// nextEnd is when the next one ends; zero when none will.
func (e Exceptions) nextEnd(now time.Time) time.Time {
	var next time.Time
	for i := range e {
		if until := e[i].Until; until.After(now) && (next.IsZero() || until.Before(next)) {
			next = until
		}
	}
	return next
}

// patterns are texts with * for any characters and ? for one, compared without regard to case.
type patterns []*regexp.Regexp

func compilePatterns(texts ...string) (patterns, error) {
	var all patterns
	for _, text := range texts {
		if text == "" {
			return nil, errors.New("an empty pattern matches nothing: leave it out")
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
