package blackduck

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"

	"github.com/perceptor/perceptor/model"
)

const (
	opFindings       = "read findings"
	suffixVulnerable = "vulnerable-bom-components"
)

// remediationIgnored is the state of a finding whose whole component is ignored.
const remediationIgnored = "IGNORED"

// vulnerableComponent is one pair of a component's origin and a vulnerability of it.
type vulnerableComponent struct {
	ComponentName        string `json:"componentName"`
	ComponentVersionName string `json:"componentVersionName"`
	PackageURL           string `json:"packageUrl"`
	Ignored              bool   `json:"ignored"`
	Vulnerability        struct {
		Name         string   `json:"vulnerabilityName"`
		Related      string   `json:"relatedVulnerability"`
		Severity     string   `json:"severity"`
		BaseScore    *float64 `json:"baseScore"`
		OverallScore *float64 `json:"overallScore"`
		Remediation  string   `json:"remediationStatus"`
		// The rest are the built-in hub's additions; Black Duck has no such fields.
		FixedVersion string   `json:"fixedVersion"`
		Aliases      []string `json:"aliases"`
		URL          string   `json:"url"`
		NeedsRating  bool     `json:"needsRating"`
		Exception    *struct {
			Stance string  `json:"stance"`
			Reason string  `json:"reason"`
			Author string  `json:"author"`
			Origin string  `json:"origin"`
			Until  instant `json:"until"`
		} `json:"exception"`
	} `json:"vulnerabilityWithRemediation"`
}

// maxScore is the top of the CVSS scale.
const maxScore = 10

func (v *vulnerableComponent) check() error {
	switch score := v.score(); {
	case v.ComponentName == "":
		return errors.New("a vulnerable component without a name")
	case v.Vulnerability.Name == "":
		return errors.New("a vulnerable component without its vulnerability's name")
	case score < 0, score > maxScore, math.IsNaN(score):
		return fmt.Errorf("score %v: want 0 to %d", score, maxScore)
	}
	return nil
}

// score is the base score; hubs that leave it out give an overall one.
func (v *vulnerableComponent) score() float64 {
	switch {
	case v.Vulnerability.BaseScore != nil:
		return *v.Vulnerability.BaseScore
	case v.Vulnerability.OverallScore != nil:
		return *v.Vulnerability.OverallScore
	default:
		return 0
	}
}

// severity is the hub's word, Unrated for none and for an unknown one.
func (v *vulnerableComponent) severity() model.Severity {
	for _, known := range model.Severities {
		if string(known) == v.Vulnerability.Severity {
			return known
		}
	}
	return model.SeverityUnrated
}

func (v *vulnerableComponent) finding(root origin) model.Finding {
	f := model.Finding{
		ID:          v.Vulnerability.Name,
		Severity:    v.severity(),
		Score:       v.score(),
		Package:     v.ComponentName,
		Version:     v.ComponentVersionName,
		PURL:        v.PackageURL,
		Fixed:       v.Vulnerability.FixedVersion,
		Remediation: v.Vulnerability.Remediation,
		URL:         root.join("/api/vulnerabilities/" + url.PathEscape(v.Vulnerability.Name)).String(),
	}
	f.NeedsRating = v.Vulnerability.NeedsRating
	if e := v.Vulnerability.Exception; e != nil {
		f.Exception = &model.FindingException{Stance: e.Stance, Reason: e.Reason, Author: e.Author, Origin: e.Origin, Until: e.Until.Time}
	}
	for _, alias := range append(v.Vulnerability.Aliases, lastPart(v.Vulnerability.Related)) {
		if alias != "" && alias != f.ID && !slices.Contains(f.Aliases, alias) {
			f.Aliases = append(f.Aliases, alias)
		}
	}
	if u, err := url.Parse(v.Vulnerability.URL); err == nil && u.Scheme == secureScheme && u.Host != "" {
		f.URL = v.Vulnerability.URL // a page for people, which nothing here calls
	}
	if v.Ignored {
		f.Remediation = remediationIgnored
	}
	return f
}

// Findings reads one page of a version's findings: at most limit, and at most 1,000, from offset on, in the hub's order.
func (c *Client) Findings(ctx context.Context, versionURL string, offset, limit int) (model.FindingsPage, error) {
	result := model.FindingsPage{Offset: offset, Findings: []model.Finding{}}
	if offset < 0 || limit < 1 {
		err := fmt.Errorf("offset %d, limit %d: want an offset from 0 and a limit from 1", offset, limit)
		return result, c.wrap(opFindings, "", nil, trouble(symptomArgument, err))
	}
	version, accept, err := c.version(ctx, opFindings, versionURL)
	if err != nil {
		return result, err
	}
	k := call{op: opFindings, at: below(version, suffixVulnerable), accept: accept}
	rows, _, err := getPage[vulnerableComponent](ctx, c, k, offset, min(limit, pageSize))
	if err != nil {
		return result, err
	}
	result.Total = *rows.TotalCount
	for i := range *rows.Items {
		result.Findings = append(result.Findings, (*rows.Items)[i].finding(c.origin))
	}
	return result, nil
}
