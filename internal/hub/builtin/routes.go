package builtin

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

// since tells that the API has this only since its current generation.
func (r route) since() bool {
	_, path, _ := strings.Cut(r.pattern, " ")
	for _, part := range []string{"/api/tokens/authenticate", "/latest-scan-summary", "/bom-status", "/api/scan-readiness"} {
		if strings.Contains(path, part) {
			return true
		}
	}
	return false
}

// old tells whether the hub speaks the old generation of the API now.
func (h *Hub) old() bool {
	f, on := h.faults.look(FaultGeneration)
	return on && f.Is == generationOld
}

const (
	projectPath   = "/api/projects/{project}"
	versionPath   = projectPath + "/versions/{version}"
	componentPath = versionPath + "/components/{component}/versions/{componentVersion}"
	locationPath  = "/api/codelocations/{location}"
)

func (h *Hub) routes() []route {
	all := []route{
		{"GET /api/{$}", "", withBearer, h.getRoot},
		{"POST /api/tokens/authenticate", userMedia, open, h.authenticateToken},
		{"POST /j_spring_security_check", "", open, h.authenticateForm},
		{"GET /api/current-version", statusMedia, open, h.getCurrentVersion},
		{"GET /api/health-checks/readiness", statusMedia, open, h.getHealth},
		{"GET /api/health-checks/liveness", statusMedia, open, h.getHealth},
		{"GET /api/scan-readiness", readinessMedia, withBearer, h.getReadiness},
		{"GET /api/policy-rules", policyMedia, withBearer, h.listRules},
		{"GET /api/policy-rules/{rule}", policyMedia, withBearer, h.getRule},
		{"GET /api/notifications", notificationMedia, withBearer, h.listNotifications},
		{"GET /api/notifications/{notification}", notificationMedia, withBearer, h.getNotification},
		{"POST /api/scan/data", summaryMedia, withBearer, h.postScan},
		{"POST /api/scan/data/{$}", summaryMedia, withBearer, h.postScan},
		{"GET /api/scans/{scan}", summaryMedia, withBearer, h.getScan},
		{"GET /api/scan-summaries/{scan}", summaryMedia, withBearer, h.getScan},
		{"GET /internal/stats", "", withToken, h.getStats},
		{"GET /internal/faults", "", withToken, h.getFaults},
		{"PUT /internal/faults", "", withToken, h.putFaults},
		{"GET /internal/vulnerability-data", "", withToken, h.getData},
		{"PUT /internal/vulnerability-data", "", withToken, h.putData},
	}
	return append(append(all, h.projectRoutes()...), h.locationRoutes()...)
}

func (h *Hub) projectRoutes() []route {
	return []route{
		{"GET /api/projects", projectMedia, withBearer, h.listProjects},
		{"POST /api/projects", projectMedia, withBearer, h.createProject},
		{"GET " + projectPath, projectMedia, withBearer, h.getProject},
		{"DELETE " + projectPath, projectMedia, withBearer, h.deleteProject},
		{"GET " + projectPath + "/versions", versionMedia, withBearer, h.listVersions},
		{"POST " + projectPath + "/versions", versionMedia, withBearer, h.createVersion},
		{"GET " + versionPath, versionMedia, withBearer, h.getVersion},
		{"DELETE " + versionPath, versionMedia, withBearer, h.deleteVersion},
		{"GET " + versionPath + "/codelocations", scanMedia, withBearer, h.listVersionLocations},
		{"GET " + versionPath + "/bom-status", bomMedia, withBearer, h.getBOMStatus},
		{"GET " + versionPath + "/bom-status/{scan}", bomMedia, withBearer, h.getScanBOMStatus},
		{"GET " + versionPath + "/risk-profile", bomMedia, withBearer, h.getRiskProfile},
		{"GET " + versionPath + "/policy-status", bomMedia, withBearer, h.getPolicyStatus},
		{"GET " + versionPath + "/components", bomMedia, withBearer, h.listComponents},
		{"GET " + componentPath, bomMedia, withBearer, h.getComponent},
		{"GET " + componentPath + "/policy-status", bomMedia, withBearer, h.getComponentPolicy},
		{"GET " + versionPath + "/vulnerable-bom-components", bomMedia, withBearer, h.listVulnerable},
		{"GET " + componentPath + "/vulnerabilities/{vulnerability}", bomMedia, withBearer, h.getVulnerable},
	}
}

func (h *Hub) locationRoutes() []route {
	return []route{
		{"GET /api/codelocations", scanMedia, withBearer, h.listLocations},
		{"GET " + locationPath, scanMedia, withBearer, h.getLocation},
		{"PUT " + locationPath, scanMedia, withBearer, h.mapLocation},
		{"DELETE " + locationPath, scanMedia, withBearer, h.deleteLocation},
		{"GET " + locationPath + "/scan-summaries", scanMedia, withBearer, h.listScans},
		{"GET " + locationPath + "/latest-scan-summary", summaryMedia, withBearer, h.getLatestScan},
	}
}

// Handler serves the REST API. It works behind any listener; Serve adds TLS.
func (h *Hub) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range h.routes() {
		mux.Handle(r.pattern, h.wrap(r))
	}
	mux.Handle("/", h.wrap(route{access: open, serve: func(c *call) (reply, error) { return reply{}, h.unknownPath(mux, c) }}))
	return mux
}

// unknownPath says whether the path or only the method is wrong.
func (h *Hub) unknownPath(mux *http.ServeMux, c *call) error {
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

func (h *Hub) getRoot(c *call) (reply, error) {
	body := map[string]any{"_meta": c.metaOf("/api/", allowGet)}
	for name, path := range map[string]string{
		"codelocations": "/api/codelocations", "current-version": "/api/current-version", "notifications": "/api/notifications",
		"policy-rules": "/api/policy-rules", "projects": "/api/projects",
	} {
		body[name] = c.base + path
	}
	return reply{status: http.StatusOK, body: body}, nil
}

func (h *Hub) getCurrentVersion(c *call) (reply, error) {
	version := h.options.Version
	if c.old {
		version = oldVersion
	}
	return reply{status: http.StatusOK, body: map[string]any{
		"version": version, "_meta": c.metaOf("/api/current-version", allowGet),
	}}, nil
}

// getHealth answers while the database can be read; a stopping hub is not healthy.
func (h *Hub) getHealth(*call) (reply, error) {
	if h.context.Err() != nil {
		return reply{status: http.StatusServiceUnavailable, body: map[string]bool{"healthy": false}}, nil
	}
	return reply{status: http.StatusOK, body: map[string]bool{"healthy": true}}, nil
}

// getReadiness tells whether scans are accepted. This hub has one service: itself.
func (h *Hub) getReadiness(c *call) (reply, error) {
	readiness := "ACCEPTING"
	if h.context.Err() != nil {
		readiness = "DEGRADED"
	}
	return reply{status: http.StatusOK, body: map[string]any{
		"readiness": readiness, "items": []any{}, "_meta": c.metaOf("/api/scan-readiness", allowGet),
	}}, nil
}
