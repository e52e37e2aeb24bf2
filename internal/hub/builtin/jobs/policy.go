package jobs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/perceptor/perceptor/model"
)

// RuleSeverities are how bad breaking a rule is, worst first.
var RuleSeverities = []string{"BLOCKER", "CRITICAL", "MAJOR", "MINOR", "TRIVIAL", "UNSPECIFIED"}

// defaultPolicy holds where no file is named.
const defaultPolicy = `
rules:
  - name: No critical or high vulnerabilities
    severity: CRITICAL
    vulnerability: HIGH
`

// PolicyRule is one rule: a component with a vulnerability that is bad enough breaks it.
type PolicyRule struct {
	Name     string `yaml:"name"`
	Severity string `yaml:"severity"`
	// Vulnerability is the least severity that breaks the rule.
	Vulnerability model.Severity `yaml:"vulnerability"`
	// Components and Ecosystems limit the rule, by patterns with * and ?; empty means all. A component is matched by its
	// package URL or its name, an ecosystem by the data's name for it (Debian:12, npm) or the package URL's type (deb).
	Components []string `yaml:"components"`
	Ecosystems []string `yaml:"ecosystems"`

	components, ecosystems patterns
}

// policyOverride takes a vulnerability of some components out of every rule, because a person decided so.
type policyOverride struct {
	Component     string `yaml:"component"`
	Vulnerability string `yaml:"vulnerability"`
	Reason        string `yaml:"reason"`
	// Until is the first day or moment the override no longer holds; left out, it holds for ever.
	Until time.Time `yaml:"until"`

	component patterns
}

// Policy is the rules and the overrides.
type Policy struct {
	Rules     []PolicyRule     `yaml:"rules"`
	Overrides []policyOverride `yaml:"overrides"`

	fingerprint string
}

// LoadPolicy reads the rules of a file, or the default ones.
func LoadPolicy(file string) (*Policy, error) {
	if file == "" {
		return ParsePolicy([]byte(defaultPolicy))
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read policy file: %w", err)
	}
	p, err := ParsePolicy(raw)
	if err != nil {
		return nil, fmt.Errorf("policy file %s: %w", file, err)
	}
	return p, nil
}

// ParsePolicy reads rules in YAML.
func ParsePolicy(raw []byte) (*Policy, error) {
	p := &Policy{}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(p); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	names := map[string]bool{}
	for i := range p.Rules {
		rule := &p.Rules[i]
		if rule.Name == "" {
			return nil, fmt.Errorf("rule number %d has no name", i+1)
		}
		if names[rule.Name] {
			return nil, fmt.Errorf("rule %q stands twice", rule.Name)
		}
		names[rule.Name] = true
		if err := rule.check(); err != nil {
			return nil, fmt.Errorf("rule %q: %w", rule.Name, err)
		}
	}
	for i := range p.Overrides {
		if err := p.Overrides[i].check(); err != nil {
			return nil, fmt.Errorf("override number %d (vulnerability %q): %w", i+1, p.Overrides[i].Vulnerability, err)
		}
	}
	sum := sha256.Sum256(raw)
	p.fingerprint = hex.EncodeToString(sum[:8])
	return p, nil
}

func (r *PolicyRule) check() error {
	r.Severity = strings.ToUpper(r.Severity)
	if !slices.Contains(RuleSeverities, r.Severity) {
		return fmt.Errorf("severity %q is none of %s", r.Severity, strings.Join(RuleSeverities, ", "))
	}
	r.Vulnerability = model.Severity(strings.ToUpper(string(r.Vulnerability)))
	if !slices.Contains(model.Severities, r.Vulnerability) {
		return fmt.Errorf("vulnerability %q is none of %v", r.Vulnerability, model.Severities)
	}
	var err error
	if r.components, err = compilePatterns(r.Components...); err != nil {
		return fmt.Errorf("components: %w", err)
	}
	if r.ecosystems, err = compilePatterns(r.Ecosystems...); err != nil {
		return fmt.Errorf("ecosystems: %w", err)
	}
	return nil
}

func (o *policyOverride) check() error {
	for name, value := range map[string]string{"component": o.Component, "vulnerability": o.Vulnerability, "reason": o.Reason} {
		if strings.TrimSpace(value) == "" {
			return fmt.Errorf("%s is missing", name)
		}
	}
	var err error
	o.component, err = compilePatterns(o.Component)
	return err
}

// active tells whether the override holds at a time.
func (o *policyOverride) active(now time.Time) bool { return o.Until.IsZero() || now.Before(o.Until) }

// basis names the rules as they are at a time: it changes with the file and when an override ends.
func (p *Policy) basis(now time.Time) string {
	active := 0
	for i := range p.Overrides {
		if p.Overrides[i].active(now) {
			active++
		}
	}
	return fmt.Sprintf("%s-%d", p.fingerprint, active)
}

// nextEnd is when the next override ends; zero when none will.
func (p *Policy) nextEnd(now time.Time) time.Time {
	var next time.Time
	for i := range p.Overrides {
		if until := p.Overrides[i].Until; until.After(now) && (next.IsZero() || until.Before(next)) {
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

// match tells whether one of the patterns matches one of the texts.
func (p patterns) match(texts ...string) bool {
	for _, pattern := range p {
		if slices.ContainsFunc(texts, pattern.MatchString) {
			return true
		}
	}
	return false
}
