package judge

import (
	"time"

	"github.com/perceptor/perceptor/model"
)

// RuleSeverities are how bad breaking a rule is, worst first.
var RuleSeverities = []string{"BLOCKER", "CRITICAL", "MAJOR", "MINOR", "TRIVIAL", "UNSPECIFIED"}

// Policy says which findings are violations and which coverage a green verdict needs.
type Policy struct {
	Rules []Rule `yaml:"rules"`
	// Overrides are exceptions that stand in the policy file.
	Overrides Exceptions `yaml:"overrides"`
	// Strict withholds green while a finding needs a rating.
	Strict bool `yaml:"strict"`
	// Coverage says what may be left unassessed.
	Coverage CoverageRule `yaml:"coverage"`

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
	// Components and Ecosystems limit the rule by patterns with * and ?; empty means all.
	Components []string `yaml:"components"`
	Ecosystems []string `yaml:"ecosystems"`
}

// CoverageRule is what a green verdict needs. The zero value needs everything: each component assessed, at least one
// component, data that are complete and no older than model.DataValidFor.
type CoverageRule struct {
	// Permit lists what may be left unassessed.
	Permit []Permit `yaml:"permit"`
	// PermitEmpty lists patterns of repositories whose images may hold nothing that is recognized.
	PermitEmpty []string `yaml:"permitEmpty"`
	// ValidFor is how long after the data's as-of time a green verdict holds; 0 means model.DataValidFor.
	ValidFor time.Duration `yaml:"validFor"`
}

// Permit names components that may be left unassessed. Each list that is given must match; at least one is given.
type Permit struct {
	Components   []string `yaml:"components"`
	Ecosystems   []string `yaml:"ecosystems"`
	Repositories []string `yaml:"repositories"`
	Reason       string   `yaml:"reason"`
}

// DefaultPolicy holds where no file is named: HIGH or worse is a violation, and so is an unrated vulnerability that has a
// fix.
func DefaultPolicy() *Policy { panic("not written yet") }

// ParsePolicy reads a policy file in YAML; fields that are not known are an error.
func ParsePolicy(raw []byte) (*Policy, error) { panic("not written yet") }

// Basis names policy and exceptions as they are at a time. It changes when either changes, and when an exception ends.
func (p *Policy) Basis(exceptions Exceptions, now time.Time) string { panic("not written yet") }

// NextChange is when the next exception or release support ends, so that a verdict must be made again; zero when none will.
func (p *Policy) NextChange(exceptions Exceptions, now time.Time) time.Time {
	panic("not written yet")
}
