package judge

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/perceptor/perceptor/internal/hub/builtin/osv"
	"github.com/perceptor/perceptor/model"
)

// Input is everything a verdict rests on.
type Input struct {
	Contents Contents
	// Image is what the contents are of; policies and exceptions may be limited to some.
	Image    Image
	Assessor Assessor
	// Policy is the default one when nil.
	Policy     *Policy
	Exceptions *Register
	Now        time.Time
}

// Image names what is judged.
type Image struct {
	// Repository is where the image is from (the hub's project name).
	Repository string
	// Digests are those of the image, as far as they are known.
	Digests []model.Digest
	// Serials are the serial numbers of the documents that say what is in it.
	Serials []string
}

func (i *Image) has(d model.Digest) bool { return slices.Contains(i.Digests, d) }

func (i *Image) hasSerial(serial string) bool {
	return slices.ContainsFunc(i.Serials, func(each string) bool { return strings.EqualFold(each, serial) })
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
	// Assessed says that it was compared with all there is, Reason and Detail why it was not.
	Assessed bool                    `json:"assessed"`
	Reason   model.NotAssessedReason `json:"reason,omitempty"`
	Detail   string                  `json:"detail,omitempty"`
	// Permitted says that the policy allows that it is not assessed.
	Permitted bool      `json:"permitted,omitempty"`
	Ecosystem string    `json:"ecosystem,omitempty"`
	Findings  []Finding `json:"findings,omitempty"`
	// Status is IN_VIOLATION, IN_VIOLATION_OVERRIDDEN, UNKNOWN (not assessed, not permitted, and in no violation) or
	// NOT_IN_VIOLATION.
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
	// NeedsRating says that it has neither a severity nor a fix, so that no rule can judge it.
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
	Stance Stance    `json:"stance,omitempty"`
	Reason string    `json:"reason"`
	Author string    `json:"author,omitempty"`
	Until  time.Time `json:"until,omitzero"`
	// Origin is where the decision stands: "policy", or the document it was loaded from.
	Origin string `json:"origin,omitempty"`
}

// Judge says what is wrong in an image. An error means that the data could not be read.
func Judge(in Input) (Result, error) {
	if in.Policy == nil {
		in.Policy = DefaultPolicy()
	}
	in.Image.Serials = append(slices.Clone(in.Image.Serials), in.Contents.Serials...)
	result := Result{Status: model.NotInViolation, Unread: in.Contents.Unread, Components: make([]Judged, 0, len(in.Contents.Components))}
	data := map[string]model.DataSource{}
	for _, c := range in.Contents.Components {
		a, err := in.assess(c)
		if err != nil {
			return Result{}, fmt.Errorf("assess %.200s: %w", c.Key(), err)
		}
		if a.Data != nil {
			data[a.Ecosystem+"\x00"+a.Data.Source] = *a.Data
		}
		one := in.judged(c, a)
		result.add(&one)
		result.Components = append(result.Components, one)
	}
	for _, name := range slices.Sorted(maps.Keys(data)) {
		result.Coverage.Data = append(result.Coverage.Data, data[name])
	}
	in.settle(&result)
	return result, nil
}

// assess takes the word of another scanner where there is one, and else asks the records.
func (in *Input) assess(c Component) (Assessment, error) {
	if word, judged := in.Contents.Words[c.Key()]; judged {
		return word.assessment(c, in.Contents.Distribution, in.Now), nil
	}
	return in.Assessor.Assess(c, in.Contents.Distribution)
}

// judged applies policy and exceptions to one assessed component.
func (in *Input) judged(c Component, a Assessment) Judged {
	one := Judged{Component: c, Reason: a.Reason, Detail: a.Detail, Ecosystem: a.Ecosystem, Status: model.NotInViolation}
	if one.Reason == "" && !osv.Supported(a.Ecosystem, in.Now) {
		one.Reason = model.ReleaseUnsupported
		one.Detail = "the last fixes were published on " + osv.SupportEnd(a.Ecosystem).AddDate(0, 0, -1).Format(time.DateOnly)
	}
	one.Assessed = one.Reason == ""
	one.Permitted = !one.Assessed && in.Policy.Coverage.permits(&one, in.Image.Repository)
	broken, accepted := map[string]bool{}, false
	for _, f := range a.Findings {
		finding := Finding{Finding: f, NeedsRating: f.Severity == model.SeverityUnrated && f.Fixed == ""}
		finding.Accepted = in.accepted(&one, &f)
		for i := range in.Policy.Rules {
			rule := &in.Policy.Rules[i]
			if !rule.covers(&one) || !rule.breaks(&f) || in.Policy.OnlyFixed && f.Fixed == "" {
				continue
			}
			finding.Rules = append(finding.Rules, rule.Name)
			if finding.Accepted == nil {
				broken[rule.Name] = true
			} else {
				accepted = true
			}
		}
		one.Findings = append(one.Findings, finding)
	}
	for i := range in.Policy.Rules {
		if rule := &in.Policy.Rules[i]; broken[rule.Name] {
			one.Violations = append(one.Violations, Violation{Rule: rule.Name, Severity: rule.Severity})
		}
	}
	switch {
	case len(one.Violations) > 0:
		one.Status = model.InViolation
	case !one.Assessed && !one.Own && !one.Permitted:
		one.Status = model.OverallUnknown
	case accepted:
		one.Status = model.InViolationOverridden
	}
	return one
}

