package rest

import (
	"net/http"
	"strings"
)

// route is one endpoint: who may call it and under which media type it answers.
type route struct {
	pattern string
	media   string
	access  access
	serve   endpoint
}

// The media types, by the table of the API this hub speaks.
const (
	userMedia         = vendorPrefix + "user-4+json"
	statusMedia       = vendorPrefix + "status-4+json"
	scanMedia         = vendorPrefix + "scan-4+json"
	summaryMedia      = vendorPrefix + "scan-6+json"
	projectMedia      = vendorPrefix + "project-detail-4+json"
	versionMedia      = vendorPrefix + "project-detail-5+json"
	bomMedia          = vendorPrefix + "bill-of-materials-6+json"
	policyMedia       = vendorPrefix + "policy-5+json"
	notificationMedia = vendorPrefix + "notification-4+json"
	readinessMedia    = vendorPrefix + "scan-readiness-1+json"
)

const (
	projectPath   = "/api/projects/{project}"
	versionPath   = projectPath + "/versions/{version}"
	componentPath = versionPath + "/components/{component}/versions/{componentVersion}"
	locationPath  = "/api/codelocations/{location}"
)

func (s *Server) routes() []route {
	all := []route{
		{"GET /api/{$}", "", withBearer, hub{s}.getRoot},
		{"POST /api/tokens/authenticate", userMedia, open, s.authenticateToken},
		{"POST /j_spring_security_check", "", open, s.authenticateForm},
		{"GET /api/current-user", userMedia, withBearer, hub{s}.getUser},
		{"GET /download/scan.cli.zip", "", withBearer, hub{s}.getScanClient},
		{"GET /api/current-version", statusMedia, open, hub{s}.getVersion},
		{"GET /api/health-checks/readiness", statusMedia, open, hub{s}.getHealth},
		{"GET /api/health-checks/liveness", statusMedia, open, hub{s}.getHealth},
		{"GET /api/scan-readiness", readinessMedia, withBearer, hub{s}.getReadiness},
		{"GET /api/policy-rules", policyMedia, withBearer, rules{s}.list},
		{"GET /api/policy-rules/{rule}", policyMedia, withBearer, rules{s}.get},
		{"GET /api/notifications", notificationMedia, withBearer, notifications{s}.list},
		{"GET /api/notifications/{notification}", notificationMedia, withBearer, notifications{s}.get},
		{"POST /api/scan/data", summaryMedia, withBearer, uploads{s}.post},
		{"POST /api/scan/data/{$}", summaryMedia, withBearer, uploads{s}.post},
		{"GET /api/scans/{scan}", summaryMedia, withBearer, scans{s}.get},
		{"GET /api/scan-summaries/{scan}", summaryMedia, withBearer, scans{s}.get},
		{"GET /internal/stats", "", withToken, stats{s}.get},
		{"GET /internal/vulnerability-data", "", withToken, data{s}.get},
		{"PUT /internal/vulnerability-data", "", withToken, data{s}.put},
		{"GET /internal/exceptions", "", withToken, exceptions{s}.list},
		{"GET /internal/exceptions/{name}", "", withToken, exceptions{s}.get},
		{"PUT /internal/exceptions/{name}", "", withToken, exceptions{s}.put},
		{"DELETE /internal/exceptions/{name}", "", withToken, exceptions{s}.delete},
	}
	return append(append(all, s.projectRoutes()...), s.locationRoutes()...)
}

func (s *Server) projectRoutes() []route {
	return []route{
		{"GET /api/projects", projectMedia, withBearer, projects{s}.list},
		{"POST /api/projects", projectMedia, withBearer, projects{s}.create},
		{"GET " + projectPath, projectMedia, withBearer, projects{s}.get},
		{"PUT " + projectPath, projectMedia, withBearer, projects{s}.change},
		{"DELETE " + projectPath, projectMedia, withBearer, projects{s}.delete},
		{"GET " + projectPath + "/versions", versionMedia, withBearer, versions{s}.list},
		{"POST " + projectPath + "/versions", versionMedia, withBearer, versions{s}.create},
		{"GET " + versionPath, versionMedia, withBearer, versions{s}.get},
		{"DELETE " + versionPath, versionMedia, withBearer, versions{s}.delete},
		{"GET " + versionPath + "/codelocations", scanMedia, withBearer, codeLocations{s}.listOf},
		{"GET " + versionPath + "/bom-status", bomMedia, withBearer, results{s}.getBOMStatus},
		{"GET " + versionPath + "/bom-status/{scan}", bomMedia, withBearer, results{s}.getScanBOMStatus},
		{"GET " + versionPath + "/risk-profile", bomMedia, withBearer, results{s}.getRiskProfile},
		{"GET " + versionPath + "/policy-status", bomMedia, withBearer, results{s}.getPolicyStatus},
		{"GET " + versionPath + "/coverage", "", withBearer, results{s}.getCoverage},
		{"GET " + versionPath + "/components", bomMedia, withBearer, components{s}.list},
		{"GET " + componentPath, bomMedia, withBearer, components{s}.get},
		{"GET " + componentPath + "/policy-status", bomMedia, withBearer, components{s}.getPolicy},
		{"GET " + versionPath + "/vulnerable-bom-components", bomMedia, withBearer, components{s}.listVulnerable},
		{"GET " + componentPath + "/vulnerabilities", bomMedia, withBearer, components{s}.listVulnerabilitiesOf},
		{"GET " + componentPath + "/licenses", bomMedia, withBearer, components{s}.getLicenses},
		{"GET " + componentPath + "/upgrade-guidance", bomMedia, withBearer, components{s}.getGuidance},
		{"GET " + componentPath + "/vulnerabilities/{vulnerability}", bomMedia, withBearer, components{s}.getVulnerable},
	}
}

func (s *Server) locationRoutes() []route {
	return []route{
		{"GET /api/codelocations", scanMedia, withBearer, codeLocations{s}.list},
		{"GET " + locationPath, scanMedia, withBearer, codeLocations{s}.get},
		{"PUT " + locationPath, scanMedia, withBearer, codeLocations{s}.move},
		{"DELETE " + locationPath, scanMedia, withBearer, codeLocations{s}.delete},
		{"GET " + locationPath + "/scan-summaries", scanMedia, withBearer, scans{s}.list},
		{"GET " + locationPath + "/latest-scan-summary", summaryMedia, withBearer, scans{s}.getLatest},
	}
}

// unknownPath says whether the path or only the method is wrong.
func (s *Server) unknownPath(mux *http.ServeMux, c *call) error {
	var allowed []string
	for _, method := range []string{http.MethodDelete, http.MethodGet, http.MethodPost, http.MethodPut} {
		other := http.Request{Method: method, Host: c.Host, URL: c.URL}
		if _, pattern := mux.Handler(&other); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return refuse(http.StatusNotFound, "no_endpoint", "this hub has no %.120q; GET /api/ lists what it has", c.URL.Path)
	}
	c.header().Set("Allow", strings.Join(allowed, ", "))
	return refuse(http.StatusMethodNotAllowed, "method", "%.120q does not take %.20s, only %s", c.URL.Path, c.Method, strings.Join(allowed, ", "))
}
