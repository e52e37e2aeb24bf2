package rest

import (
	"net/http"
	"strings"

	"github.com/perceptor/perceptor/internal/hub/builtin/jobs"
	"github.com/perceptor/perceptor/internal/hub/builtin/judge"
	"github.com/perceptor/perceptor/internal/hub/builtin/store"
	"github.com/perceptor/perceptor/model"
)

// components answers what a version holds: its components and their vulnerabilities.
type components struct{ *Server }

type riskCount struct {
	CountType string `json:"countType"`
	Count     int    `json:"count"`
}

type riskCounts struct {
	Counts []riskCount `json:"counts"`
}

// countsOf is a risk profile of one component: one level, once.
func (s *Server) countsOf(level string) riskCounts {
	level = s.levelOf(level)
	var r riskCounts
	for _, each := range s.levels() {
		n := 0
		if each == level {
			n = 1
		}
		r.Counts = append(r.Counts, riskCount{each, n})
	}
	if level == string(model.SeverityUnrated) {
		r.Counts = append(r.Counts, riskCount{level, 1})
	}
	return r
}

type componentView struct {
	ComponentName        string              `json:"componentName"`
	ComponentVersionName string              `json:"componentVersionName"`
	Component            string              `json:"component"`
	ComponentVersion     string              `json:"componentVersion"`
	Licenses             []licenseView       `json:"licenses"`
	Origins              []originView        `json:"origins"`
	Usages               []string            `json:"usages"`
	MatchTypes           []string            `json:"matchTypes"`
	ReviewStatus         string              `json:"reviewStatus"`
	PolicyStatus         model.OverallStatus `json:"policyStatus"`
	ApprovalStatus       model.OverallStatus `json:"approvalStatus"`
	Ignored              bool                `json:"ignored"`
	TotalFileMatchCount  int                 `json:"totalFileMatchCount"`
	SecurityRisk         riskCounts          `json:"securityRiskProfile"`
	LicenseRisk          riskCounts          `json:"licenseRiskProfile"`
	VersionRisk          riskCounts          `json:"versionRiskProfile"`
	ActivityRisk         riskCounts          `json:"activityRiskProfile"`
	OperationalRisk      riskCounts          `json:"operationalRiskProfile"`
	// Assessed, NotAssessedReason and OwnSoftware are additions: whether the component was compared with all there is, why
	// not, and whether the image's owner wrote it.
	Assessed          bool                    `json:"assessed"`
	NotAssessedReason model.NotAssessedReason `json:"notAssessedReason,omitempty"`
	NotAssessedDetail string                  `json:"notAssessedDetail,omitempty"`
	OwnSoftware       bool                    `json:"ownSoftware,omitempty"`
	Meta              meta                    `json:"_meta"`
}

// licenseView is a license of a component. This hub judges no licenses, so each component has the one that says so.
type licenseView struct {
	LicenseDisplay string `json:"licenseDisplay"`
	License        string `json:"license"`
	Licenses       []any  `json:"licenses"`
}

func (c *call) unknownLicense(componentPath string) licenseView {
	return licenseView{LicenseDisplay: "Unknown License", License: c.base + componentPath + "/licenses", Licenses: []any{}}
}

type originView struct {
	Name              string `json:"name"`
	ExternalID        string `json:"externalId"`
	ExternalNamespace string `json:"externalNamespace"`
	PackageURL        string `json:"packageUrl"`
}

func (s components) view(c *call, v store.Version, one judge.Judged) componentView {
	path := bomComponentPath(v, jobs.ComponentID(one.Component))
	view := componentView{
		ComponentName: one.Name, ComponentVersionName: one.Version, Component: c.base + path, ComponentVersion: c.base + path,
		Licenses: []licenseView{c.unknownLicense(path)}, Origins: []originView{}, Usages: []string{"DYNAMICALLY_LINKED"}, MatchTypes: []string{"FILE_DEPENDENCY_DIRECT"},
		ReviewStatus: "NOT_REVIEWED", PolicyStatus: one.Status, ApprovalStatus: one.Status,
		SecurityRisk: s.countsOf(jobs.Level(&one)), LicenseRisk: s.countsOf(jobs.LevelUnknown), VersionRisk: s.countsOf(jobs.LevelUnknown),
		ActivityRisk: s.countsOf(jobs.LevelUnknown), OperationalRisk: s.countsOf(jobs.LevelUnknown), Assessed: one.Assessed,
		NotAssessedReason: one.Reason, NotAssessedDetail: one.Detail, OwnSoftware: one.Own,
		Meta: c.metaOf(path, allowGet, "version", versionURL(v), "vulnerabilities", path+"/vulnerabilities", "licenses", path+"/licenses",
			"policy-status", path+"/policy-status"),
	}
	if one.PURL != "" {
		kind := purlType(one.PURL)
		view.Origins = append(view.Origins, originView{Name: one.Version, ExternalID: one.PURL, ExternalNamespace: kind, PackageURL: one.PURL})
	}
	return view
}

