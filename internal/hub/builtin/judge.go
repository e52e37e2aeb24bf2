package builtin

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/perceptor/perceptor/model"
)

// The levels of the risk profile that are no severities.
const (
	levelOK      = "OK"
	levelUnknown = "UNKNOWN"
)

// levels are the names under which a risk profile counts components, worst first. A component whose vulnerabilities nobody
// rated counts under the severity UNRATED, which is an addition and therefore only shown where there is one.
var levels = []string{
	string(model.SeverityCritical), string(model.SeverityHigh), string(model.SeverityMedium), string(model.SeverityLow), levelOK, levelUnknown,
}

// judge says of every component what the data and the rules say, and sums it up.
func judge(components []component, data Assessor, rules *policy, now time.Time) ([]judged, summary, error) {
	result := make([]judged, 0, len(components))
	sum := summary{
		Status: model.NotInViolation, Levels: map[string]int{}, Policies: map[model.OverallStatus]int{}, PolicySeverities: map[string]int{},
		Components: len(components),
	}
	for _, c := range components {
		// The id must stay the same over scans, so it is made from the component itself.
		one := judged{component: c, ID: uuid.NewSHA1(uuid.NameSpaceURL, []byte(c.key())).String()}
		if c.PURL != "" {
			assessment, err := data.Assess(c.PURL)
			if err != nil {
				return nil, summary{}, fmt.Errorf("assess %.200s: %w", c.PURL, err)
			}
			one.Assessed, one.Ecosystem, one.Matches = assessment.Assessed, assessment.Ecosystem, assessment.Matches
		}
		rules.apply(&one, now)
		sum.add(one)
		result = append(result, one)
	}
	return result, sum, nil
}

func (s *summary) add(one judged) {
	s.Levels[one.level()]++
	s.Policies[one.Status]++
	s.Status = s.Status.Worst(one.Status)
	s.Findings += len(one.Matches)
	if !one.Assessed {
		s.NotAssessed++
	}
	if one.Status == model.InViolation {
		s.PolicySeverities[one.worstRule()]++
	}
}

// level is where the component counts in the risk profile: by its worst vulnerability, and UNKNOWN when it is not assessed.
func (j *judged) level() string {
	if !j.Assessed {
		return levelUnknown
	}
	if len(j.Matches) == 0 {
		return levelOK
	}
	worst := model.SeverityUnrated
	for _, m := range j.Matches {
		if m.Severity.AtLeast(worst) {
			worst = m.Severity
		}
	}
	return string(worst)
}

// worstRule is the severity of the worst rule the component breaks.
func (j *judged) worstRule() string {
	worst := len(policySeverities) - 1
	for _, v := range j.Violations {
		if at := slices.Index(policySeverities, v.Severity); at >= 0 {
			worst = min(worst, at)
		}
	}
	return policySeverities[worst]
}

// apply sets the policy status of a component: in violation when one vulnerability that nobody overrode breaks a rule.
func (p *policy) apply(one *judged, now time.Time) {
	one.Status = model.NotInViolation
	for i := range p.Rules {
		rule := &p.Rules[i]
		if !rule.covers(one) {
			continue
		}
		broken := false
		for _, m := range one.Matches {
			if !m.Severity.AtLeast(rule.Vulnerability) {
				continue
			}
			reason, by := p.override(one, m, now)
			if !by {
				broken = true
				continue
			}
			if o := (overridden{m.ID, reason}); !slices.Contains(one.Overridden, o) {
				one.Overridden = append(one.Overridden, o)
			}
		}
		if broken {
			one.Violations = append(one.Violations, violation{Rule: rule.Name, Severity: rule.Severity})
		}
	}
	switch {
	case len(one.Violations) > 0:
		one.Status = model.InViolation
	case len(one.Overridden) > 0:
		one.Status = model.InViolationOverridden
	}
}

// covers tells whether the rule is about this component at all.
func (r *policyRule) covers(one *judged) bool {
	if len(r.components) > 0 && !r.components.match(one.PURL, one.Name) {
		return false
	}
	return len(r.ecosystems) == 0 || r.ecosystems.match(one.Ecosystem, purlType(one.PURL))
}

func purlType(purl string) string {
	kind, _, _ := strings.Cut(strings.TrimPrefix(purl, "pkg:"), "/")
	return kind
}

// override finds why a vulnerability of a component does not count, under its id or another name of it.
func (p *policy) override(one *judged, m Match, now time.Time) (reason string, found bool) {
	for i := range p.Overrides {
		o := &p.Overrides[i]
		named := func(id string) bool { return strings.EqualFold(id, o.Vulnerability) }
		if o.active(now) && o.component.match(one.PURL, one.Name) && (named(m.ID) || slices.ContainsFunc(m.Aliases, named)) {
			return o.Reason, true
		}
	}
	return "", false
}