func (in *Input) accepted(one *Judged, f *osv.Finding) *Acceptance {
	if a := in.Policy.overrides.accepts(one, f, &in.Image, in.Now); a != nil {
		return a
	}
	if a := in.Exceptions.accepts(one, f, &in.Image, in.Now); a != nil {
		return a
	}
	return in.Contents.Words[one.Key()].accepted(f.ID)
}

// add counts one component.
func (r *Result) add(one *Judged) {
	c := &r.Coverage
	c.Components++
	switch {
	case one.Assessed:
		c.Assessed++
	case one.Own:
		c.OwnSoftware++
	default:
		c.Leave(one.Reason, 1)
		if one.Permitted {
			c.Permitted++
		}
	}
	for _, f := range one.Findings {
		r.Findings.Add(f.Severity)
		if f.NeedsRating && f.Accepted == nil {
			c.NeedsRating++
		}
	}
	if worst := one.Worst(); worst != "" {
		r.Vulnerable.Add(worst)
	}
	switch one.Status {
	case model.InViolation:
		r.Violating++
	case model.InViolationOverridden:
		r.Accepted++
	}
}

// settle decides whether the coverage satisfies the policy, and with it the overall status.
func (in *Input) settle(r *Result) {
	c := &r.Coverage
	c.Leave(model.FileUnreadable, len(r.Unread))
	empty := c.Components == 0
	permittedEmpty := empty && in.Policy.Coverage.permitEmpty.match(in.Image.Repository)
	if empty && !permittedEmpty {
		c.Leave(model.NothingRecognized, 1)
	}
	for _, source := range c.Data {
		// A sample never gets better, so it does not expire either; it is shown as demo data.
		if end := source.AsOf.Add(in.Policy.Coverage.validFor()); !source.Sample && (c.ValidUntil.IsZero() || end.Before(c.ValidUntil)) {
			c.ValidUntil = end
		}
	}
	c.Reason = in.shortfall(r, permittedEmpty)
	c.Satisfied = c.Reason == ""
	switch {
	case r.Violating > 0:
		r.Status = model.InViolation
	case !c.Satisfied:
		r.Status = model.OverallUnknown
	case r.Accepted > 0:
		r.Status = model.InViolationOverridden
	}
}

// shortfall says what the coverage lacks; empty when it satisfies the policy.
func (in *Input) shortfall(r *Result, permittedEmpty bool) string {
	c := &r.Coverage
	if c.Components == 0 && !permittedEmpty {
		if n := len(r.Unread); n > 0 {
			return fmt.Sprintf("nothing recognised in the image, and %s unreadable", files(n))
		}
		return string(model.NothingRecognized)
	}
	var parts []string
	if missing := c.Unassessed() - c.Permitted; missing > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d not assessed: %s", missing, c.Components-c.OwnSoftware+len(r.Unread), in.reasons(r)))
	}
	if c.Assessed == 0 && c.Permitted == 0 && !permittedEmpty && len(parts) == 0 {
		parts = append(parts, "no component could be assessed")
	}
	if in.Policy.Strict && c.NeedsRating > 0 {
		parts = append(parts, fmt.Sprintf("%d findings need a rating", c.NeedsRating))
	}
	switch {
	case c.ValidUntil.IsZero() || in.Now.Before(c.ValidUntil):
	case c.ValidUntil.Unix() <= 0:
		parts = append(parts, "the age of the vulnerability data is not known: load them with --as-of")
	default:
		parts = append(parts, "vulnerability data expired on "+c.ValidUntil.UTC().Format(time.RFC3339))
	}
	return strings.Join(parts, "; ")
}

// shownEcosystems bounds how many ecosystems a reason names.
const shownEcosystems = 3

// reasons are why components are not assessed, with the ecosystems concerned.
func (in *Input) reasons(r *Result) string {
	counts, where := map[model.NotAssessedReason]int{}, map[model.NotAssessedReason][]string{}
	for i := range r.Components {
		one := &r.Components[i]
		if one.Assessed || one.Own || one.Permitted {
			continue
		}
		counts[one.Reason]++
		name := one.Ecosystem
		if name == "" {
			name = purlType(one.PURL)
		}
		if name != "" && !slices.Contains(where[one.Reason], name) {
			where[one.Reason] = append(where[one.Reason], name)
		}
	}
	if n := len(r.Unread); n > 0 {
		counts[model.FileUnreadable] = n
	}
	var parts []string
	for _, reason := range model.NotAssessedReasons {
		if counts[reason] == 0 {
			continue
		}
		part := fmt.Sprintf("%d %s", counts[reason], reason)
		if names := where[reason]; len(names) > 0 {
			slices.Sort(names)
			more := ""
			if len(names) > shownEcosystems {
				names, more = names[:shownEcosystems], ", ..."
			}
			part += " (" + strings.Join(names, ", ") + more + ")"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}