// vulnerabilityView is the vulnerability within an item of vulnerable-bom-components.
type vulnerabilityView struct {
	VulnerabilityName    string  `json:"vulnerabilityName"`
	Source               string  `json:"source"`
	Severity             string  `json:"severity"`
	BaseScore            float64 `json:"baseScore"`
	OverallScore         float64 `json:"overallScore"`
	RemediationStatus    string  `json:"remediationStatus"`
	RemediationCreatedAt stamp   `json:"remediationCreatedAt"`
	RemediationUpdatedAt stamp   `json:"remediationUpdatedAt"`
	Published            stamp   `json:"vulnerabilityPublishedDate"`
	Updated              stamp   `json:"vulnerabilityUpdatedDate"`
	// FixedVersion is an addition: the lowest version that is not affected; empty when none is known.
	FixedVersion string `json:"fixedVersion"`
	// Aliases are an addition: other names of the same vulnerability.
	Aliases []string `json:"aliases"`
	// URL is an addition: where a person reads about it.
	URL string `json:"url"`
	// NeedsRating is an addition: it has neither a severity nor a fix, so a person must rate it.
	NeedsRating bool `json:"needsRating,omitempty"`
	// Exception is an addition: who accepted it, why and until when; null when no one did.
	Exception *exceptionView `json:"exception,omitempty"`
}

// exceptionView is why a finding breaks no rule.
type exceptionView struct {
	judge.Acceptance
	// Until is null where the exception has no end.
	Until stamp `json:"until"`
}

// newerVulnerability is a vulnerability in the form of bill-of-materials-8.
type newerVulnerability struct {
	VulnerabilityID   string  `json:"vulnerabilityId"`
	Source            string  `json:"source"`
	Severity          string  `json:"severity"`
	OverallScore      float64 `json:"overallScore"`
	RemediationStatus string  `json:"remediationStatus"`
}

type vulnerableView struct {
	ComponentName              string            `json:"componentName"`
	ComponentVersionName       string            `json:"componentVersionName"`
	ComponentVersion           string            `json:"componentVersion"`
	ComponentVersionOriginName string            `json:"componentVersionOriginName"`
	ComponentVersionOriginID   string            `json:"componentVersionOriginId"`
	PackageURL                 string            `json:"packageUrl"`
	Ignored                    bool              `json:"ignored"`
	License                    map[string]any    `json:"license"`
	Vulnerability              vulnerabilityView `json:"vulnerabilityWithRemediation"`
	// Newer repeats the vulnerability in the form of newer media types of the list.
	Newer newerVulnerability `json:"vulnerability"`
	Meta  meta               `json:"_meta"`
}

// vulnerabilitySource names who published a vulnerability: NVD for its own numbers, OSV for the others, as they came from there.
func vulnerabilitySource(id string) string {
	if strings.HasPrefix(id, "CVE-") {
		return "NVD"
	}
	return "OSV"
}

func (c *call) viewVulnerable(v store.Version, one judge.Judged, m judge.Finding) vulnerableView {
	path, status := bomComponentPath(v, jobs.ComponentID(one.Component)), "NEW"
	var exception *exceptionView
	if m.Accepted != nil {
		exception, status = &exceptionView{Acceptance: *m.Accepted, Until: stamp(m.Accepted.Until)}, "IGNORED"
		if m.Accepted.Stance == judge.Fixed {
			status = "PATCHED"
		}
	}
	aliases := m.Aliases
	if aliases == nil {
		aliases = []string{}
	}
	return vulnerableView{
		ComponentName: one.Name, ComponentVersionName: one.Version, ComponentVersion: c.base + path,
		ComponentVersionOriginName: purlType(one.PURL), ComponentVersionOriginID: one.PURL, PackageURL: one.PURL,
		License: map[string]any{}, Meta: c.metaOf(path+"/vulnerabilities/"+m.ID, allowGet, "component", path, "vulnerabilities", path+"/vulnerabilities"),
		Newer: newerVulnerability{m.ID, vulnerabilitySource(m.ID), string(m.Severity), m.Score, status},
		Vulnerability: vulnerabilityView{
			VulnerabilityName: m.ID, Source: vulnerabilitySource(m.ID), Severity: string(m.Severity),
			BaseScore: m.Score, OverallScore: m.Score, RemediationStatus: status, RemediationCreatedAt: stamp(v.CreatedAt),
			RemediationUpdatedAt: stamp(v.Summary.JudgedAt), Published: stamp(m.Published), Updated: stamp(m.Modified),
			FixedVersion: m.Fixed, Aliases: aliases, URL: m.URL, NeedsRating: m.NeedsRating, Exception: exception,
		},
	}
}

