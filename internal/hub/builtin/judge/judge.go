package judge

import (
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

// Input is everything a verdict rests on.
type Input struct {
	Contents Contents
	// Repository is where the image is from (the hub's project name); policies and exceptions may be limited to some.
	Repository string
	Assessor   Assessor
	Policy     *Policy
	Exceptions Exceptions
	Now        time.Time
}

// Result is a verdict with its details. Its JSON is for storing.
type Result struct {
	Status model.OverallStatus `json:"status"`
	// Components are in the order of Contents.Components.
	Components []Judged       `json:"components,omitempty"`
	Unread     []UnreadFile   `json:"unread,omitempty"`
	Coverage   model.Coverage `json:"coverage"`
	// Findings counts pairs of a component and a vulnerability of it, by severity; accepted ones too.
	Findings model.Counts `json:"findings"`
	// Vulnerable counts components by their worst vulnerability.
	Vulnerable model.Counts `json:"vulnerable"`
	// Violating is the number of components that are IN_VIOLATION, Accepted of those that are IN_VIOLATION_OVERRIDDEN.
	Violating int `json:"violating"`
	Accepted  int `json:"accepted"`
}

// Judged is one component with what is known of it.
type Judged struct {
	Component
	// Assessed and the other fields of Assessment: Reason may differ from the assessor's, since a release ends.
	Assessed  bool                    `json:"assessed"`
	Reason    model.NotAssessedReason `json:"reason,omitempty"`
	Detail    string                  `json:"detail,omitempty"`
	Permitted bool                    `json:"permitted,omitempty"` // the policy allows that it is not assessed
	Ecosystem string                  `json:"ecosystem,omitempty"`
	Findings  []Finding               `json:"findings,omitempty"`
	// Status is IN_VIOLATION, IN_VIOLATION_OVERRIDDEN, UNKNOWN (not assessed, and nothing found) or NOT_IN_VIOLATION.
	Status     model.OverallStatus `json:"status"`
	Violations []Violation         `json:"violations,omitempty"`
}

// Worst is the component's worst severity; empty without findings.
func (j Judged) Worst() model.Severity {
	var worst model.Severity
	for _, f := range j.Findings {
		if worst == "" || f.Severity.AtLeast(worst) {
			worst = f.Severity
		}
	}
	return worst
}

// Finding is one vulnerability of a component.
type Finding struct {
	osv.Finding
	// NeedsRating says that it has neither a severity nor a fix.
	NeedsRating bool `json:"needsRating,omitempty"`
	// Rules are the names of the rules it breaks, also where it is accepted.
	Rules []string `json:"rules,omitempty"`
	// Accepted says who accepted it and why; nil when no one did.
	Accepted *Acceptance `json:"accepted,omitempty"`
}

// Violation is a rule that a component breaks.
type Violation struct {
	Rule string `json:"rule"`
	// Severity is the rule's: one of RuleSeverities.
	Severity string `json:"severity"`
}

// Acceptance is why a finding breaks no rule.
type Acceptance struct {
	Reason string    `json:"reason"`
	Author string    `json:"author,omitempty"`
	Until  time.Time `json:"until,omitzero"`
	// Origin is where the decision stands: the policy file, or the document it was loaded from.
	Origin string `json:"origin,omitempty"`
}

// Judge says what is wrong in an image. An error means that the data could not be read.
func Judge(in Input) (Result, error) {
	panic("not written yet")
}
