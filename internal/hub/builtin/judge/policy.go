package judge

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

// Version names the way this program judges. It changes when the same data and policy give another verdict, so that old
// verdicts are made again after an upgrade.
const Version = "3"

// RuleSeverities are how bad breaking a rule is, worst first.
var RuleSeverities = []string{"BLOCKER", "CRITICAL", "MAJOR", "MINOR", "TRIVIAL", "UNSPECIFIED"}

// defaultPolicy holds where no file is named.
const defaultPolicy = `
rules:
  - name: No critical or high vulnerabilities
    severity: CRITICAL
    vulnerability: HIGH
  - name: No unrated vulnerabilities that have a fix
    severity: MAJOR
    vulnerability: UNRATED
    only: true
    fixable: true
`

// Policy says which findings are violations and which coverage a green verdict needs. Make one by ParsePolicy.
type Policy struct {
	Rules []Rule `yaml:"rules"`
	// Overrides are exceptions that stand in the policy file.
	Overrides []Exception `yaml:"overrides"`
	// Strict withholds green while a finding needs a rating.
	Strict bool `yaml:"strict"`
	// OnlyFixed limits every rule to findings that have a fix.
	OnlyFixed bool `yaml:"onlyFixed"`
	// Coverage says what may be left unassessed.
	Coverage CoverageRule `yaml:"coverage"`

	overrides   *Register
	fingerprint string
}

// Rule is one rule: a component with a vulnerability that is bad enough breaks it.
type Rule struct {
	Name     string `yaml:"name"`
	Severity string `yaml:"severity"`
	// Vulnerability is the least severity that breaks the rule. Unrated ones break it only where it is UNRATED.
	Vulnerability model.Severity `yaml:"vulnerability"`
	// Only limits the rule to exactly that severity.
	Only bool `yaml:"only"`
	// Fixable limits the rule to findings that have a fix (true) or have none (false); left out, it holds for both.
	Fixable *bool `yaml:"fixable"`
	// Components and Ecosystems limit the rule, by patterns with * and ?; empty means all. A component is matched by its
	// package URL or its name, an ecosystem by the data's name for it (Debian:12, npm) or the package URL's type (deb).
	Components []string `yaml:"components"`
	Ecosystems []string `yaml:"ecosystems"`

	components, ecosystems patterns
}

// CoverageRule is what a green verdict needs. The zero value needs everything: each component assessed, at least one
// component, data that are complete and no older than model.DataValidFor.
type CoverageRule struct {
	// Permit lists what may be left unassessed.
	Permit []Permit `yaml:"permit"`
	// PermitEmpty lists patterns of repositories whose images may hold nothing that is recognized.
	PermitEmpty []string `yaml:"permitEmpty"`
	// ValidFor is how long after the data's as-of time a green verdict holds; 0 means model.DataValidFor.
	ValidFor Age `yaml:"validFor"`

	permitEmpty patterns
}

// Age is a length of time. In a file it is a number with a unit: 14d, 36h or 90m.
type Age time.Duration

// UnmarshalYAML reads an age.
func (a *Age) UnmarshalYAML(node *yaml.Node) error {
	text := node.Value
	if days, is := strings.CutSuffix(text, "d"); is {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("line %d: age %.40q: want a number of days such as 14d", node.Line, text)
		}
		*a = Age(time.Duration(n) * day)
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("line %d: age %.40q: want a number with a unit, such as 14d, 36h or 90m", node.Line, text)
	}
	*a = Age(d)
	return nil
}

const day = 24 * time.Hour

// Permit names components that may be left unassessed, by patterns with * and ?. Each list that is given must match, and at
// least one is given.
type Permit struct {
	Components   []string `yaml:"components"`
	Ecosystems   []string `yaml:"ecosystems"`
	Repositories []string `yaml:"repositories"`
	// Reason is why; it is for people who read the file.
	Reason string `yaml:"reason"`

	components, ecosystems, repositories patterns
}

// DefaultPolicy holds where no file is named: HIGH or worse is a violation, and so is an unrated vulnerability that has a
// fix.
func DefaultPolicy() *Policy {
	p, err := ParsePolicy([]byte(defaultPolicy))
	if err != nil {
		panic(err) // the text is above
	}
	return p
}