// pageOf answers a page of what a version's components are turned into.
func (s components) pageOf(c *call, suffix, field string, visit func(store.Version, judge.Judged, func(name string, item func() any))) (reply, error) {
	p, err := c.paging(field)
	if err != nil {
		return reply{}, err
	}
	return s.viewOf(c, func(tx *store.Tx, v store.Version) (any, error) {
		list := page{Items: []any{}, AppliedFilters: []any{}, Meta: c.metaOf(versionURL(v)+suffix, allowGet, "version", versionURL(v))}
		result, err := tx.Versions().Result(v.ID)
		for _, one := range result {
			visit(v, one, func(name string, item func() any) {
				if !p.matches(name) {
					return
				}
				if p.takes(list.TotalCount) {
					list.Items = append(list.Items, item())
				}
				list.TotalCount++
			})
		}
		return list, err
	})
}

func (s components) list(c *call) (reply, error) {
	return s.pageOf(c, "/components", "componentName", func(v store.Version, one judge.Judged, add func(string, func() any)) {
		add(one.Name, func() any { return s.view(c, v, one) })
	})
}

// listVulnerable has one item for each pair of a component and a vulnerability of it.
func (s components) listVulnerable(c *call) (reply, error) {
	return s.pageOf(c, "/vulnerable-bom-components", "componentName", func(v store.Version, one judge.Judged, add func(string, func() any)) {
		for _, m := range one.Findings {
			add(one.Name, func() any { return c.viewVulnerable(v, one, m) })
		}
	})
}

// judgedIn finds a component of a version by the id in the path.
func judgedIn(tx *store.Tx, v store.Version, c *call) (judge.Judged, error) {
	id := c.PathValue("component")
	result, err := tx.Versions().Result(v.ID)
	for _, one := range result {
		if jobs.ComponentID(one.Component) == id && id == c.PathValue("componentVersion") {
			return one, err
		}
	}
	if err == nil {
		err = &store.NotFoundError{What: "component", ID: id}
	}
	return judge.Judged{}, err
}

func (s components) get(c *call) (reply, error) {
	return s.viewOf(c, func(tx *store.Tx, v store.Version) (any, error) {
		one, err := judgedIn(tx, v, c)
		return s.view(c, v, one), err
	})
}

func (s components) getPolicy(c *call) (reply, error) {
	return s.viewOf(c, func(tx *store.Tx, v store.Version) (any, error) {
		one, err := judgedIn(tx, v, c)
		path := bomComponentPath(v, jobs.ComponentID(one.Component))
		return map[string]any{
			"approvalStatus": one.Status, "_meta": c.metaOf(path+"/policy-status", allowGet, "component", path, "version", versionURL(v)),
		}, err
	})
}

func (s components) getVulnerable(c *call) (reply, error) {
	return s.viewOf(c, func(tx *store.Tx, v store.Version) (any, error) {
		one, err := judgedIn(tx, v, c)
		if err != nil {
			return nil, err
		}
		for _, m := range one.Findings {
			if m.ID == c.PathValue("vulnerability") {
				return c.viewVulnerable(v, one, m), nil
			}
		}
		return nil, refuse(http.StatusNotFound, "not_found", "component %.80q has no vulnerability %.80q", one.Name, c.PathValue("vulnerability"))
	})
}

// listVulnerabilitiesOf answers the vulnerabilities of one component.
func (s components) listVulnerabilitiesOf(c *call) (reply, error) {
	p, err := c.paging("vulnerabilityName")
	if err != nil {
		return reply{}, err
	}
	return s.viewOf(c, func(tx *store.Tx, v store.Version) (any, error) {
		one, err := judgedIn(tx, v, c)
		path := bomComponentPath(v, jobs.ComponentID(one.Component))
		list := page{Items: []any{}, AppliedFilters: []any{}, Meta: c.metaOf(path+"/vulnerabilities", allowGet, "component", path)}
		for _, m := range one.Findings {
			if !p.matches(m.ID) {
				continue
			}
			if p.takes(list.TotalCount) {
				list.Items = append(list.Items, c.viewVulnerable(v, one, m))
			}
			list.TotalCount++
		}
		return list, err
	})
}

// getLicenses answers that the license is not known.
func (s components) getLicenses(c *call) (reply, error) {
	return s.viewOf(c, func(tx *store.Tx, v store.Version) (any, error) {
		one, err := judgedIn(tx, v, c)
		path := bomComponentPath(v, jobs.ComponentID(one.Component))
		return page{TotalCount: 1, Items: []any{c.unknownLicense(path)}, AppliedFilters: []any{}, Meta: c.metaOf(path+"/licenses", allowGet, "component", path)}, err
	})
}

// getGuidance answers without advice: neither shortTerm nor longTerm. Each finding has the version that fixes it.
func (s components) getGuidance(c *call) (reply, error) {
	return s.viewOf(c, func(tx *store.Tx, v store.Version) (any, error) {
		one, err := judgedIn(tx, v, c)
		path := bomComponentPath(v, jobs.ComponentID(one.Component))
		return map[string]any{
			"componentName": one.Name, "versionName": one.Version, "_meta": c.metaOf(path+"/upgrade-guidance", allowGet, "component", path),
		}, err
	})
}

// purlType is the type of a package URL, such as deb; the whole text where it is none.
func purlType(purl string) string {
	kind, _, _ := strings.Cut(strings.TrimPrefix(purl, "pkg:"), "/")
	return kind
}
