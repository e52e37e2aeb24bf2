package blackduck

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/perceptor/perceptor/model"
)

const opVerdict = "fetch verdict"

// categoryVulnerability is the one category of the risk profile that counts here.
const categoryVulnerability = "VULNERABILITY"

// riskProfile counts the components of a version by category and by their worst level.
type riskProfile struct {
	Categories       map[string]map[string]int `json:"categories"`
	BomLastUpdatedAt instant                   `json:"bomLastUpdatedAt"`
	// Coverage is the built-in hub's addition; Black Duck has no such field.
	Coverage *model.Coverage `json:"coverage"`
	// FindingCounts are the built-in hub's addition too: findings by severity.
	FindingCounts model.Counts `json:"findingCounts"`
}

func (r *riskProfile) check() error {
	levels, found := r.Categories[categoryVulnerability]
	if !found || levels == nil {
		return errors.New("no category " + categoryVulnerability)
	}
	if c := r.FindingCounts; min(c.Critical, c.High, c.Medium, c.Low, c.Unrated) < 0 {
		return errors.New("less than no findings")
	}
	if r.Coverage != nil && (r.Coverage.Components < 0 || r.Coverage.Assessed < 0) {
		return errors.New("a coverage of less than no components")
	}
	for level, n := range levels {
		if n < 0 {
			return fmt.Errorf("%d components at level %.20q", n, level)
		}
	}
	return nil
}

// policyStatus is the judgement by the hub's policy rules.
type policyStatus struct {
	OverallStatus string  `json:"overallStatus"`
	UpdatedAt     instant `json:"updatedAt"`
	Counts        []struct {
		Name  string `json:"name"`
		Value int    `json:"value"`
	} `json:"componentVersionStatusCounts"`
}

func (p *policyStatus) check() error {
	if p.OverallStatus == "" {
		return errors.New("no overallStatus")
	}
	for _, count := range p.Counts {
		if count.Value < 0 {
			return fmt.Errorf("%d components with status %.30q", count.Value, count.Name)
		}
	}
	return nil
}

// overall is the status in our words. An unknown word is Unknown: only what is known to be clean is called so.
func (p *policyStatus) overall() model.OverallStatus {
	switch s := model.OverallStatus(p.OverallStatus); s {
	case model.NotInViolation, model.InViolation, model.InViolationOverridden:
		return s
	default:
		return model.OverallUnknown
	}
}

// violations counts components in violation, those overridden left out.
func (p *policyStatus) violations() int {
	for _, count := range p.Counts {
		if count.Name == string(model.InViolation) {
			return count.Value
		}
	}
	return 0
}

// Verdict reads what the hub says of a complete scan, in three calls. It needs only the scan's VersionURL.
//
// A hub without the policy module (402 or 404 where the risk profile answers) gives OverallStatus UNKNOWN, with the
// counts beside it, even where it counts no vulnerability: no rule was applied, so no one said "not in violation", and
// this driver does not say it in the hub's place. Never silently green weighs more than a green label here.
func (c *Client) Verdict(ctx context.Context, scan model.HubScan) (model.Verdict, error) {
	verdict := model.Verdict{Hub: c.name, OverallStatus: model.OverallUnknown, ScanStarted: scan.StartedAt}
	version, accept, err := c.version(ctx, opVerdict, scan.VersionURL)
	if err != nil {
		return verdict, err
	}
	verdict.VersionURL = version.String()
	verdict.ComponentsURL = below(version, "components").String()
	// The risk profile goes first: its 404 means that the version is gone, and tells a later 404 apart from that.
	risk, answer, err := get[riskProfile](ctx, c, call{op: opVerdict, at: below(version, "risk-profile"), accept: accept})
	if err != nil {
		return verdict, err
	}
	risk.count(&verdict)
	verdict.ReadAt = answer.at
	policy, err := c.policy(ctx, version, accept)
	if err != nil {
		return verdict, err
	}
	if policy != nil {
		verdict.OverallStatus, verdict.PolicyViolations = policy.overall(), policy.violations()
		if verdict.JudgedAt.IsZero() {
			verdict.JudgedAt = policy.UpdatedAt.Time
		}
	}
	if verdict.OverallStatus != model.InViolation && !verdict.Coverage.Satisfied {
		verdict.OverallStatus = model.OverallUnknown // what is accepted is as good as green, and green needs coverage
	}
	k := call{op: opVerdict, at: below(version, suffixVulnerable), accept: accept}
	findings, _, err := getPage[vulnerableComponent](ctx, c, k, 0, 1)
	if err != nil {
		return verdict, err
	}
	verdict.Findings = *findings.TotalCount
	return verdict, nil
}

// count puts the risk profile into a verdict. An unknown level counts as unrated: bad, but it is not known how bad.
func (r *riskProfile) count(verdict *model.Verdict) {
	verdict.JudgedAt, verdict.FindingCounts = r.BomLastUpdatedAt.Time, r.FindingCounts
	for level, n := range r.Categories[categoryVulnerability] {
		verdict.Components += n
		switch level {
		case "CRITICAL":
			verdict.Vulnerabilities.Critical += n
		case "HIGH":
			verdict.Vulnerabilities.High += n
		case "MEDIUM":
			verdict.Vulnerabilities.Medium += n
		case "LOW":
			verdict.Vulnerabilities.Low += n
		case "OK":
		case "UNKNOWN":
			verdict.NotAssessed += n
		default:
			verdict.Vulnerabilities.Unrated += n
		}
	}
	verdict.Coverage = r.coverage(verdict.Components)
	if r.Coverage != nil {
		verdict.NotAssessed = verdict.Coverage.Unassessed()
	}
}

// coverage is what the verdict rests on. A hub that does not say so vouches for itself: its verdict counts when the scan
// completed there, which the caller knows, and the hub found a component.
func (r *riskProfile) coverage(components int) model.Coverage {
	if r.Coverage != nil {
		return *r.Coverage
	}
	c := model.Coverage{Components: components, Assessed: components, ManagedByHub: true, Satisfied: components > 0}
	if !c.Satisfied {
		c.Reason = string(model.NothingRecognized)
	}
	return c
}

// policy is the policy status, nil where the hub has no policy module.
func (c *Client) policy(ctx context.Context, version *url.URL, accept string) (*policyStatus, error) {
	policy, _, err := get[policyStatus](ctx, c, call{op: opVerdict, at: below(version, "policy-status"), accept: accept})
	var e *Error
	if errors.As(err, &e) && (e.Status == http.StatusPaymentRequired || e.Status == http.StatusNotFound) {
		return nil, nil //nolint:nilnil // no module is an answer, and not an error
	}
	if err != nil {
		return nil, err
	}
	return &policy, nil
}

// version resolves the address of a project version, and gives the media type its parts are asked for.
func (c *Client) version(ctx context.Context, op, versionURL string) (*url.URL, string, error) {
	at, err := c.origin.object(versionURL, versionPath, "project version")
	if err != nil {
		return nil, "", c.wrap(op, "", nil, trouble(symptomArgument, err))
	}
	s, err := c.session(ctx, op, nil)
	if err != nil {
		return nil, "", err
	}
	return at, s.dialect.accept(mediaBillOfMaterials), nil
}