// ParsePolicy reads a policy file in YAML; a field that is not known is an error.
func ParsePolicy(raw []byte) (*Policy, error) {
	p := &Policy{}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(p); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	var more any
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("read rules: there is a second document after ---; only the first would hold")
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
		if err := rule.compile(); err != nil {
			return nil, fmt.Errorf("rule %q: %w", rule.Name, err)
		}
	}
	for i := range p.Overrides {
		p.Overrides[i].Origin = "policy"
		if err := p.Overrides[i].Compile(); err != nil {
			return nil, fmt.Errorf("override number %d (vulnerability %.80q): %w", i+1, p.Overrides[i].Vulnerability, err)
		}
	}
	var err error
	if p.overrides, err = NewRegister(p.Overrides); err != nil {
		return nil, err
	}
	if err := p.Coverage.compile(); err != nil {
		return nil, fmt.Errorf("coverage: %w", err)
	}
	sum := sha256.Sum256(raw)
	p.fingerprint = hex.EncodeToString(sum[:8])
	return p, nil
}

func (r *Rule) compile() error {
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

func (c *CoverageRule) compile() error {
	if c.ValidFor < 0 {
		return fmt.Errorf("validFor %s is less than nothing", time.Duration(c.ValidFor))
	}
	var err error
	if c.permitEmpty, err = compilePatterns(c.PermitEmpty...); err != nil {
		return fmt.Errorf("permitEmpty: %w", err)
	}
	for i := range c.Permit {
		if err := c.Permit[i].compile(); err != nil {
			return fmt.Errorf("permit number %d: %w", i+1, err)
		}
	}
	return nil
}

func (p *Permit) compile() error {
	if len(p.Components)+len(p.Ecosystems)+len(p.Repositories) == 0 {
		return errors.New("it names neither components, ecosystems nor repositories")
	}
	for _, each := range []struct {
		name  string
		texts []string
		to    *patterns
	}{{"components", p.Components, &p.components}, {"ecosystems", p.Ecosystems, &p.ecosystems}, {"repositories", p.Repositories, &p.repositories}} {
		compiled, err := compilePatterns(each.texts...)
		if err != nil {
			return fmt.Errorf("%s: %w", each.name, err)
		}
		*each.to = compiled
	}
	return nil
}

// Basis names policy and exceptions as they are at a time, and the way of judging. It changes when any of them changes, and
// when an exception or the support of a release ends.
func (p *Policy) Basis(exceptions *Register, now time.Time) string {
	return fmt.Sprintf("%s-%s-%s-%s-%d", Version, p.fingerprint, p.overrides.basis(now), exceptions.basis(now), osv.SupportEnded(now))
}

// NextChange is when the next exception or the next release's support ends, so that verdicts must be made again; zero when
// none will.
func (p *Policy) NextChange(exceptions *Register, now time.Time) time.Time {
	next := osv.NextSupportEnd(now)
	for _, end := range []time.Time{p.overrides.nextEnd(now), exceptions.nextEnd(now)} {
		if !end.IsZero() && (next.IsZero() || end.Before(next)) {
			next = end
		}
	}
	return next
}

// breaks reports whether a finding is bad enough for the rule, whatever was accepted.
func (r *Rule) breaks(f *osv.Finding) bool {
	if r.Fixable != nil && *r.Fixable != (f.Fixed != "") {
		return false
	}
	if r.Only {
		return f.Severity == r.Vulnerability
	}
	return f.Severity.AtLeast(r.Vulnerability)
}

// covers reports whether the rule is about this component at all.
func (r *Rule) covers(c *Judged) bool {
	return r.components.allows(c.PURL, c.Name) && r.ecosystems.allows(c.Ecosystem, osv.Base(c.Ecosystem), purlType(c.PURL))
}

// permits reports whether the component may be left unassessed.
func (c *CoverageRule) permits(one *Judged, repository string) bool {
	return slices.ContainsFunc(c.Permit, func(p Permit) bool {
		return p.components.allows(one.PURL, one.Name) && p.ecosystems.allows(one.Ecosystem, osv.Base(one.Ecosystem), purlType(one.PURL)) &&
			p.repositories.allows(repository)
	})
}

func (c *CoverageRule) validFor() time.Duration {
	if c.ValidFor == 0 {
		return model.DataValidFor
	}
	return time.Duration(c.ValidFor)
}
